"""A dictionary entry in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from kb.dictionary_kinds import KINDS, EntryValues
from kb.models import DictionaryEntry

register = template.Library()


@register.filter
def entry_details(entry: DictionaryEntry) -> str:
    """What it has besides the word and the other wording."""
    return _describe(EntryValues(**entry.values))


@register.filter
def entry_summary(values: Mapping[str, Any]) -> str:
    """All of it, for lists of changes; `values` may hold more than an entry's values."""
    entry = EntryValues(**{name: values[name] for name in EntryValues._fields})
    wording = f"{entry.text} {'⇄' if entry.both else '→'} {entry.other}" if entry.other else entry.text
    details = _describe(entry)
    return f"{wording}（{details}）" if details else wording


def _describe(entry: EntryValues) -> str:
    kind = KINDS[entry.kind]
    parts = [kind.label_of(entry.label)]
    if "weight" in kind.columns:
        parts.append(f"{entry.weight:g}")
    if entry.both:
        parts.append("双向")
    if entry.frequency:
        parts.append(f"词频 {entry.frequency}")
    return "，".join(part for part in parts if part)
