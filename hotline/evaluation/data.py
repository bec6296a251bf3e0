"""Reading documents and labelled questions from JSON lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDS = 5


class EvaluationDataError(ValueError):
    """A file cannot be used. The message is in Chinese and names the line."""


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    title: str
    content: str
    document_number: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """`right_ids`: every one of these documents is right. `answer` may be empty or other than the text's own words."""

    id: str
    text: str
    right_ids: frozenset[str]
    answer: str
    set_name: str
    first_right_id: str


def load_documents(path: Path) -> list[Document]:
    """Rows `{id, title, content[, doc_no]}`. Raises EvaluationDataError, OSError."""
    rows = {
        row["id"]: Document(row["id"], row["title"], row["content"], row.get("doc_no") or "")
        for row in _read_rows(path, {"id": str, "title": str, "content": str})
    }
    return list(rows.values())


def load_questions(path: Path, documents: Iterable[Document]) -> list[Question]:
    """Rows `{qid, question, doc_ids[, answer, set]}`; right ids that no document has still count as not found.

    Raises EvaluationDataError where no question has a right document, OSError.
    """
    questions = []
    for row in _read_rows(path, {"qid": str, "question": str, "doc_ids": list}):
        if row["doc_ids"]:
            ids = [str(document_id) for document_id in row["doc_ids"]]
            questions.append(
                Question(
                    row["qid"], row["question"], frozenset(ids), row.get("answer") or "", row.get("set") or "", ids[0]
                )
            )
    known = {document.id for document in documents}
    if not any(question.right_ids & known for question in questions):
        raise EvaluationDataError(f"{path}：没有一个问题的正确文件在文件集中。")
    return questions


def is_in_even_half(question: Question) -> bool:
    """Whether the SHA-256 of the question's id is even."""
    return hashlib.sha256(question.id.encode()).digest()[-1] % 2 == 0


def split_halves(questions: Sequence[Question]) -> list[tuple[list[int], list[int]]]:
    """Places to train on and places to measure, both ways round."""
    even = [i for i, question in enumerate(questions) if is_in_even_half(question)]
    odd = [i for i, question in enumerate(questions) if not is_in_even_half(question)]
    return [(even, odd), (odd, even)]


def split_by_document(questions: Sequence[Question]) -> list[tuple[list[int], list[int]]]:
    """FOLDS folds by the first right document; none is trained on a question that shares any with the fold measured."""
    folds = [hashlib.sha256(question.first_right_id.encode()).digest()[-1] % FOLDS for question in questions]
    splits = []
    for fold in range(FOLDS):
        measured = [i for i, own in enumerate(folds) if own == fold]
        held = frozenset().union(*(questions[i].right_ids for i in measured))
        trained = [i for i, question in enumerate(questions) if not question.right_ids & held]
        splits.append((trained, measured))
    return splits


def _read_rows(path: Path, wanted: dict[str, type]) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _read_row(f"{path} 第 {number} 行", line, wanted)


def _read_row(place: str, line: str, wanted: dict[str, type]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise EvaluationDataError(f"{place}：不是 JSON（{error}）。") from error
    for name, kind in wanted.items():
        if not isinstance(row, dict) or not isinstance(row.get(name), kind):
            raise EvaluationDataError(f"{place}：缺少字段 {name}，或类型不对。")
    return dict(row)
