"""Jobs of the worker that ranks for other processes."""

from __future__ import annotations

import pytest

from hotline.models import RerankJob
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


@pytest.mark.django_db(transaction=True)
def test_lexical_reranker_sees_the_other_wordings(reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        rerank_jobs.tasks.rerank_waiting_lookups, "apply_async", lambda args: rerank_jobs.rerank_waiting_jobs()
    )
    candidates = [Candidate(id="1", title="电梯", text="补贴")]
    QueuedReranker(wait_seconds=5).rank([RankingRequest("电梯补贴", candidates, variants=["加装电梯补助"])])
    rerank_jobs.rerank_documents(
        query="你好，请问一下，升降机补贴多少钱", documents=[{"id": "1", "content": "补贴"}], wait_seconds=5
    )

    assert reranker.requests[0].variants == ["加装电梯补助"]
    assert reranker.requests[1].query == "你好，请问一下，升降机补贴多少钱"
    assert "升降机补贴多少钱" in reranker.requests[1].variants


@pytest.mark.django_db
def test_callers_with_a_deadline_do_not_wait_for_comparisons(reranker: FakeReranker) -> None:
    document = {"id": "a", "content": "补贴"}
    jobs = [
        RerankJob.objects.create(request={"query": query, "documents": [document], **own})
        for query, own in (("比较", {"latency_budget": None}), ("来电", {}), ("又比较", {"latency_budget": None}))
    ]

    assert rerank_jobs.rerank_waiting_jobs(limit=1) == 1
    assert [RerankJob.objects.get(pk=job.pk).state for job in jobs] == ["waiting", "done", "waiting"]
    assert rerank_jobs.rerank_waiting_jobs() == 2
