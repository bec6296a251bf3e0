"""Policy files of the invented city 云岚市, and questions that its citizens ask."""

from pathlib import Path

SAMPLES_DIR = Path(__file__).parent
FILES_DIR = SAMPLES_DIR / "files"
TEXTS_DIR = SAMPLES_DIR / "texts"
QUESTIONS_FILE = SAMPLES_DIR / "questions.jsonl"
