"""What the reranker is told to look for, by line of business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hotline.errors import UnknownInstruction
from hotline.models import InstructionTemplate, Ticket
from hotline.retrieval_settings import RetrievalSettings
from reranking.prompts import INSTRUCTION_TEMPLATES

GENERAL = "general"


def instruction_text(key: str, edited: Mapping[str, str] | None = None) -> str:
    """Of a template or a line of business: an administrator's wording, else the built-in one.

    The general one for "" and for a key that is not there (any more). `edited`: texts by key that stand for
    administrators' ones.
    """
    return _find_text(key, edited) or _find_text(GENERAL, edited)


def choose_instruction(value: str, category: str = "", edited: Mapping[str, str] | None = None) -> str:
    """What settings name (a template's text by its key, else a text of one's own), else the line of business's."""
    return _find_text(value, edited) or value or instruction_text(category, edited)


def is_template(key: str) -> bool:
    return bool(_find_text(key))


def require_template(key: str) -> str:
    """`key`, which a caller has sent; "" is none. Raises UnknownInstruction."""
    if key and not is_template(key):
        raise UnknownInstruction(key)
    return key


def _find_text(key: str, edited: Mapping[str, str] | None = None) -> str:
    """Empty where there is no such template."""
    if not key:
        return ""
    if edited and key in edited:
        own: str | None = edited[key]
    else:
        own = InstructionTemplate.objects.filter(key=key).order_by("-id").values_list("text", flat=True).first()
    built_in = INSTRUCTION_TEMPLATES.get(key)
    return own or (built_in.text if built_in else "")


def list_live_keys(settings: RetrievalSettings) -> frozenset[str]:
    """Keys of the templates that lookups may be reranked with."""
    return frozenset({settings.instruction, GENERAL, *Ticket.Category.values} - {""})


@dataclass(frozen=True, slots=True)
class Instruction:
    """`is_own`: an administrator's wording."""

    key: str
    label: str
    text: str
    is_own: bool = False


def list_instructions() -> list[Instruction]:
    """Built-in and administrators' own, which go before one of the same key."""
    found = {key: Instruction(key, template.label, template.text) for key, template in INSTRUCTION_TEMPLATES.items()}
    newest = {own.key: own for own in InstructionTemplate.objects.order_by("id")}
    for key, own in sorted(newest.items()):
        if own.text:
            found[key] = Instruction(key, own.label, own.text, is_own=True)
    return list(found.values())
