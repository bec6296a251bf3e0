"""The task of the worker that ranks: a bit of everything that waits, then another ring."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import Settings

from hotline import tasks
from hotline.models import Lookup, RerankJob
from hotline.services.lookups import start_lookup
from kb.models import DocumentVersion
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db
Capture = Callable[..., object]
REQUEST = {"query": "电梯补贴", "documents": [{"id": "a", "content": "补贴十万元"}]}


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    rung: list[object] = []
    monkeypatch.setattr(tasks.rerank_waiting_lookups, "apply_async", rung.append)
    return rung


def test_steady_lookups_leave_time_for_requests_and_for_a_stop(
    policies: dict[str, DocumentVersion],
    reranker: FakeReranker,
    settings: Settings,
    rings: list[object],
    django_capture_on_commit_callbacks: Capture,
) -> None:
    settings.RERANK_BATCH_LOOKUPS = 2
    for _ in range(5):
        start_lookup(question="云岚市电梯补贴", by=None)
    job = RerankJob.objects.create(request=REQUEST)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        tasks.rerank_waiting_lookups()

    assert Lookup.objects.filter(state="done").count() == 2
    job.refresh_from_db()
    assert job.state == "done"
    assert len(rings) == 1


def test_no_more_rings_where_nothing_waits(
    policies: dict[str, DocumentVersion],
    reranker: FakeReranker,
    rings: list[object],
    django_capture_on_commit_callbacks: Capture,
) -> None:
    start_lookup(question="云岚市电梯补贴", by=None)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        tasks.rerank_waiting_lookups()
        tasks.rerank_waiting_lookups()

    assert rings == []
