"""Figures of many questions under the same settings."""

from __future__ import annotations

import json
from datetime import date

import pytest
from pytest_django import Settings

from hotline.errors import SearchUnavailable
from hotline.measurement import Figures, LabelledQuestion, MeasuredRow, add_up, judge_documents, measure
from hotline.retrieval_settings import RetrievalSettings
from kb.models import DocumentVersion
from tests.hotline.conftest import FakeReranker

Policies = dict[str, DocumentVersion]
TODAY = date(2026, 11, 21)
LEAK = "云岚市楼上漏水物业不管，多久维修"
LIFT = "云岚市加装电梯补贴多少"


def label(text: str, *versions: DocumentVersion) -> LabelledQuestion:
    return LabelledQuestion(text, frozenset(version.document_id for version in versions))


def make_row(right_rank: int | None, **fields: object) -> MeasuredRow:
    right = {10}
    order = tuple(10 if place == right_rank else place for place in range(1, 6))
    given = {
        "question": "问",
        "right_document_ids": tuple(right),
        "order": order,
        "right_rank": right_rank,
        "figures": judge_documents(order, frozenset(right)),
        "gap": 1.0,
        "needs_review": False,
        "reasons": (),
        "milliseconds": {"understanding": 1.0, "first_stage": 10.0, "rerank": 4.0},
    }
    return MeasuredRow(**{**given, **fields})  # type: ignore[arg-type]


def test_figures_are_means_over_the_labelled() -> None:
    unlabelled = make_row(None, right_document_ids=(), figures={}, needs_review=True)
    figures = add_up([make_row(1), make_row(2, needs_review=True), make_row(None), unlabelled])

    assert (figures.queries, figures.labelled) == (4, 3)
    assert figures.top1 == pytest.approx(100 / 3, abs=1e-4)
    assert figures.mrr5 == pytest.approx(50)
    assert figures.recall50 == pytest.approx(200 / 3, abs=1e-4)
    assert figures.sent == 50
    assert figures.top1_of_rest == 50
    assert figures.milliseconds["total"] == {"median": 15.0, "p95": 15.0}


def test_without_labels_only_times_and_doubt_are_said() -> None:
    figures = add_up([make_row(None, right_document_ids=(), figures={})])

    assert (figures.top1, figures.mrr5, figures.top1_of_rest) == (None, None, None)
    assert figures.sent == 0


def test_no_questions_have_no_figures() -> None:
    assert add_up([]) == Figures(0, 0, None, None, None, None, None, None)


def test_figures_and_rows_survive_json() -> None:
    row = make_row(2)
    figures = add_up([row])

    assert MeasuredRow.from_json(json.loads(json.dumps(row.to_json()))) == row
    assert Figures.from_json(json.loads(json.dumps(figures.to_json()))) == figures


@pytest.mark.django_db
def test_questions_are_asked_and_judged(policies: Policies, settings: Settings) -> None:
    settings.RERANK_BATCH_LOOKUPS = 2
    heard: list[int] = []
    questions = [label(LEAK, policies["leak"]), label(LIFT, policies["lift"]), label(LIFT, policies["rent"])]
    fake = FakeReranker(score=lambda query, candidate: 4.0 if "电梯" in candidate.title else 0.0)
    figures, rows = measure(questions, RetrievalSettings(), as_of=TODAY, reranker=fake, on_progress=heard.append)

    assert heard == [2, 3]
    assert fake.calls == [2, 1]
    assert [row.right_rank == 1 for row in rows] == [False, True, False]
    assert rows[1].order[0] == policies["lift"].document_id
    assert figures.top1 == pytest.approx(100 / 3, abs=1e-4)
    assert figures.recall50 == 100


@pytest.mark.django_db
def test_question_that_is_refused_fails_alone(policies: Policies) -> None:
    questions = [label(LEAK, policies["leak"]), label("问" * 6000, policies["leak"])]
    figures, rows = measure(questions, RetrievalSettings(reranker="lexical"), as_of=TODAY)

    assert rows[0].right_rank == 1
    assert "5000 字" in rows[1].error
    assert rows[1].figures["top1"] == 0
    assert figures.failed == 1


@pytest.mark.django_db
def test_search_engine_that_is_away_ends_the_measurement(settings: Settings) -> None:
    settings.SEARCH_URL = "file:///nonexistent/index"
    with pytest.raises(SearchUnavailable):
        measure([LabelledQuestion(LEAK)], RetrievalSettings(reranker="none"), as_of=TODAY)
