"""The product's rows, when an upgrade brings others."""

from __future__ import annotations

import pytest

from hotline.models import User
from kb.dictionary_kinds import EntryValues
from kb.live_dictionaries import load_rules
from kb.models import DictionaryDraft, DictionaryRelease
from kb.services import dictionaries
from kb.services.dictionaries import release_drafts, sync_builtin_entries
from kb.services.dictionary_drafts import (
    change_draft,
    digest_drafts,
    draft_change,
    draft_new_entry,
    drop_drafts,
)
from tests.dictionaries import FEW, find_entry, go_live


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
