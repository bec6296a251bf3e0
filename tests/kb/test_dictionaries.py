"""Drafts, what comes of them, and the index that new words ask for."""

from __future__ import annotations

import pytest

from hotline.models import User
from kb import indexing
from kb.errors import KnowledgeError
from kb.live_dictionaries import load_rules, load_segmentation_dictionary
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease, IndexVersion
from kb.opened_forms import ChangedMeanwhile
from kb.search.types import SearchEngine
from kb.segmentation import load_default_dictionary
from kb.services import dictionaries
from kb.services.dictionary_drafts import (
    EntryKnown,
    EntryRefused,
    change_draft,
    draft_change,
    draft_new_entry,
    draft_retirement,
    drop_drafts,
    import_drafts,
)
from tests.dictionaries import FEW, SYNONYM, find_entry, go_live


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
