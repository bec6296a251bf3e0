"""Several workers rank: each speaks for itself, and the worst is shown first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery.signals import worker_process_init, worker_process_shutdown
from django.core.cache import cache
from pytest_django import Settings

from hotline import tasks, worker_status
from hotline.worker_status import find_disagreement, merge_statuses, publish_status, read_published_status

GOOD = {"name": "qwen", "revision": "a", "calibrated": True, "degraded": False, "worker_setting": "auto", "at": 9}
DEGRADED = {"name": "lexical", "revision": "1", "calibrated": False, "degraded": True, "worker_setting": "auto"}


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_worst_is_shown_and_all_are_listed() -> None:
    merged = merge_statuses({"one@a": GOOD, "two@b": DEGRADED, "three@c": GOOD})

    assert (merged["worker"], merged["name"], merged["degraded"]) == ("two@b", "lexical", True)
    assert [status["worker"] for status in merged["workers"]] == ["one@a", "two@b", "three@c"]
    assert merged["revisions_agree"] is False


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"worker_setting": "none"}, DEGRADED),
        (DEGRADED, {**GOOD, "calibrated": False}),
        ({**GOOD, "calibrated": False}, GOOD),
    ],
)
def test_which_is_worse(worse: dict[str, object], better: dict[str, object]) -> None:
    assert merge_statuses({"b": better, "w": worse})["worker"] == "w"
    assert merge_statuses({"b": worse, "w": better})["worker"] == "b"


def test_nobody_has_spoken() -> None:
    assert read_published_status() == {}
    assert find_disagreement() == ""


@pytest.mark.django_db
def test_one_worker_does_not_speak_for_another(settings: Settings) -> None:
    publish_status("one@a")
    settings.RERANKER = "none"
    publish_status("two@b")
    settings.RERANKER = "lexical"
    publish_status("three@c")

    said = read_published_status()

    assert [status["worker"] for status in said["workers"]] == ["one@a", "three@c", "two@b"]
    assert said["worker"] == "two@b"
    assert find_disagreement() == "none"


@pytest.mark.django_db
def test_worker_is_shown_from_its_start_to_its_end(settings: Settings) -> None:
    settings.WARM_UP_RERANKER = True
    worker_process_init.send(sender="rerank@a")
    assert [status["worker"] for status in read_published_status()["workers"]] == ["rerank@a"]

    worker_process_shutdown.send(sender="rerank@a", pid=1, exitcode=0)

    assert read_published_status() == {}


@pytest.mark.django_db
def test_task_speaks_for_the_worker_that_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(worker_status, "publish_status", told.append)
    tasks.rerank_waiting_lookups.push_request(hostname="rerank@b")
    try:
        tasks.rerank_waiting_lookups.run()
    finally:
        tasks.rerank_waiting_lookups.pop_request()

    assert told == ["rerank@b"]
