"""Rows written by their values, on both databases."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from django.db.models import Value
from django.utils import timezone

from kb.bulk_rows import PARAMETERS, write_rows, write_selected
from kb.models import DictionaryDraft, DictionaryEntry
from kb.services.dictionary_writes import STORED

pytestmark = pytest.mark.django_db
ENTRY_FIELDS = (*STORED, "builtin_key", "updated_at", "updated_by")
NAMES = ("kind", "text", "other", "label", "weight", "both", "frequency", "is_live", "is_builtin")


def row(text: str, **changes: object) -> tuple[object, ...]:
    values = dict(zip(NAMES, ("term", text, "", "政务", 1.0, False, 7, True, False), strict=True)) | changes
    return (*(values[name] for name in STORED), None, timezone.now(), None)


def test_rows_are_written_and_overwritten_by_id() -> None:
    write_rows(DictionaryEntry, ENTRY_FIELDS, [row("甲乙"), row("丙丁", frequency=None)])
    first, second = DictionaryEntry.objects.order_by("pk")
    assert (first.text, first.frequency, first.is_live, second.frequency) == ("甲乙", 7, True, None)

    write_rows(DictionaryEntry, ("id", *ENTRY_FIELDS), [(first.pk, *row("甲乙", label="别的"))], overwrites=True)

    first.refresh_from_db()
    assert first.label == "别的"
    assert DictionaryEntry.objects.count() == 2


def test_a_row_that_collides_leaves_nothing_behind() -> None:
    with pytest.raises(IntegrityError):
        write_rows(DictionaryEntry, ENTRY_FIELDS, [row("甲乙"), row("甲乙")])

    assert not DictionaryEntry.objects.exists()


def test_no_rows_are_no_error() -> None:
    write_rows(DictionaryDraft, ("kind", "text"), [])


def test_more_rows_than_one_statement_takes_are_all_written() -> None:
    count = 2 * PARAMETERS // len(ENTRY_FIELDS) + 3
    write_rows(DictionaryEntry, ENTRY_FIELDS, (row(f"词{number}") for number in range(count)))

    assert DictionaryEntry.objects.count() == count


def test_rows_that_the_database_selects_are_written_and_counted() -> None:
    write_rows(DictionaryEntry, ENTRY_FIELDS, [row("甲乙"), row("丙丁", is_live=False)])
    drafts = DictionaryEntry.objects.filter(is_live=True)
    selected = drafts.values_list(
        "kind", "text", "other", "label", "weight", "both", Value("retire"), "pk", "updated_at"
    )

    fields = ("kind", "text", "other", "label", "weight", "both", "action", "entry", "at")
    assert write_selected(DictionaryDraft, fields, selected) == 1

    draft = DictionaryDraft.objects.get()
    assert (draft.text, draft.action, draft.entry) == ("甲乙", "retire", drafts.get())
