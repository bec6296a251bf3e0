"""Drafts, releases, the product's rows, the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hotline.models import User
from kb import indexing
from kb.dictionary_kinds import EntryValues
from kb.errors import KnowledgeError, WrongVersionState
from kb.live_dictionaries import load_rules, load_segmentation_dictionary
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease, IndexVersion
from kb.opened_forms import ChangedMeanwhile
from kb.search.types import SearchEngine
from kb.segmentation import load_default_dictionary
from kb.services import dictionaries, dictionary_writes
from kb.services.dictionaries import release_drafts, restore_release, sync_builtin_entries
from kb.services.dictionary_drafts import (
    EntryKnown,
    EntryRefused,
    change_draft,
    digest_drafts,
    draft_change,
    draft_new_entry,
    draft_retirement,
    drop_drafts,
    import_drafts,
)
from tests.dictionaries import FEW
from tests.factories import make_user

SYNONYM = {"kind": "synonym", "text": "噪音", "other": "噪声", "weight": "0.9"}


@pytest.fixture
def by(db: None) -> User:
    return make_user("knowledge_administrator")


def go_live(by: User | None = None, **fields: Any) -> DictionaryRelease:
    return release_drafts(by=by, drafts_sha256=digest_drafts(), **fields)


def find_entry(text: str) -> DictionaryEntry:
    return DictionaryEntry.objects.get(text=text)


def test_a_draft_acts_on_nothing_until_it_goes_live(released: DictionaryRelease, by: User) -> None:
    draft_new_entry(values=SYNONYM, by=by)
    assert len(load_rules().synonyms) == 1

    release = go_live(by, note="噪声投诉")

    rules = load_rules()
    assert [row.other for row in rules.synonyms] == ["渗漏", "噪声"]
    assert rules.release == release.pk > released.pk
    assert release.versions == rules.versions != released.versions
    assert not DictionaryDraft.objects.exists()
    change = DictionaryChange.objects.get()
    assert (change.before, change.after["other"], change.by, release.by) == (None, "噪声", by, by)


def test_an_entry_is_changed_and_the_history_says_from_what(released: DictionaryRelease, by: User) -> None:
    draft_change(entry=find_entry("公租房"), values={"text": "公租房", "other": "公共租赁房"}, by=by)
    go_live(by)

    assert dict(load_rules().abbreviations) == {"公租房": "公共租赁房"}
    entry = find_entry("公租房")
    assert not entry.is_builtin
    change = entry.changes.get()
    assert (change.before["other"], change.after["other"]) == ("公共租赁住房", "公共租赁房")


def test_a_retired_entry_no_longer_acts_and_comes_back(released: DictionaryRelease, by: User) -> None:
    draft_retirement(entry=find_entry("请问"), by=by)
    go_live(by)
    assert load_rules().fillers == ()
    with pytest.raises(KnowledgeError, match="已经停用"):
        draft_retirement(entry=find_entry("请问"), by=by)

    draft = draft_new_entry(values={"kind": "filler", "text": "请问", "label": "start"}, by=by)
    assert draft.action == DictionaryDraft.Action.REVIVE
    go_live(by)

    assert load_rules().fillers[0].position == "start"
    assert DictionaryEntry.objects.filter(text="请问").count() == 1


def test_a_draft_back_to_what_is_live_is_no_draft(released: DictionaryRelease, by: User) -> None:
    entry = find_entry("公租房")
    draft_change(entry=entry, values={"text": "公租房", "other": "公共租赁房"}, by=by)

    assert draft_change(entry=entry, values={"text": "公租房", "other": "公共租赁住房"}, by=by) is None
    assert not DictionaryDraft.objects.exists()


def test_the_same_word_is_not_drafted_twice(released: DictionaryRelease, by: User) -> None:
    draft = draft_new_entry(values=SYNONYM, by=by)
    for values in (SYNONYM, {"kind": "abbreviation", "text": "公租房", "other": "别的"}):
        with pytest.raises(EntryKnown):
            draft_new_entry(values=values, by=by)
    with pytest.raises(EntryKnown):
        change_draft(draft=draft, values={"text": "漏水", "other": "渗漏"}, by=by)
    with pytest.raises(EntryRefused, match="否定或数字不同"):
        change_draft(draft=draft, values={"text": "噪音", "other": "无噪声"}, by=by)

    assert change_draft(draft=draft, values={"text": "噪音", "other": "噪声", "weight": "0.5"}, by=by) is not None
    assert DictionaryDraft.objects.get().weight == 0.5


def test_a_draft_that_is_gone_is_not_changed(released: DictionaryRelease, by: User) -> None:
    draft = draft_new_entry(values=SYNONYM, by=by)
    stale = DictionaryDraft.objects.get()
    drop_drafts(drafts=[draft.pk])

    with pytest.raises(ChangedMeanwhile):
        change_draft(draft=stale, values={"text": "噪音", "other": "声响"}, by=by)

    assert not DictionaryDraft.objects.exists()


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


def test_a_bad_file_stores_nothing_and_says_every_line(released: DictionaryRelease, by: User) -> None:
    rows = [
        (2, SYNONYM),
        (3, {"kind": "synonym", "text": "漏水", "other": "渗漏", "weight": "0.8"}),
        (4, {"kind": "abbreviation", "text": "公租房", "other": "公共租赁房"}),
        (5, {"kind": "spoken", "text": "不给办", "other": "办理"}),
        (6, {**SYNONYM, "weight": "0.1"}),
    ]
    outcome = import_drafts(rows=rows, by=by)

    assert [line for line, _ in outcome.refusals] == [5, 6]
    assert "第 2 行" in outcome.refusals[1][1]
    assert not DictionaryDraft.objects.exists()

    outcome = import_drafts(rows=rows, by=by, keep_good=True)
    assert (outcome.added, outcome.changed, outcome.unchanged) == (1, 1, 1)
    import_drafts(rows=rows, by=by, keep_good=True)
    assert sorted(DictionaryDraft.objects.values_list("action", "text")) == [("add", "噪音"), ("change", "公租房")]


def test_an_earlier_release_is_restored_as_a_release_of_its_own(released: DictionaryRelease, by: User) -> None:
    before = load_rules()
    draft_new_entry(values=SYNONYM, by=by)
    draft_change(entry=find_entry("公租房"), values={"text": "公租房", "other": "公共租赁房"}, by=by)
    go_live(by)
    draft_retirement(entry=find_entry("请问"), by=by)
    go_live(by)

    made = restore_release(release=released, by=by)

    after = load_rules()
    assert {**after.versions, "release": ""} == {**before.versions, "release": ""}
    assert after.release == made.pk
    assert made.changes.count() == 3
    assert find_entry("公租房").is_builtin
    with pytest.raises(KnowledgeError, match="相同"):
        restore_release(release=made, by=by)


def test_a_word_that_changed_hands_is_restored_to_its_first_entry(released: DictionaryRelease, by: User) -> None:
    entry = find_entry("公租房")
    draft_change(entry=entry, values={"text": "公租屋", "other": "公共租赁住房"}, by=by)
    go_live(by)
    draft_new_entry(values={"kind": "abbreviation", "text": "公租房", "other": "公共租赁房屋"}, by=by)
    go_live(by)
    newer = find_entry("公租房")

    restored = restore_release(release=released, by=by)

    entry.refresh_from_db()
    newer.refresh_from_db()
    assert (entry.text, entry.is_live, newer.is_live) == ("公租房", True, False)
    later = DictionaryRelease.objects.get(pk=restored.pk - 1)
    restore_release(release=later, by=by)
    assert find_entry("公租房") == newer
    assert find_entry("公租屋") == entry


@pytest.mark.parametrize(("kind", "text", "label"), [("synonym", "噪音", ""), ("place", "和平区", "district")])
def test_a_pair_that_changed_hands_is_restored(
    released: DictionaryRelease, by: User, kind: str, text: str, label: str
) -> None:
    entries = []
    for other in ("天津市", "沈阳市"):
        draft_new_entry(values={"kind": kind, "text": text, "other": other, "label": label}, by=by)
        go_live(by)
        entries.append(DictionaryEntry.objects.get(kind=kind, text=text, other=other))
    first = DictionaryRelease.objects.latest("pk")
    for entry, other in zip(entries, ("长春市", "天津市"), strict=True):
        draft_change(entry=entry, values={**entry.values, "other": other}, by=by)
        go_live(by)

    restore_release(release=first, by=by)

    for entry, other in zip(entries, ("天津市", "沈阳市"), strict=True):
        entry.refresh_from_db()
        assert (entry.text, entry.other) == (text, other)


def test_restoring_a_word_that_another_entry_bears_says_so(released: DictionaryRelease, by: User) -> None:
    draft_change(entry=find_entry("公租房"), values={"text": "公租屋", "other": "公共租赁住房"}, by=by)
    go_live(by)
    DictionaryEntry.objects.create(kind="abbreviation", text="公租房", other="公共租赁房", is_live=False)

    with pytest.raises(KnowledgeError, match="没有恢复"):
        restore_release(release=released, by=by)

    assert find_entry("公租屋").is_live


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


def test_an_upgrade_changes_what_nobody_has_changed(
    released: DictionaryRelease, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft_change(entry=find_entry("公租房"), values={"text": "公租屋", "other": "公共租赁住房"}, by=by)
    draft_new_entry(values={"kind": "filler", "text": "麻烦", "label": "start"}, by=by)
    go_live(by)
    newer = [
        EntryValues("synonym", "漏水", "渗漏", weight=0.9),
        EntryValues("abbreviation", "公租房", "公共租赁住房"),
        EntryValues("filler", "麻烦", label="end"),
        EntryValues("term", "免申即享"),
    ]
    monkeypatch.setattr(dictionaries, "read_builtin_entries", lambda: iter(newer))

    assert sync_builtin_entries() == (None, 4)

    assert load_rules().synonyms[0].weight == 0.8  # nothing acts before it was tried
    seen = digest_drafts()
    assert sync_builtin_entries() == (None, 4)
    assert digest_drafts() == seen
    assert release_drafts(by=by, drafts_sha256=seen).get_origin_display() == "随产品"
    rules = load_rules()
    assert rules.synonyms[0].weight == 0.9
    assert dict(rules.abbreviations) == {"公租屋": "公共租赁住房"}
    assert [(row.text, row.position) for row in rules.fillers] == [("麻烦", "start")]
    assert [row.text for row in rules.terms] == ["免申即享"]
    assert sync_builtin_entries() == (None, 0)
    assert find_entry("免申即享").is_builtin


def test_what_an_upgrade_brings_and_somebody_refuses_is_not_brought_again(
    released: DictionaryRelease, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = [*FEW[1:], EntryValues("term", "免申即享")]
    monkeypatch.setattr(dictionaries, "read_builtin_entries", lambda: iter(newer))
    assert sync_builtin_entries().drafted == 2  # a filler less, a term more

    assert drop_drafts() == 2

    assert sync_builtin_entries().drafted == 0
    assert find_entry("请问").is_live
    assert not find_entry("免申即享").is_live


def test_what_somebody_has_drafted_goes_before_an_upgrade(
    released: DictionaryRelease, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = [*FEW[:1], FEW[1]._replace(weight=0.9), *FEW[2:], EntryValues("term", "免申即享")]
    monkeypatch.setattr(dictionaries, "read_builtin_entries", lambda: iter(newer))
    draft_change(entry=find_entry("漏水"), values={"text": "漏水", "other": "渗漏", "weight": "0.5"}, by=by)
    sync_builtin_entries()
    change_draft(
        draft=DictionaryDraft.objects.get(text="免申即享"), values={"text": "免申即享", "label": "政务"}, by=by
    )

    assert sync_builtin_entries().drafted == 0
    go_live(by)

    assert find_entry("漏水").weight == 0.5
    assert not find_entry("免申即享").is_builtin


def test_without_a_release_the_files_of_the_product_are_used(db: None) -> None:
    assert load_rules().release == 0
    assert load_segmentation_dictionary() == load_default_dictionary()


def test_a_word_for_segmentation_asks_for_an_index_that_keeps_it(
    released: DictionaryRelease, by: User, engine: SearchEngine
) -> None:
    indexing.ensure_index(engine)
    draft_new_entry(values=SYNONYM, by=by)
    go_live(by)
    assert not IndexVersion.objects.filter(state="building").exists()

    draft_new_entry(values={"kind": "term", "text": "漏水险"}, by=by)
    go_live(by)
    asked = IndexVersion.objects.get(state="building")
    assert asked.dictionary_sha256 == load_segmentation_dictionary().sha256
    old = engine.segmenter(engine.live_index())
    assert "漏水险" not in old.cut_words("买了漏水险")

    indexing.rebuild_index()

    assert "漏水险" in engine.segmenter(engine.live_index()).cut_words("买了漏水险")
    assert not dictionaries.needs_rebuild()


def test_words_that_come_while_an_index_is_built_get_one_of_their_own(
    released: DictionaryRelease, by: User, engine: SearchEngine
) -> None:
    indexing.ensure_index(engine)
    for word in ("漏水险", "电梯险"):
        draft_new_entry(values={"kind": "term", "text": word}, by=by)
        go_live(by)
    assert IndexVersion.objects.filter(state="building").count() == 2

    indexing.rebuild_index()

    assert not IndexVersion.objects.filter(state="building").exists()
    assert not dictionaries.needs_rebuild()
    assert len(FEW) == DictionaryEntry.objects.filter(is_builtin=True).count()


def test_two_cities_may_each_have_a_district_of_one_name(released: DictionaryRelease, by: User) -> None:
    for city in ("天津市", "沈阳市"):
        draft_new_entry(values={"kind": "place", "text": "和平区", "label": "district", "other": city}, by=by)
    with pytest.raises(EntryKnown):
        draft_new_entry(values={"kind": "place", "text": "和平区", "label": "district", "other": "沈阳市"}, by=by)

    go_live(by)

    assert load_rules().parents_of["和平区"] == ("天津市", "沈阳市")
    assert not DictionaryDraft.objects.exists()
