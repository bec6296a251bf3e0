"""Several people at the same dictionary entry at once, which only a server with row locks lets happen."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

import pytest
from django.db import connection

from kb.models import DictionaryDraft, DictionaryEntry
from kb.opened_forms import ChangedMeanwhile, digest_values
from kb.services import dictionary_drafts
from kb.services.dictionaries import sync_builtin_entries
from kb.services.dictionary_drafts import change_draft, describe_wanted, draft_change, draft_new_entry, draft_retirement
from tests.at_once import at_once

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="no row locks here: see make test-production"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each writer waits here for the other, for a second, when it has compared what its form was opened over."""
    barrier = threading.Barrier(2)
    refuse = dictionary_drafts.refuse_changed

    def refuse_together(opened: str, now: Mapping[str, object], **said: str) -> None:
        refuse(opened, now, **said)
        with contextlib.suppress(threading.BrokenBarrierError):  # the other waits for a lock, as it should
            barrier.wait(timeout=1)

    monkeypatch.setattr(dictionary_drafts, "refuse_changed", refuse_together)


def save_at_once(*writes: Callable[[], object]) -> None:
    """One is stored, the other is told."""
    with pytest.raises(ChangedMeanwhile):
        at_once(*writes)
    assert DictionaryDraft.objects.count() == 1


def test_of_two_changes_to_an_entry_one_is_refused() -> None:
    sync_builtin_entries()
    entry = DictionaryEntry.objects.filter(kind="abbreviation").earliest("pk")
    opened = digest_values(describe_wanted(entry))

    save_at_once(
        lambda: draft_change(entry=entry, values={**entry.values, "other": "公共租赁房"}, by=None, opened=opened),
        lambda: draft_change(entry=entry, values={**entry.values, "other": "公共租赁屋"}, by=None, opened=opened),
    )


def test_of_a_change_and_a_retirement_one_is_refused() -> None:
    sync_builtin_entries()
    entry = DictionaryEntry.objects.filter(kind="abbreviation").earliest("pk")
    opened = digest_values(describe_wanted(entry))

    save_at_once(
        lambda: draft_change(entry=entry, values={**entry.values, "other": "公共租赁房"}, by=None, opened=opened),
        lambda: draft_retirement(entry=entry, by=None, opened=opened),
    )


@pytest.mark.parametrize("has_release", [True, False])
def test_of_two_changes_to_a_draft_one_is_refused(has_release: bool) -> None:
    if has_release:
        sync_builtin_entries()
    draft = draft_new_entry(values={"kind": "synonym", "text": "吵嚷", "other": "噪声"}, by=None)
    opened = digest_values(describe_wanted(draft))

    save_at_once(
        lambda: change_draft(draft=draft, values={"text": "吵嚷", "other": "声响"}, by=None, opened=opened),
        lambda: change_draft(draft=draft, values={"text": "吵嚷", "other": "吵闹"}, by=None, opened=opened),
    )
