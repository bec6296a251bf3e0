"""The passages of a result are stored as they are shown; what the reranker reads stays the first stage's."""

from __future__ import annotations

import pytest
from django.db.models import F
from pytest_django import Settings

from hotline.models import APIKey, Lookup, Result, User
from hotline.selectors import load_document_pane, load_lookup_page
from hotline.services.lookups import start_lookup
from hotline.services.reranking import load_candidates, rerank_waiting_lookups
from hotline.services.result_passages import mark_shown_passages
from kb import indexing
from kb.models import DocumentVersion
from kb.retrieval import PASSAGES_A_DOCUMENT
from tests.hotline.api.conftest import make_client
from tests.hotline.conftest import FakeReranker
from tests.policies import publish_policy

pytestmark = pytest.mark.django_db

QUESTION = "加装电梯政府补多少钱"
FILLING = "相关单位应当按照各自职责做好工作，加强协调，及时处理有关事项，接受社会监督。" * 5
TEXT = "\n".join(
    [
        f"第一条 加装电梯坚持政府引导、业主自愿。{FILLING}",
        f"第二条 加装电梯由政府部门会同社区指导。{FILLING}",
        f"第三条 政府部门负责加装电梯的宣传。{FILLING}",
        "第四条 对通过验收的项目按照每台建设总费用的百分之五十给予补贴，每台电梯最高不超过20万元。",
        f"第五条 竣工资料应当归档。{FILLING}",
    ]
)


@pytest.fixture
def policy(policies: dict[str, DocumentVersion]) -> DocumentVersion:
    version = publish_policy("云岚市既有住宅管理办法", TEXT)
    indexing.sync_documents([version.document_id])
    return version


def result_of(lookup: Lookup, policy: DocumentVersion) -> Result:
    return lookup.results.get(version=policy)


def shown(lookup: Lookup, policy: DocumentVersion) -> list[int]:
    return [row.passage_id for row in result_of(lookup, policy).passages.all()]


def test_passage_with_the_amount_is_shown_first(policy: DocumentVersion) -> None:
    rows = list(result_of(start_lookup(question=QUESTION, by=None), policy).passages.select_related("passage"))

    start, end = rows[0].highlights[0]
    assert "20万元" in rows[0].passage.text[start:end]
    assert [row.ordinal for row in rows] == list(range(len(rows)))


def test_at_most_one_passage_is_added_to_those_found(policy: DocumentVersion) -> None:
    rows = list(result_of(start_lookup(question=QUESTION, by=None), policy).passages.all())
    found = [row for row in rows if row.score > 0]

    assert len(found) == min(PASSAGES_A_DOCUMENT, policy.passages.count())
    assert rows[0].score == 0
    assert len(rows) == len(found) + 1


def test_reranker_reads_what_the_first_stage_found_in_its_order(policy: DocumentVersion) -> None:
    lookup = start_lookup(question=QUESTION, by=None)
    result = result_of(lookup, policy)
    candidate = next(c for c in load_candidates([lookup])[lookup.pk] if c.id == str(result.pk))

    found = result.passages.filter(score__gt=0).select_related("passage").order_by("-score", "passage")
    assert candidate.passages == tuple(row.passage.searchable_text for row in found)
    assert candidate.text == candidate.passages[0]
    assert "20万元" not in "".join(candidate.passages)


def test_page_document_and_api_show_the_stored_order_before_and_after_reranking(
    policy: DocumentVersion, reranker: FakeReranker, agent: User
) -> None:
    reranker.score = lambda query, c: 1.0 if "既有住宅管理" in c.title else 0.0
    lookup = start_lookup(question=QUESTION, by=agent)
    before = shown(lookup, policy)
    rerank_waiting_lookups()
    lookup.refresh_from_db()
    result = result_of(lookup, policy)

    page = load_lookup_page(lookup, user=agent)
    pane = load_document_pane(lookup, user=agent, result_id=result.pk, passage_id=None)
    body = make_client(*APIKey.Scope.values).get(f"/api/v1/lookups/{lookup.pk}").json()
    card = next(card for card in page.cards if card.result.pk == result.pk)
    row = next(row for row in body["results"] if row["id"] == result.pk)
    assert pane is not None
    assert shown(lookup, policy) == before
    assert [item.passage.pk for item in card.passages] == before
    assert [passage.pk for passage, _ in pane.other_passages] == before
    assert [item["passage"]["id"] for item in row["passages"]] == before
    assert pane.passage.pk == before[0]


def test_api_lists_marks_in_the_order_of_the_text(policy: DocumentVersion, agent: User) -> None:
    lookup = start_lookup(question=QUESTION, by=agent)
    row = result_of(lookup, policy).passages.first()
    assert row is not None
    row.highlights = [[8, 12], [0, 4]]
    row.save()

    body = make_client(*APIKey.Scope.values).get(f"/api/v1/lookups/{lookup.pk}").json()
    listed = next(r for r in body["results"] if r["id"] == row.result_id)["passages"][0]["highlights"]
    assert [mark["start"] for mark in listed] == [0, 8]


def test_result_that_reranking_brings_up_is_ordered_and_marked(
    policy: DocumentVersion, reranker: FakeReranker, settings: Settings
) -> None:
    settings.RESULT_LIMIT = 1
    lookup = start_lookup(question=f"公共租赁住房租金，{QUESTION}", by=None)
    hidden = lookup.results.get(rank=2)
    assert not any(row.highlights for row in hidden.passages.all())
    reranker.score = lambda query, c: 1.0 if c.id == str(hidden.pk) else 0.0
    rerank_waiting_lookups()

    assert lookup.results.get(rank=1) == hidden
    assert any(row.highlights for row in hidden.passages.all())


def test_marking_again_changes_nothing(policy: DocumentVersion) -> None:
    lookup = start_lookup(question=QUESTION, by=None)
    before = list(result_of(lookup, policy).passages.values())
    mark_shown_passages(lookup, QUESTION)

    assert list(result_of(lookup, policy).passages.values()) == before


def test_marking_a_result_without_marks_again_gives_the_same_rows(policy: DocumentVersion) -> None:
    lookup = start_lookup(question=QUESTION, by=None)
    rows = result_of(lookup, policy).passages.order_by("pk")
    before = list(rows.values())
    assert min(row["score"] for row in before) == 0
    rows.update(highlights=[], ordinal=len(before) - F("ordinal"))
    mark_shown_passages(lookup, QUESTION)

    assert list(rows.values()) == before


def test_marking_a_result_with_nothing_to_mark_changes_nothing(policies: dict[str, DocumentVersion]) -> None:
    version = publish_policy("云岚市加装电梯补贴表", "见附件。")
    indexing.sync_documents([version.document_id])
    lookup = start_lookup(question=QUESTION, by=None)
    rows = result_of(lookup, version).passages.order_by("pk")
    before = list(rows.values())
    assert [row["highlights"] for row in before] == [[]]
    mark_shown_passages(lookup, QUESTION)

    assert list(rows.values()) == before


def test_long_document_is_not_read_beyond_what_was_found(
    policy: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotline.services.result_passages.LONGEST_READ", 3)
    rows = result_of(start_lookup(question=QUESTION, by=None), policy).passages.all()

    assert all(row.score > 0 for row in rows)
