"""Machine checks of doubtful lookups: after their orders are stored, all of a batch at once, and before any reviewer.

A review is `checking` so long. A worker that dies leaves it to the next sweep, which puts it on the reviewer's desk.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from hotline.machine_check import Doubt, MachineCheck, check_doubts
from hotline.models import SecondaryReview
from reranking.types import Reranker

logger = logging.getLogger(__name__)
State = SecondaryReview.State


def settle_doubts(reranker: Reranker, doubts: Mapping[int, Doubt]) -> None:
    """`doubts` by lookup id. Whatever goes wrong, reviewers decide."""
    try:
        checks: list[MachineCheck | None] = [
            *check_doubts(reranker, [*doubts.values()], latency_budget=settings.RERANK_LATENCY_BUDGET_SECONDS)
        ]
    except Exception:
        logger.exception("machine check of lookups %s failed; reviewers decide", list(doubts))
        checks = [None] * len(doubts)
    for lookup_id, check in zip(doubts, checks, strict=True):
        _store(lookup_id, check)


def release_stale_checks() -> None:
    """What a killed worker was checking goes to the reviewers."""
    before = timezone.now() - timedelta(seconds=settings.RERANK_LEASE_SECONDS)
    stale = SecondaryReview.objects.filter(state=State.CHECKING, created_at__lt=before)
    if released := stale.update(state=State.WAITING):
        logger.warning("%s machine checks were left unfinished; reviewers decide", released)


def _store(lookup_id: int, check: MachineCheck | None) -> None:
    """Nothing where the review has gone to the desk meanwhile."""
    checking = SecondaryReview.objects.filter(lookup=lookup_id, state=State.CHECKING)
    checking.update(
        state=State.SETTLED if check and check.is_settled else State.WAITING,
        machine_check=_describe(check) if check else {},
    )


def _describe(check: MachineCheck) -> dict[str, Any]:
    return {
        "is_settled": check.is_settled,
        "gap": check.gap,
        "threshold": check.threshold,
        "rows": check.rows,
        "agreeing_rows": check.agreeing_rows,
    }
