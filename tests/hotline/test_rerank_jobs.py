"""Jobs of the worker that ranks for other processes."""

from __future__ import annotations

import pytest

from hotline.services import rerank_jobs
from hotline.services.rerank_jobs import QueuedReranker
from reranking.types import Candidate, RankingRequest
from tests.hotline.conftest import FakeReranker


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("budget", [None, 1.5])
def test_worker_takes_the_callers_time(
    reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch, budget: float | None
) -> None:
    monkeypatch.setattr(
        rerank_jobs.tasks.rerank_waiting_lookups, "apply_async", lambda args: rerank_jobs.rerank_waiting_jobs()
    )
    candidates = [Candidate(id="1", title="电梯", text="补贴")]
    QueuedReranker(wait_seconds=5).rank([RankingRequest("电梯补贴", candidates, latency_budget=budget)])

    assert reranker.requests[0].latency_budget == budget
