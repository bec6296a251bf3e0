"""Four rows as the whole product's dictionaries, for tests that change them and put that live."""

from __future__ import annotations

from typing import Any

import pytest

from hotline.models import User
from kb.dictionary_kinds import EntryValues
from kb.models import DictionaryEntry, DictionaryRelease
from kb.services import dictionaries
from kb.services.dictionary_drafts import digest_drafts

FEW = (
    EntryValues("filler", "请问", label="anywhere"),
    EntryValues("synonym", "漏水", "渗漏", weight=0.8),
    EntryValues("abbreviation", "公租房", "公共租赁住房"),
    EntryValues("term", "一网通办", label="政务"),
)

SYNONYM = {"kind": "synonym", "text": "噪音", "other": "噪声", "weight": "0.9"}  # none of FEW


def release_few(monkeypatch: pytest.MonkeyPatch) -> DictionaryRelease:
    monkeypatch.setattr(dictionaries, "read_builtin_entries", lambda: iter(FEW))
    release = dictionaries.sync_builtin_entries().release
    assert release is not None
    return release


def release_terms(monkeypatch: pytest.MonkeyPatch, *words: str) -> DictionaryRelease:
    """Domain words of one's own, on which an index that is rebuilt then cuts its texts."""
    terms = [EntryValues("term", word, label="政务") for word in words]
    monkeypatch.setattr(dictionaries, "read_builtin_entries", lambda: iter([*FEW, *terms]))
    release = dictionaries.sync_builtin_entries().release
    assert release is not None
    return release


def go_live(by: User | None = None, **fields: Any) -> DictionaryRelease:
    """All drafts, as they are."""
    return dictionaries.release_drafts(by=by, drafts_sha256=digest_drafts(), **fields)


def find_entry(text: str) -> DictionaryEntry:
    return DictionaryEntry.objects.get(text=text)
