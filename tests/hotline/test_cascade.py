"""A model on a processor: few lookups at once, and the lexical reranker's first read first."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pytest_django import Settings

from hotline.cascade import add_priors, choose_batch_size
from hotline.rerankers import make_lexical_reranker
from hotline.services import rerank_jobs, reranking
from hotline.services.lookups import start_lookup
from kb.models import DocumentVersion
from reranking.types import Candidate, RankingRequest, RerankerInfo
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db
CANDIDATES = [
    Candidate("1", "租房", "租金减免"),
    Candidate("2", "加装电梯", "电梯补贴十万元"),
    Candidate("3", "供暖", "电"),
]


@dataclass
class ModelOn(FakeReranker):
    """A model that reads, on `device`."""

    device: str = "cpu"

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("fake", "fake-1", True, self.device)


@pytest.mark.parametrize(
    ("reranker", "expected"),
    [(ModelOn(), 2), (ModelOn(device="cuda:0"), 16), (ModelOn(device="remote"), 16), (FakeReranker(), 16), (None, 16)],
)
def test_lookups_share_a_deadline_with_few_where_a_model_runs_on_a_processor(
    reranker: FakeReranker | None, expected: int
) -> None:
    assert choose_batch_size(reranker) == expected


def test_processor_reads_first_what_the_lexical_reranker_puts_first() -> None:
    request = RankingRequest("电梯补贴多少钱", CANDIDATES, "找", 1.0, ["电梯补助"])
    (guess,) = make_lexical_reranker().rank([request])
    (told,) = add_priors(ModelOn(), [request])

    assert [CANDIDATES[place].id for place in told.scoring_order()] == list(guess.ids)
    assert guess.ids[0] == "2"
    assert (told.query, told.latency_budget, told.variants) == (request.query, 1.0, ["电梯补助"])


@pytest.mark.parametrize("reranker", [ModelOn(device="cuda:0"), FakeReranker()])
def test_others_score_everything_and_need_no_guess(reranker: FakeReranker) -> None:
    request = RankingRequest("电梯补贴", CANDIDATES)

    assert add_priors(reranker, [request]) == [request]


def test_worker_asks_a_model_on_a_processor_so(
    policies: dict[str, DocumentVersion], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.RERANK_CPU_BATCH_LOOKUPS = 1
    model = ModelOn()
    monkeypatch.setattr(reranking, "get_reranker", lambda: model)
    monkeypatch.setattr(reranking, "settle_doubts", lambda *_: None)
    for _ in range(2):
        start_lookup(question="云岚市电梯补贴", by=None)

    assert reranking.rerank_waiting_lookups() == 1
    assert len(model.requests[0].prior) == len(model.requests[0].candidates) > 1


def test_worker_answers_requests_so(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelOn()
    monkeypatch.setattr(rerank_jobs, "get_reranker", lambda: model)
    rerank_jobs.RerankJob.objects.create(request=rerank_jobs._describe_request(RankingRequest("电梯补贴", CANDIDATES)))
    rerank_jobs.rerank_waiting_jobs()

    assert model.requests[0].scoring_order()[0] == 1
