"""Ordering documents that a caller brings along: the worker that ranks lookups ranks these too."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from hotline import tasks
from hotline.cascade import add_priors, choose_batch_size
from hotline.errors import DeskError
from hotline.first_stage import choose_wordings
from hotline.instructions import instruction_text, require_template
from hotline.live_settings import get_live_settings
from hotline.masking import mask_personal_data
from hotline.models import RerankJob
from hotline.rerankers import get_reranker
from kb.tasks import enqueue
from reranking.types import (
    Candidate,
    Ranking,
    RankingRequest,
    Reranker,
    RerankerError,
    RerankerInfo,
    RerankerUnavailable,
    ScoredPassage,
)

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.02
KEPT = timedelta(minutes=10)
State = RerankJob.State
ANSWERED = (State.DONE, State.FAILED)


class RerankerBusy(DeskError):
    code = "reranker_busy"
    status = 503

    def __init__(self) -> None:
        super().__init__("重排器暂时没有空闲，请稍后重试。")


def rerank_documents(
    *, query: str, documents: Sequence[Mapping[str, str]], instruction: str = "", wait_seconds: float
) -> dict[str, Any]:
    """`{reranked_ids, scores, log_odds, reranker, revision, calibrated, notices}`; waits for the worker.

    Raises UnknownInstruction, RerankerBusy where no worker answers in time, DeskError where it cannot rank.
    """
    query = mask_personal_data(query)
    request = {
        "query": query,
        "variants": _list_variants(query),
        "documents": list(documents),
        "instruction": require_template(instruction),
    }
    (job,) = _submit([request], wait_seconds)
    if job.state == State.FAILED:
        raise DeskError("重排器不可用。", code=job.response.get("code", "reranker_unavailable"), status=503)
    if job.state != State.DONE:
        raise RerankerBusy
    return dict(job.response)


@dataclass(frozen=True, slots=True)
class QueuedReranker:
    """The reranker of the worker, for a process that must not load a model itself. Not for the worker: it would wait

    for itself. `info` says nothing; the rankings say who ordered them.
    """

    wait_seconds: float

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("queued", "", calibrated=False)

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        """Raises RerankerUnavailable where one is refused or not answered in time."""
        jobs = _submit([_describe_request(request) for request in requests], self.wait_seconds)
        if any(job.state != State.DONE for job in jobs):
            raise RerankerUnavailable("no worker has answered in time, or its reranker failed")
        return [_read_response(job.response) for job in jobs]


def _submit(requests: Sequence[Mapping[str, Any]], wait_seconds: float) -> list[RerankJob]:
    """The jobs as they are when all are answered or time is up; none is left behind."""
    with transaction.atomic():
        jobs = [RerankJob.objects.create(request=request) for request in requests]
        enqueue(tasks.rerank_waiting_lookups)
    ids = [job.pk for job in jobs]
    deadline = time.monotonic() + wait_seconds
    try:
        while time.monotonic() < deadline:
            if RerankJob.objects.filter(pk__in=ids, state__in=ANSWERED).count() == len(ids):
                break
            time.sleep(POLL_SECONDS)
        return list(RerankJob.objects.filter(pk__in=ids).order_by("id"))
    finally:
        RerankJob.objects.filter(pk__in=ids).delete()


def rerank_waiting_jobs(*, limit: int | None = None) -> int:
    """One batch of those that wait. Returns how many were answered."""
    RerankJob.objects.filter(created_at__lt=timezone.now() - KEPT).delete()  # callers long gone
    reranker = _usable_reranker()
    jobs = _claim(limit or choose_batch_size(reranker))
    if jobs:
        _answer(jobs, reranker)
    return len(jobs)


def are_jobs_waiting() -> bool:
    return RerankJob.objects.filter(_free(timezone.now())).exists()


@transaction.atomic
def _claim(limit: int) -> list[RerankJob]:
    now = timezone.now()
    can_skip = connection.features.has_select_for_update_skip_locked
    rows = RerankJob.objects.select_for_update(skip_locked=can_skip).filter(_free(now)).order_by("id")
    # Callers with a deadline first, and apart: a batch is answered when all of it is.
    comparisons = RerankJob.objects.filter(request__latency_budget=None)
    jobs = list(rows.exclude(pk__in=comparisons)[:limit]) or list(rows[:limit])
    lease = now + timedelta(seconds=settings.RERANK_LEASE_SECONDS)
    RerankJob.objects.filter(pk__in=[job.pk for job in jobs]).update(state=State.RERANKING, lease_expires_at=lease)
    return jobs


def _free(now: datetime) -> Q:
    return Q(state=State.WAITING) | Q(state=State.RERANKING, lease_expires_at__lt=now)


def _usable_reranker() -> Reranker | None:
    try:
        return get_reranker()
    except Exception:
        logger.exception("no reranker could be had")
        return None


def _answer(jobs: Sequence[RerankJob], reranker: Reranker | None) -> None:
    try:
        if reranker is None:
            raise RerankerUnavailable("there is none")
        rankings = reranker.rank(add_priors(reranker, [_make_request(job.request) for job in jobs]))
    except Exception as error:  # the callers wait: whatever went wrong, they are told
        logger.exception("%s rerank requests failed", len(jobs))
        code = error.code if isinstance(error, RerankerError) else RerankerUnavailable.code
        RerankJob.objects.filter(pk__in=[job.pk for job in jobs]).update(state=State.FAILED, response={"code": code})
        return
    for job, ranking in zip(jobs, rankings, strict=True):
        RerankJob.objects.filter(pk=job.pk).update(state=State.DONE, response=_make_response(ranking))


def _list_variants(query: str) -> list[str]:
    """The other wordings that a lookup would search, which the lexical reranker looks at."""
    wordings = choose_wordings(query, get_live_settings().rewrites).wordings
    return [wording.text for wording in wordings if wording.text != query and (wording.is_used or wording.if_weak)]


def _describe_request(request: RankingRequest) -> dict[str, Any]:
    """Without the whole documents, which only the lexical reranker reads: it need not wait for a worker."""
    return {
        "query": mask_personal_data(request.query),
        "variants": list(request.variants),
        "instruction_text": request.instruction,
        "latency_budget": request.latency_budget,
        "documents": [
            {
                "id": candidate.id,
                "title": candidate.title,
                "document_number": candidate.document_number,
                "content": candidate.text,
                "passages": list(candidate.passages),
                "features": dict(candidate.features),
            }
            for candidate in request.candidates
        ],
    }


def _make_request(request: Mapping[str, Any]) -> RankingRequest:
    candidates = [
        Candidate(
            id=document["id"],
            title=document.get("title", ""),
            text=document["content"],
            document_number=document.get("document_number", ""),
            passages=tuple(document.get("passages") or (document["content"],)),
            features=document.get("features", {}),
            document_text="" if "passages" in document else document["content"],
        )
        for document in request["documents"]
    ]
    instruction = request.get("instruction_text") or instruction_text(request.get("instruction", ""))
    variants = request.get("variants", ())
    return RankingRequest(request["query"], candidates, instruction, _read_budget(request), variants)


def _read_budget(request: Mapping[str, Any]) -> float | None:
    """A comparison's requests carry none: how much there is to do elsewhere must not change what it measures."""
    budget: float | None = request.get("latency_budget", settings.RERANK_LATENCY_BUDGET_SECONDS)
    return budget


def _make_response(ranking: Ranking) -> dict[str, Any]:
    """Documents that were not reached in time come last, with neither score."""
    unscored: list[float | None] = [None] * len(ranking.unscored)
    return {
        "reranked_ids": list(ranking.ids),
        "scores": [*(scored.relevance_score for scored in ranking.scored), *unscored],
        "log_odds": [*(scored.log_odds for scored in ranking.scored), *unscored],
        "reranker": ranking.info.name,
        "revision": ranking.info.revision,
        "calibrated": ranking.info.calibrated,
        "notices": list(ranking.notices),
    }


def _read_response(response: Mapping[str, Any]) -> Ranking:
    """The ranking that `_make_response` describes."""
    rows = list(zip(response["reranked_ids"], response["log_odds"], strict=True))
    return Ranking(
        tuple(ScoredPassage.from_log_odds(name, log_odds) for name, log_odds in rows if log_odds is not None),
        RerankerInfo(response["reranker"], response["revision"], response["calibrated"]),
        tuple(name for name, log_odds in rows if log_odds is None),
        notices=tuple(response["notices"]),
    )
