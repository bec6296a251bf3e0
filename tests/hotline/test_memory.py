"""How much memory may be counted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotline import memory, tasks
from hotline.settings import CELERY_WORKER_MAX_MEMORY_PER_CHILD, WORKER_MAX_MEMORY_MEGABYTES


@pytest.mark.parametrize(("written", "expected"), [("536870912", 512), ("max", None), ("", None)])
def test_container_is_given_less_than_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, expected: int | None
) -> None:
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", (tmp_path / "missing",))
    machine = memory.usable_megabytes()
    limit = tmp_path / "memory.max"
    limit.write_text(written)
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", (limit, tmp_path / "missing"))

    assert memory.usable_megabytes() == (expected or machine)


def test_children_are_recycled_before_the_machine_runs_out() -> None:
    assert 0 < WORKER_MAX_MEMORY_MEGABYTES < memory.usable_megabytes()
    assert CELERY_WORKER_MAX_MEMORY_PER_CHILD == WORKER_MAX_MEMORY_MEGABYTES * 1024


def test_model_that_needs_more_than_the_limit_is_said(
    settings: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hotline.worker_status.publish_status", lambda worker: None)
    settings.WARM_UP_RERANKER = True  # type: ignore[attr-defined]
    tasks.warm_up()
    assert caplog.text == ""
    settings.WORKER_MAX_MEMORY_MEGABYTES = 1  # type: ignore[attr-defined]
    tasks.warm_up()

    assert "WORKER_MAX_MEMORY_MEGABYTES=1" in caplog.text
