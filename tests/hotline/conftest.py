"""A desk with three published policies, people, golden questions, and a reranker that says what the test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from hotline.models import User
from hotline.services import rerank_jobs, reranking
from hotline.services.golden_questions import add_golden_question
from kb.models import DocumentVersion
from kb.search.types import SearchEngine
from reranking.types import (
    Candidate,
    Ranking,
    RankingRequest,
    RerankerInfo,
    RerankerUnavailable,
    ScoredPassage,
    order_scored,
)
from tests.policies import publish_samples


@dataclass
class FakeReranker:
    """Scores by `score(query, candidate)`; counts its calls; fails while `is_down`."""

    score: Callable[[str, Candidate], float] = lambda query, candidate: float(-len(candidate.text))
    calibrated: bool = False
    is_down: bool = False
    calls: list[int] = field(default_factory=list)
    requests: list[RankingRequest] = field(default_factory=list)

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("fake", "fake-1", self.calibrated)

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        if self.is_down:
            raise RerankerUnavailable("down")
        self.calls.append(len(requests))
        self.requests.extend(requests)
        return [self._rank(request) for request in requests]

    def _rank(self, request: RankingRequest) -> Ranking:
        scored = [ScoredPassage.from_log_odds(c.id, self.score(request.query, c)) for c in request.candidates]
        return Ranking(order_scored(scored), self.info)


@pytest.fixture
def reranker(monkeypatch: pytest.MonkeyPatch) -> FakeReranker:
    fake = FakeReranker()
    monkeypatch.setattr(reranking, "get_reranker", lambda: fake)
    monkeypatch.setattr(rerank_jobs, "get_reranker", lambda: fake)
    return fake


@pytest.fixture
def policies(db: None, engine: SearchEngine) -> dict[str, DocumentVersion]:
    """lift, leak and rent, published and in the index."""
    return publish_samples()


@pytest.fixture
def agent(db: None) -> User:
    return User.objects.create_user("agent", agent_number="1024")


@pytest.fixture
def golden_questions(policies: dict[str, DocumentVersion], agent: User) -> None:
    for name, question in (("lift", "加装电梯补贴多少钱"), ("leak", "楼上漏水物业几天到场"), ("rent", "公租房租金")):
        add_golden_question(question=question, document_ids=[policies[name].document_id], by=agent)
