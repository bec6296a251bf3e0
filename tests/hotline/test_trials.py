"""A trial asks as the desk does, under any settings, and leaves no trace."""

from __future__ import annotations

from datetime import date

import pytest
from pytest_django import Settings

from hotline import first_stage
from hotline.errors import EmptyQuestion, SearchUnavailable, UnknownIndex
from hotline.measurement import LabelledQuestion, measure
from hotline.models import Lookup, RerankJob
from hotline.retrieval_settings import RetrievalSettings
from hotline.semantic_recall import SEMANTIC_UNAVAILABLE, SemanticRecall
from hotline.services import rerank_jobs
from hotline.services.lookups import start_lookup
from hotline.services.reranking import rerank_waiting_lookups
from hotline.trials import Trial, run_trial
from kb import indexing
from kb.models import Department, DocumentVersion
from kb.query_understanding.rules import Place, Rewording, Rules
from kb.services.versions import correct_metadata, withdraw_version
from reranking.prompts import INSTRUCTION_TEMPLATES
from reranking.types import Candidate
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]
QUESTION = "云岚市楼上漏水物业不管，多久维修"  # 云岚市 is in every title: all are candidates
TODAY = date(2026, 11, 21)


def attempt(question: str = QUESTION, **settings: object) -> Trial:
    return run_trial(question, RetrievalSettings.from_json(settings), as_of=TODAY)


def test_trial_finds_what_the_desk_finds(policies: Policies) -> None:
    trial = attempt()

    lookup = start_lookup(question=QUESTION, by=None, as_of=TODAY)
    rerank_waiting_lookups()
    results = list(lookup.results.order_by("rank"))
    assert [document.version_id for document in trial.documents] == [result.version_id for result in results]
    assert [document.log_odds for document in trial.documents] == pytest.approx([r.log_odds for r in results])
    assert trial.reranker is not None
    assert trial.reranker.name == "lexical"
    assert set(trial.milliseconds) == {"understanding", "first_stage", "rerank"}


def test_trial_leaves_no_trace(policies: Policies) -> None:
    attempt()

    assert not Lookup.objects.exists()
    assert not RerankJob.objects.exists()


def test_first_stage_alone_keeps_its_order(policies: Policies) -> None:
    trial = attempt(reranker="none")

    assert [document.rank for document in trial.documents] == [1, 2, 3]
    assert all(document.rank == document.first_stage_rank for document in trial.documents)
    assert all(document.log_odds is None for document in trial.documents)
    assert trial.reranker is None
    assert trial.notices == ()


def test_personal_data_is_masked(policies: Policies) -> None:
    assert "13812345678" not in attempt("我电话13812345678，楼上漏水").question


def test_rankings_named_are_the_only_ones_asked(policies: Policies) -> None:
    features = attempt(rankings=["words"]).documents[0].first_stage_features

    assert "words_share" in features
    assert "bigrams_share" not in features


def test_rewrites_are_searched_as_told(policies: Policies) -> None:
    rules = Rules.build(abbreviations=[Rewording("公租房", "公共租赁住房")])

    def used(rewrites: str) -> list[str]:
        trial = run_trial("公租房租金", RetrievalSettings(rewrites=rewrites), as_of=TODAY, rules=rules)
        return [wording.text for wording in trial.wordings if wording.is_used]

    assert used("none") == ["公租房租金"]
    assert "公共租赁住房租金" in "".join(used("always"))


def test_places_are_read_by_the_rules_of_the_trial(policies: Policies) -> None:
    def read(*places: Place) -> set[str]:
        trial = run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, rules=Rules.build(places=places))
        return {name for candidate in trial.candidates for name in candidate.features if name.startswith("place_")}

    assert read() == set()
    assert read(Place("云岚市", "city")) == {"place_same"}


def test_trouble_with_recall_by_meaning_is_said_and_timed(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SemanticRecall(notices=(SEMANTIC_UNAVAILABLE,), seconds=0.25)
    monkeypatch.setattr(first_stage, "recall_by_meaning", lambda question, search_filter: failed)
    trial = attempt()

    assert SEMANTIC_UNAVAILABLE in trial.notices
    assert trial.milliseconds["semantic"] == 250.0


def test_instruction_reaches_the_reranker_as_text(policies: Policies) -> None:
    fake = FakeReranker()
    settings = RetrievalSettings(instruction="找出写明期限的条文")
    run_trial(QUESTION, settings, as_of=TODAY, reranker=fake)
    run_trial(QUESTION, RetrievalSettings(instruction="complaint"), as_of=TODAY, reranker=fake)

    assert fake.requests[0].instruction == "找出写明期限的条文"
    assert "投诉" in (fake.requests[1].instruction or "")


def test_thresholds_of_the_settings_decide(policies: Policies) -> None:
    fake = FakeReranker(score=lambda query, candidate: 5.0 if "物业" in candidate.title else 0.0)
    strict = RetrievalSettings(gap_base_threshold=50.0)

    assert not run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, reranker=fake).decision.needs_review
    assert "small_score_gap" in run_trial(QUESTION, strict, as_of=TODAY, reranker=fake).decision.reasons


def test_line_of_business_brings_its_instruction_and_threshold(policies: Policies) -> None:
    fake = FakeReranker()
    strict = RetrievalSettings(reranker="lexical", thresholds_by_category={"complaint": 1.0})
    plain = run_trial(QUESTION, strict, as_of=TODAY)
    doubted = run_trial(QUESTION, strict, as_of=TODAY, category="complaint")
    run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, category="complaint", reranker=fake)
    run_trial(QUESTION, RetrievalSettings(instruction="general"), as_of=TODAY, category="complaint", reranker=fake)
    run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, category="nothing", reranker=fake)

    assert not plain.decision.needs_review
    assert "low_first_share" in doubted.decision.reasons
    assert "投诉" in (fake.requests[0].instruction or "")
    assert fake.requests[1].instruction == INSTRUCTION_TEMPLATES["general"].text
    assert fake.requests[2].instruction == INSTRUCTION_TEMPLATES["general"].text


def test_reranker_that_fails_is_said(policies: Policies) -> None:
    trial = run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, reranker=FakeReranker(is_down=True))

    assert trial.notices == ("reranker_unavailable",)
    assert [document.rank for document in trial.documents] == [1, 2, 3]
    assert trial.decision.needs_review


def test_what_is_not_for_the_reader_is_not_found(policies: Policies) -> None:
    inside = Department.objects.create(code="housing", name="住建局")
    correct_metadata(version=policies["leak"], changes={"departments": [inside]}, by=None)
    indexing.sync_document(policies["leak"].document_id)

    trial = run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, departments=())
    assert policies["leak"].pk not in [document.version_id for document in trial.documents]


@pytest.mark.parametrize("departments", [(), None])
def test_what_was_restricted_or_withdrawn_since_the_index_was_built_is_not_shown(
    policies: Policies, departments: tuple[str, ...] | None
) -> None:
    inside = Department.objects.create(code="housing", name="住建局")
    correct_metadata(version=policies["leak"], changes={"departments": [inside]}, by=None)
    withdraw_version(version=policies["lift"], by=None)  # the index hears of neither, as one that is not live

    trial = run_trial(QUESTION, RetrievalSettings(), as_of=TODAY, departments=departments)
    _, rows = measure([LabelledQuestion(QUESTION)], RetrievalSettings(), as_of=TODAY, departments=departments)

    readable = {policies[name].document_id for name in (["rent"] if departments == () else ["rent", "leak"])}
    assert {document.document_id for document in trial.documents} == readable
    assert set(rows[0].order) == readable


def test_unusable_question_or_index_is_refused(policies: Policies) -> None:
    with pytest.raises(EmptyQuestion):
        attempt(" ")
    with pytest.raises(UnknownIndex, match="没有名为“nothing”的索引"):
        attempt(index="nothing")


def test_previous_index_is_searched_where_it_is_named(policies: Policies) -> None:
    previous = attempt().index
    indexing.rebuild_index()

    live = attempt().index
    assert live != previous
    assert attempt(index=previous).index == previous
    assert attempt(index=live).index == live


def test_no_search_engine_is_said(settings: Settings) -> None:
    settings.SEARCH_URL = "file:///nonexistent/index"
    with pytest.raises(SearchUnavailable):
        attempt()


@pytest.mark.django_db(transaction=True)
def test_neural_reranker_is_asked_of_its_worker(
    policies: Policies, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RERANKER = "qwen"

    def score(query: str, candidate: Candidate) -> float:
        return 3.0 if "电梯" in candidate.title else -1.0

    fake = FakeReranker(score=score, calibrated=True)
    monkeypatch.setattr(rerank_jobs, "get_reranker", lambda: fake)
    monkeypatch.setattr(
        rerank_jobs.tasks.rerank_waiting_lookups, "apply_async", lambda args: rerank_jobs.rerank_waiting_jobs()
    )
    trial = attempt()

    assert "电梯" in trial.documents[0].title
    assert trial.reranker is not None
    assert trial.reranker.calibrated
    assert fake.requests[0].candidates[0].document_number or fake.requests[0].candidates[0].features
    assert not RerankJob.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_worker_that_does_not_answer_leaves_the_first_stage(policies: Policies, settings: Settings) -> None:
    settings.RERANKER = "qwen"
    settings.RERANK_LATENCY_BUDGET_SECONDS = -2.0  # no waiting at all
    trial = attempt()

    assert trial.notices == ("reranker_unavailable",)
    assert not RerankJob.objects.exists()
