"""What the workers that rank say of themselves, for the other processes; the worst of them goes first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.cache import cache

from hotline.rerankers import choose

WORKERS_KEY = "reranker-workers"
STATUS_SECONDS = 300
Status = Mapping[str, Any]


def publish_status(worker: str) -> None:
    """Tell the others what ranks in `worker` (its node's name), and by which setting."""
    status = {} if settings.RERANKER == "none" else choose().status()
    said = {**status, "worker_setting": settings.RERANKER, "at": round(time.time())}
    cache.set(_status_key(worker), said, STATUS_SECONDS)
    # Two at once may lose a name here: it is there again when that worker speaks next, in seconds.
    names = cache.get(WORKERS_KEY) or []
    cache.set(WORKERS_KEY, [*(name for name in names if name != worker), worker][-100:], STATUS_SECONDS)


def withdraw_status(worker: str) -> None:
    """It has ended."""
    cache.delete(_status_key(worker))


def read_published_status() -> dict[str, Any]:
    """What the worst of the workers has said of itself, and `workers`: what each has.

    Empty where none has said anything lately.
    """
    names = cache.get(WORKERS_KEY) or []
    found = cache.get_many([_status_key(name) for name in names])
    workers = {name: found[_status_key(name)] for name in sorted(names) if _status_key(name) in found}
    return merge_statuses(workers)


def merge_statuses(workers: Mapping[str, Status]) -> dict[str, Any]:
    """The status of the worst, with all of them beside it. Pure."""
    if not workers:
        return {}
    worst = min(workers, key=lambda name: _judge(workers[name]))
    revisions = {(status.get("name"), status.get("revision")) for status in workers.values()}
    listed = [{"worker": name, **status} for name, status in workers.items()]
    return {**workers[worst], "worker": worst, "workers": listed, "revisions_agree": len(revisions) == 1}


def find_disagreement() -> str:
    """The RERANKER of a worker that ranks where this process has another; empty where they agree or none is known.

    The laboratory and the gates measure what this process's setting says: it must be what ranks the lookups.
    """
    workers = read_published_status().get("workers", [])
    others = {str(status["worker_setting"]) for status in workers} - {settings.RERANKER}
    return min(others, default="")


def _judge(status: Status) -> tuple[bool, bool, bool, float]:
    """Least for the worst: nothing ranks, it is degraded, its scores have no zero; of equals who spoke last."""
    return "name" in status, not status.get("degraded"), bool(status.get("calibrated")), -status.get("at", 0)


def _status_key(worker: str) -> str:
    return f"reranker-status:{worker}"
