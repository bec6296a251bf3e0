"""What a release writes, and what holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hotline.models import User
from kb.errors import KnowledgeError, WrongVersionState
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease
from kb.services import dictionaries, dictionary_writes
from kb.services.dictionaries import release_drafts
from kb.services.dictionary_drafts import (
    digest_drafts,
    draft_change,
    draft_new_entry,
    draft_retirement,
    drop_drafts,
)
from tests.dictionaries import SYNONYM, find_entry, go_live


def test_two_changes_to_the_same_word_do_not_go_live(released: DictionaryRelease, by: User) -> None:
    draft_new_entry(values={"kind": "term", "text": "跨省通办"}, by=by)
    DictionaryDraft.objects.create(kind="term", text="跨省通办", action="change", entry=find_entry("一网通办"), by=by)

    with pytest.raises(KnowledgeError, match="同一个词"):
        go_live(by)

    assert DictionaryRelease.objects.count() == 1
    assert DictionaryDraft.objects.count() == 2


def test_drafts_that_changed_after_they_were_seen_do_not_go_live(released: DictionaryRelease, by: User) -> None:
    draft_new_entry(values=SYNONYM, by=by)
    seen = digest_drafts()
    draft_new_entry(values={**SYNONYM, "text": "吵闹"}, by=by)

    with pytest.raises(WrongVersionState):
        release_drafts(by=by, drafts_sha256=seen)
    assert drop_drafts() == 2
    with pytest.raises(KnowledgeError, match="没有待生效"):
        release_drafts(by=by, drafts_sha256=digest_drafts())


def test_the_wordings_of_pairs_can_be_exchanged_in_one_release(released: DictionaryRelease, by: User) -> None:
    entries = []
    for other in ("噪声", "声响"):
        draft_new_entry(values={**SYNONYM, "other": other}, by=by)
        go_live(by)
        entries.append(DictionaryEntry.objects.get(text="噪音", other=other))
    for entry, other in zip(entries, ("声响", "噪声"), strict=True):
        DictionaryDraft.objects.create(**{**entry.values, "other": other}, action="change", entry=entry, by=by)

    go_live(by)

    assert [DictionaryEntry.objects.get(pk=entry.pk).other for entry in entries] == ["声响", "噪声"]


def test_words_can_be_exchanged_in_one_release(released: DictionaryRelease, by: User) -> None:
    draft_new_entry(values={"kind": "abbreviation", "text": "社保", "other": "社会保险"}, by=by)
    go_live(by)
    one, two = find_entry("公租房"), find_entry("社保")
    for entry, text in ((one, "甲"), (two, "公租房")):
        DictionaryDraft.objects.create(**{**entry.values, "text": text}, action="change", entry=entry, by=by)
    DictionaryDraft.objects.filter(text="甲").update(text="社保")

    go_live(by)

    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.text, two.text) == ("社保", "公租房")


def test_what_is_drafted_while_others_go_live_stays_a_draft(
    released: DictionaryRelease, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft_new_entry(values=SYNONYM, by=by)
    seen = digest_drafts()
    digest = dictionaries.digest_drafts

    def draft_meanwhile(drafts: Iterable[Sequence[object]]) -> str:
        draft_new_entry(values={"kind": "term", "text": "免申即享"}, by=by)
        return digest(drafts)

    monkeypatch.setattr(dictionaries, "digest_drafts", draft_meanwhile)
    release_drafts(by=by, drafts_sha256=seen)

    assert list(DictionaryDraft.objects.values_list("text", flat=True)) == ["免申即享"]


def test_a_draft_of_an_earlier_transaction_that_comes_meanwhile_holds_the_release(
    released: DictionaryRelease, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = draft_new_entry(values={"kind": "term", "text": "免申即享"}, by=by).pk
    DictionaryDraft.objects.all().delete()
    draft_new_entry(values=SYNONYM, by=by)
    seen = digest_drafts()

    def draft_meanwhile(drafts: Iterable[Sequence[object]]) -> str:
        DictionaryDraft.objects.create(pk=earlier, kind="term", text="免申即享", action="add", by=by)
        return seen

    monkeypatch.setattr(dictionaries, "digest_drafts", draft_meanwhile)
    with pytest.raises(WrongVersionState, match="有变化"):
        release_drafts(by=by, drafts_sha256=seen)

    assert DictionaryRelease.objects.count() == 1
    assert DictionaryEntry.objects.filter(text="噪音").count() == 0


@pytest.mark.parametrize(
    ("step", "is_known"), [("_park_texts", True), ("_change_known", True), ("_add_new", True), ("_add_new", False)]
)
def test_a_draft_that_comes_between_the_statements_of_a_release_holds_it(
    released: DictionaryRelease, by: User, monkeypatch: pytest.MonkeyPatch, step: str, is_known: bool
) -> None:
    earlier = draft_new_entry(values={"kind": "term", "text": "免申即享"}, by=by).pk
    DictionaryDraft.objects.all().delete()
    draft_new_entry(values=SYNONYM, by=by)
    draft_change(entry=find_entry("漏水"), values={"text": "漏水", "other": "渗漏", "weight": "0.5"}, by=by)
    entry = find_entry("公租房")
    late = DictionaryDraft(pk=earlier, kind="term", text="免申即享", action="add", by=by)
    if is_known:
        values = {**entry.values, "other": "公共租赁房"}
        late = DictionaryDraft(pk=earlier, **values, action="change", entry=entry, by=by)
    write = getattr(dictionary_writes, step)

    def draft_after(*args: object) -> object:
        done = write(*args)
        late.save(force_insert=True)
        return done

    monkeypatch.setattr(dictionary_writes, step, draft_after)
    with pytest.raises(WrongVersionState, match="有变化"):
        go_live(by)

    entry.refresh_from_db()
    assert entry.other == "公共租赁住房"
    assert DictionaryDraft.objects.count() == 2
    assert DictionaryRelease.objects.count() == 1


def test_history_holds_every_value_before_and_after(released: DictionaryRelease, by: User) -> None:
    entry = find_entry("漏水")
    before = {**entry.values, "is_live": True, "is_builtin": True}
    values = {"text": "漏水", "other": "渗漏", "weight": "0.35", "both": "是"}
    draft_change(entry=entry, values=values, by=by)
    draft_new_entry(values={"kind": "term", "text": "免申即享", "frequency": "7"}, by=by)
    draft_retirement(entry=find_entry("请问"), by=by)

    go_live(by)

    entry.refresh_from_db()
    new, retired = find_entry("免申即享"), find_entry("请问")
    after = {**before, "weight": 0.35, "both": not before["both"], "is_builtin": False}
    assert (entry.changes.get().before, entry.changes.get().after) == (before, after)
    assert {**entry.values, "is_live": entry.is_live, "is_builtin": entry.is_builtin} == after
    assert new.changes.get().after == {**new.values, "is_live": True, "is_builtin": False}
    assert (retired.changes.get().after["is_live"], retired.is_live) == (False, False)
    assert {type(change.after["both"]) for change in DictionaryChange.objects.all()} == {bool}
    assert {entry.updated_by, new.updated_by, retired.updated_by} == {by}
    assert {entry.updated_at, new.updated_at} == {DictionaryRelease.objects.latest("pk").at}


def test_many_drafts_go_live_with_as_many_statements_as_few(released: DictionaryRelease, by: User) -> None:
    def count_statements(words: range) -> int:
        for word in words:
            draft_new_entry(values={"kind": "common_word", "text": f"词语{word}"}, by=by)
        with CaptureQueriesContext(connection) as statements:
            go_live(by)
        return len(statements)

    assert count_statements(range(1)) == count_statements(range(1, 40))
