"""The way back to an earlier release."""

from __future__ import annotations

import pytest

from hotline.models import User
from kb.errors import KnowledgeError
from kb.live_dictionaries import load_rules
from kb.models import DictionaryEntry, DictionaryRelease
from kb.services.dictionaries import restore_release
from kb.services.dictionary_drafts import draft_change, draft_new_entry, draft_retirement
from tests.dictionaries import SYNONYM, find_entry, go_live


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
