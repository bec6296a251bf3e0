"""What the reranker is told to look for, by line of business."""

from __future__ import annotations

from hotline.models import InstructionTemplate
from reranking.prompts import INSTRUCTION_TEMPLATES


def instruction_text(key: str) -> str | None:
    """An administrator's wording, else the built-in one, else the reranker's default (None)."""
    if not key:
        return None
    own = InstructionTemplate.objects.filter(key=key).values_list("text", flat=True).first()
    built_in = INSTRUCTION_TEMPLATES.get(key)
    return own or (built_in.text if built_in else None)


def choose_instruction(value: str, category: str = "") -> str | None:
    """What settings name (a template's text by its key, else a text of one's own), else the line of business's.

    None: the reranker's default.
    """
    return instruction_text(value or category) or value or None
