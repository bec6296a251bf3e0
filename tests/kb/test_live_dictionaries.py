"""Every process follows the releases, without a lookup that waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import DatabaseError
from pytest_django import DjangoAssertNumQueries

from kb import live_dictionaries
from kb.live_dictionaries import CHECK_SECONDS, LiveRules, load_rules_with_drafts
from kb.models import DictionaryEntry, DictionaryRelease
from kb.query_understanding import Rules
from kb.services.dictionaries import release_drafts
from kb.services.dictionary_drafts import digest_drafts, draft_new_entry, draft_retirement


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def add_synonym(text: str = "噪音") -> None:
    draft_new_entry(values={"kind": "synonym", "text": text, "other": "噪声"}, by=None)
    release_drafts(by=None, drafts_sha256=digest_drafts())


def follow(spawn: Callable[[Callable[[], None]], None] = lambda work: work()) -> tuple[LiveRules, Clock]:
    clock = Clock()
    return LiveRules(spawn=spawn, clock=clock), clock


def test_a_release_is_followed_at_the_next_look(
    released: DictionaryRelease, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    live, clock = follow()
    assert live.get().release == released.pk
    add_synonym()

    with django_assert_num_queries(0):
        assert live.get().release == released.pk
    clock.now += CHECK_SECONDS
    live.get()

    assert live.get().synonyms_of["噪音"][0][0] == "噪声"
    clock.now += CHECK_SECONDS
    with django_assert_num_queries(1):
        live.get()


def test_questions_are_answered_by_the_old_rules_while_the_new_ones_are_loaded(released: DictionaryRelease) -> None:
    waiting: list[Callable[[], None]] = []
    live, clock = follow(waiting.append)
    old = live.get()
    add_synonym()
    clock.now += CHECK_SECONDS

    assert live.get() is old
    clock.now += CHECK_SECONDS
    assert live.get() is old
    (load,) = waiting
    load()

    assert live.get().release > old.release


def test_rules_that_cannot_be_loaded_leave_the_old_ones(
    released: DictionaryRelease, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live, clock = follow()
    old = live.get()
    add_synonym()
    clock.now += CHECK_SECONDS

    def fail() -> Rules:
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(live_dictionaries, "load_rules", fail)
        assert live.get() is old
    assert "the old ones stay" in caplog.text

    clock.now += live_dictionaries.RETRY_SECONDS
    live.get()
    assert live.get().release > old.release


def test_a_database_that_is_away_leaves_the_rules_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise DatabaseError("away")

    monkeypatch.setattr(live_dictionaries, "read_release", fail)
    live, clock = follow()
    rules = live.get()
    clock.now += CHECK_SECONDS

    assert len(rules.synonyms) > 100
    assert live.get() is rules


def test_an_unusable_row_in_the_database_is_left_out(released: DictionaryRelease) -> None:
    DictionaryEntry.objects.filter(kind="abbreviation").update(other="不是公共租赁住房")

    rules = live_dictionaries.load_rules()

    assert rules.abbreviations == ()
    assert len(rules.synonyms) == 1


def test_the_rules_with_drafts_are_those_after_they_go_live(released: DictionaryRelease) -> None:
    draft_new_entry(values={"kind": "synonym", "text": "噪音", "other": "噪声"}, by=None)
    draft_retirement(entry=DictionaryEntry.objects.get(kind="filler"), by=None)

    tried = load_rules_with_drafts()
    release_drafts(by=None, drafts_sha256=digest_drafts())

    assert {**tried.versions, "release": ""} == {**live_dictionaries.load_rules().versions, "release": ""}


@pytest.mark.django_db(transaction=True)
def test_the_first_questions_of_many_threads_load_the_rules_once(
    released: DictionaryRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []
    load = live_dictionaries.load_rules

    def count() -> Rules:
        loads.append(1)
        return load()

    monkeypatch.setattr(live_dictionaries, "load_rules", count)
    live = LiveRules()
    found: list[Rules] = []

    def ask() -> None:
        try:
            found.append(live.get())
        finally:
            live_dictionaries.connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(loads) == 1
    assert len({id(rules) for rules in found}) == 1
