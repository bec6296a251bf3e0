"""Drafts, publication, chains of versions, correction."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth import get_user_model

from kb.errors import KnowledgeError, WrongVersionState
from kb.models import Department, DocumentVersion, MetadataChange, PolicyDocument
from kb.parsing import ParsedDocument, PolicyMetadata
from kb.services.versions import (
    correct_metadata,
    publish_versions,
    repeal_version,
    set_as_new_version_of,
    store_draft,
    withdraw_version,
)
from kb.status import Status

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 21)
TEXT = "第一条 为规范住宅加装电梯，制定本办法。\n第二条 本办法适用于本市。\n"


def draft(
    text: str = TEXT, *, title: str = "加装电梯办法", external_id: str = "", **metadata: object
) -> DocumentVersion:
    document = ParsedDocument(
        external_id=external_id,
        title=title,
        text=text,
        metadata=PolicyMetadata(**metadata),  # type: ignore[arg-type]
    )
    return store_draft(upload=None, document=document)


def test_draft_keeps_passages_with_their_offsets() -> None:
    version = draft()

    assert version.state == "draft"
    passages = list(version.passages.all())
    assert passages
    assert all(version.text[p.start : p.end] == p.text for p in passages)


def test_same_text_of_same_policy_is_not_stored_twice() -> None:
    first, again = draft(external_id="a"), draft(external_id="a")

    assert first.pk == again.pk
    assert DocumentVersion.objects.count() == 1


def test_new_text_of_same_policy_is_its_next_version() -> None:
    old = draft(external_id="a")
    new = draft(TEXT + "第三条 新增。", external_id="a")

    assert new.document_id == old.document_id
    assert (old.number, new.number) == (1, 2)


def test_title_and_document_number_name_a_policy() -> None:
    old = draft(document_number="云府办规〔2025〕8号")
    new = draft(TEXT + "更正。", document_number="云府办规〔2025〕8号")
    other = draft(TEXT + "另文。", document_number="云府办规〔2025〕9号")

    assert new.document_id == old.document_id != other.document_id


def test_without_number_nothing_is_chained() -> None:
    assert draft().document_id != draft(TEXT + "二").document_id


def test_publication_marks_the_document_for_the_index() -> None:
    version = draft()
    before = version.document.revision

    assert publish_versions(versions=[version], by=None) == 1

    version.refresh_from_db()
    assert version.status_today == Status.IN_FORCE
    assert version.document.__class__.objects.get(pk=version.document_id).revision == before + 1
    assert publish_versions(versions=[version], by=None) == 0


def test_newer_version_supersedes_the_older_from_its_first_day() -> None:
    old = draft(external_id="a", effective_on=date(2022, 1, 1))
    new = draft(TEXT + "新", external_id="a", effective_on=date(2026, 12, 1))
    publish_versions(versions=[old, new], by=None)

    old.refresh_from_db()
    new.refresh_from_db()
    assert old.status_on(date(2026, 11, 30)) == Status.IN_FORCE
    assert new.status_on(date(2026, 11, 30)) == Status.NOT_YET_IN_FORCE
    assert old.status_on(date(2026, 12, 1)) == Status.SUPERSEDED
    assert new.status_on(date(2026, 12, 1)) == Status.IN_FORCE


def test_withdrawing_the_newer_brings_the_older_back() -> None:
    old = draft(external_id="a", effective_on=date(2022, 1, 1))
    new = draft(TEXT + "新", external_id="a", effective_on=date(2023, 1, 1))
    publish_versions(versions=[old, new], by=None)
    withdraw_version(version=new, by=None)

    old.refresh_from_db()
    assert old.status_on(DAY) == Status.IN_FORCE
    with pytest.raises(WrongVersionState):
        withdraw_version(version=new, by=None)


def test_history_says_what_a_version_was_before_it_was_published_again() -> None:
    version = draft()
    publish_versions(versions=[version], by=None)
    withdraw_version(version=version, by=None)
    publish_versions(versions=[version], by=None)

    states = [change.changes["state"] for change in MetadataChange.objects.filter(version=version).order_by("id")]
    assert states == [["draft", "published"], ["published", "withdrawn"], ["withdrawn", "published"]]


def test_correction_keeps_history_and_leaves_the_text() -> None:
    user = get_user_model().objects.create(username="k")
    version = draft()
    correct_metadata(version=version, changes={"region": "云岚市", "expires_on": date(2030, 1, 1)}, by=user)

    version.refresh_from_db()
    change = MetadataChange.objects.get(version=version)
    assert change.by == user
    assert change.changes == {"region": ["", "云岚市"], "expires_on": [None, "2030-01-01"]}
    assert version.text == TEXT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": " "}, "title_required"),
        ({"text": "x"}, "not_correctable"),
        ({"effective_on": date(2026, 1, 2), "expires_on": date(2026, 1, 1)}, "dates_reversed"),
    ],
)
def test_wrong_correction_is_refused_whole(changes: dict[str, object], code: str) -> None:
    version = draft()

    with pytest.raises(KnowledgeError) as refusal:
        correct_metadata(version=version, changes={"region": "x", **changes}, by=None)

    assert refusal.value.code == code
    version.refresh_from_db()
    assert version.region == ""
    assert not MetadataChange.objects.exists()


def test_departments_are_part_of_the_history() -> None:
    version = draft()
    department = Department.objects.create(code="hrss", name="人社局")
    correct_metadata(version=version, changes={"departments": [department]}, by=None)

    assert MetadataChange.objects.get().changes == {"departments": [[], ["hrss"]]}


def test_repeal_wants_a_reason() -> None:
    version = draft()
    publish_versions(versions=[version], by=None)
    with pytest.raises(KnowledgeError):
        repeal_version(version=version, on=DAY, reason=" ", by=None)
    repealed = repeal_version(version=version, on=DAY, reason="云府〔2026〕1号", by=None)

    assert repealed.status_on(DAY) == Status.REPEALED


def test_version_moves_into_another_chain() -> None:
    old = draft(effective_on=date(2020, 1, 1))
    new = draft(TEXT + "新", effective_on=date(2025, 1, 1))
    publish_versions(versions=[old, new], by=None)
    set_as_new_version_of(version=new, document=old.document, by=None)

    old.refresh_from_db()
    assert old.superseded_on == date(2025, 1, 1)
    assert PolicyDocument.objects.get(pk=old.document_id).versions.count() == 2


def test_publication_repeals_what_the_text_repeals_by_number() -> None:
    old = draft(title="旧办法", document_number="云府规〔2019〕3号")
    same_title = draft(TEXT + "同名。", title="旧办法", document_number="云府规〔2018〕1号")
    new = draft(
        TEXT + "新。", title="新办法", effective_on=date(2026, 3, 1), repeals=("《旧办法》（云府规〔2019〕3号）",)
    )
    publish_versions(versions=[old, same_title], by=None)
    publish_versions(versions=[new], by=None)

    old.refresh_from_db()
    same_title.refresh_from_db()
    assert old.repealed_on == date(2026, 3, 1)
    assert "新办法" in old.repealed_by
    assert same_title.repealed_on is None


@pytest.mark.parametrize("cited", ["《旧办法》（云府规〔2019〕3号）", "《旧办法》"])
def test_publication_repeals_what_a_newer_policy_repealed_before(cited: str) -> None:
    new = draft(TEXT + "新。", title="新办法", effective_on=date(2026, 3, 1), repeals=(cited,))
    publish_versions(versions=[new], by=None)
    old = draft(title="旧办法", document_number="云府规〔2019〕3号")
    other = draft(TEXT + "另。", title="另一办法", document_number="云府规〔2019〕4号")
    publish_versions(versions=[old, other], by=None)

    old.refresh_from_db()
    other.refresh_from_db()
    assert old.repealed_on == date(2026, 3, 1)
    assert other.repealed_on is None


def test_title_that_several_policies_bear_repeals_none_of_them() -> None:
    same = [draft(text, title="人才补贴细则", region=region) for text, region in (("甲", "望江区"), ("乙", "青溪区"))]
    publish_versions(versions=[*same, draft("丙", title="新细则", repeals=("《人才补贴细则》",))], by=None)

    assert not DocumentVersion.objects.exclude(repealed_on=None).exists()


def test_policy_with_reversed_dates_can_be_repealed_by_a_newer_one() -> None:
    old = draft("甲", title="旧办法", effective_on=date(2024, 5, 1), expires_on=date(2024, 1, 1))
    publish_versions(versions=[old], by=None)
    publish_versions(versions=[draft("乙", title="新办法", repeals=("《旧办法》",))], by=None)

    old.refresh_from_db()
    assert old.repealed_on is not None
