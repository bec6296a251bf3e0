"""The worker's side of a lookup: claim what waits, rerank it as one batch, decide, store, then check by machine.

The database is the queue. A claim is a lease: a worker that dies leaves its lookups to the next sweep.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from hotline.candidates import build_candidate
from hotline.cascade import add_priors, choose_batch_size
from hotline.instructions import instruction_text
from hotline.live_settings import get_live_settings
from hotline.machine_check import Doubt, can_be_settled
from hotline.models import Lookup, Result, ResultPassage, SecondaryReview
from hotline.rerankers import get_reranker, make_lexical_reranker
from hotline.review_policy import QUALITY_SAMPLE, is_sampled, judge_lookup
from hotline.services.machine_checks import release_stale_checks, settle_doubts
from hotline.services.result_passages import mark_shown_passages
from reranking.score_gap import Decision
from reranking.types import Candidate, Ranking, RankingRequest, Reranker, RerankerError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
SUSPICIOUS_ATTEMPTS = 2
VERDICT_FIELDS = (  # others, such as its ticket, may have changed since the lookup was claimed
    *("reranker", "reranker_revision", "is_calibrated", "notices"),
    *("gap", "gap_threshold", "first_share", "reasons", "milliseconds"),
    *("state", "finished_at", "lease_holder", "lease_expires_at"),
)
State = Lookup.State


def rerank_waiting_lookups(*, limit: int | None = None) -> int:
    """One batch of those that wait. Returns how many were claimed."""
    release_stale_checks()
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    # Asked for before any lease runs: it may have to be loaded.
    limit = limit or choose_batch_size(_usable_reranker())
    lookups = claim_waiting_lookups(holder=holder, limit=limit)
    if lookups:
        rerank_lookups(lookups, holder=holder)
    return len(lookups)


def are_lookups_waiting() -> bool:
    return Lookup.objects.filter(_free(timezone.now())).exists()


@transaction.atomic
def claim_waiting_lookups(*, holder: str, limit: int) -> list[Lookup]:
    """The oldest that wait or whose lease has run out, now leased to `holder`; two workers never get the same."""
    now = timezone.now()
    can_skip = connection.features.has_select_for_update_skip_locked
    rows = Lookup.objects.select_for_update(skip_locked=can_skip).filter(_free(now)).order_by("id")
    ids = _choose_batch(list(rows.values_list("pk", "attempts")[:limit]))
    Lookup.objects.filter(pk__in=ids).update(
        state=State.RERANKING,
        lease_holder=holder,
        lease_expires_at=now + timedelta(seconds=settings.RERANK_LEASE_SECONDS),
        attempts=F("attempts") + 1,
    )
    claimed = Lookup.objects.filter(pk__in=ids).order_by("id").select_related("ticket")
    return list(claimed.prefetch_related("variants"))


def _free(now: datetime) -> Q:
    return Q(state=State.WAITING) | Q(state=State.RERANKING, lease_expires_at__lt=now)


def _choose_batch(waiting: Sequence[tuple[int, int]]) -> list[int]:
    """Of (id, attempts), oldest first. What two workers have left unfinished is claimed alone: whichever of a batch

    it is that kills workers, the others shall not share its end.
    """
    suspects = [pk for pk, attempts in waiting if attempts >= SUSPICIOUS_ATTEMPTS]
    if suspects and suspects[0] == waiting[0][0]:
        return suspects[:1]
    return [pk for pk, _ in waiting if pk not in suspects]


def rerank_lookups(lookups: Sequence[Lookup], *, holder: str) -> None:
    """Rank the whole batch at once; store each lookup in a transaction of its own; then check the doubtful at once."""
    began = time.perf_counter()
    candidates = load_candidates(lookups)
    reranker = _usable_reranker()
    rankings = _rank(reranker, lookups, candidates) if reranker else {}
    seconds = time.perf_counter() - began
    _renew_leases(lookups, holder)
    doubts: dict[int, Doubt] = {}
    for lookup in lookups:
        try:
            doubt = finish_lookup(
                lookup,
                candidates=candidates[lookup.pk],
                ranking=rankings.get(lookup.pk),
                holder=holder,
                seconds=seconds,
            )
        except Exception:
            # One lookup's trouble stays its own: its lease runs out and it is tried again, at last without reranker.
            logger.exception("lookup %s could not be finished", lookup.pk)
            continue
        if doubt:
            doubts[lookup.pk] = doubt
    if reranker and doubts:
        settle_doubts(reranker, doubts)


def _renew_leases(lookups: Sequence[Lookup], holder: str) -> None:
    """However long the ranking took, there is time to store it."""
    mine = Lookup.objects.filter(pk__in=[lookup.pk for lookup in lookups], state=State.RERANKING, lease_holder=holder)
    mine.update(lease_expires_at=timezone.now() + timedelta(seconds=settings.RERANK_LEASE_SECONDS))


def load_candidates(lookups: Sequence[Lookup]) -> dict[int, list[Candidate]]:
    """Lookup id to its candidates in first-stage order; a candidate's id is its result's."""
    found: dict[int, list[Candidate]] = {lookup.pk: [] for lookup in lookups}
    results = Result.objects.filter(lookup__in=lookups).order_by("lookup_id", "first_stage_rank")
    for result in results.select_related("version").prefetch_related("passages__passage"):
        found[result.lookup_id].append(
            build_candidate(
                candidate_id=str(result.pk),
                title=result.version.title,
                document_number=result.version.document_number,
                passages=[row.passage.searchable_text for row in _first_stage_order(result)],
                features=result.features,
                document_text=result.version.text,
            )
        )
    return found


def _first_stage_order(result: Result) -> list[ResultPassage]:
    """The passages that the first stage found, best first, in whatever order they are shown."""
    found = [row for row in result.passages.all() if row.score > 0]
    return sorted(found, key=lambda row: (-row.score, row.passage_id))


def finish_lookup(
    lookup: Lookup,
    *,
    candidates: Sequence[Candidate],
    ranking: Ranking | None,
    holder: str,
    seconds: float,
) -> Doubt | None:
    """Order, gap, decision and review in one transaction; nothing where the lease has gone to another.

    Returns what a machine check may settle; the review waits for it.
    """
    verdict = judge_lookup(
        question=searched_text(lookup),
        candidates=candidates,
        ranking=ranking,
        retrieval=get_live_settings(),
        category=lookup.ticket.category if lookup.ticket else "",
    )
    doubt = _find_doubt(lookup, candidates, ranking, verdict)
    with transaction.atomic():
        mine = Lookup.objects.select_for_update().filter(pk=lookup.pk, state=State.RERANKING, lease_holder=holder)
        if not mine.exists():
            return None
        if ranking:
            _store_order(lookup, ranking)
            mark_shown_passages(lookup, searched_text(lookup))
        _store_verdict(lookup, ranking, verdict, seconds)
        if verdict.needs_review:
            _open_review(lookup, is_checked=doubt is not None)
        elif is_sampled(lookup.pk, settings.REVIEW_SAMPLE_PERCENT):
            _open_sample(lookup)
    return doubt


def searched_text(lookup: Lookup) -> str:
    """The wording that was searched first: what is reranked and highlighted too."""
    variants = lookup.variants.all()
    return variants[0].text if variants else lookup.question


def searched_variants(lookup: Lookup) -> list[str]:
    """The other wordings that were searched too."""
    return [variant.text for variant in lookup.variants.all()[1:] if variant.is_used]


def build_request(lookup: Lookup, candidates: Sequence[Candidate]) -> RankingRequest:
    """What the reranker is asked for a lookup; what is learned from it is read from the same."""
    return RankingRequest(
        searched_text(lookup),
        candidates,
        instruction_text(lookup.instruction),
        settings.RERANK_LATENCY_BUDGET_SECONDS,
        searched_variants(lookup),
    )


def _usable_reranker() -> Reranker | None:
    chosen = get_live_settings().reranker
    if chosen != "configured":
        return make_lexical_reranker() if chosen == "lexical" else None
    try:
        return get_reranker()
    except Exception:  # whatever keeps it from starting: the desk goes on, and says so
        logger.exception("no reranker could be had")
        return None


def _rank(reranker: Reranker, lookups: Sequence[Lookup], candidates: dict[int, list[Candidate]]) -> dict[int, Ranking]:
    """Lookup id to ranking. A lookup that has killed workers before is finished without the reranker."""
    fit = [lookup for lookup in lookups if lookup.attempts <= MAX_ATTEMPTS]
    requests = [build_request(lookup, candidates[lookup.pk]) for lookup in fit]
    try:
        rankings = reranker.rank(add_priors(reranker, requests))
    except RerankerError:
        logger.exception("%s lookups stay in first-stage order", len(fit))
        return {}
    except Exception:
        logger.exception("the reranker failed unforeseen on %s lookups", len(fit))
        # What is wrong with one must not take the others from it.
        alone = [_rank(reranker, [lookup], candidates) for lookup in fit] if len(fit) > 1 else []
        return {pk: ranking for own in alone for pk, ranking in own.items()}
    return {lookup.pk: ranking for lookup, ranking in zip(fit, rankings, strict=True)}


def _find_doubt(
    lookup: Lookup, candidates: Sequence[Candidate], ranking: Ranking | None, verdict: Decision
) -> Doubt | None:
    """What a machine check may settle, if anything."""
    if not (ranking and can_be_settled(verdict, ranking.info)):
        return None
    return Doubt(
        question=searched_text(lookup),
        variants=[variant.text for variant in lookup.variants.all()[1:]],
        candidates=candidates,
        ranking=ranking,
        threshold=verdict.threshold,
        instruction=instruction_text(lookup.instruction),
    )


def _store_order(lookup: Lookup, ranking: Ranking) -> None:
    scores = {scored.id: scored for scored in ranking.scored}
    results = {str(result.pk): result for result in lookup.results.all()}
    for rank, candidate_id in enumerate(ranking.ids, start=1):
        result, scored = results[candidate_id], scores.get(candidate_id)
        result.rank = rank
        result.log_odds = scored.log_odds if scored else None
        result.relevance_score = scored.relevance_score if scored else None
    Result.objects.bulk_update(results.values(), ["rank", "log_odds", "relevance_score"])


def _store_verdict(lookup: Lookup, ranking: Ranking | None, verdict: Decision, seconds: float) -> None:
    if ranking:
        lookup.reranker, lookup.reranker_revision = ranking.info.name, ranking.info.revision
        lookup.is_calibrated = ranking.info.calibrated
        lookup.notices = list(dict.fromkeys([*lookup.notices, *ranking.notices]))
    lookup.gap, lookup.gap_threshold, lookup.first_share = verdict.gap, verdict.threshold, verdict.first_share
    lookup.reasons = list(verdict.reasons)
    lookup.milliseconds = {**lookup.milliseconds, "rerank": round(seconds * 1000, 1)}
    lookup.state, lookup.finished_at = State.DONE, timezone.now()
    lookup.lease_holder, lookup.lease_expires_at = "", None
    lookup.save(update_fields=VERDICT_FIELDS)


def _open_sample(lookup: Lookup) -> None:
    """On the reviewer's desk though nothing is doubtful: what is known of unreviewed answers comes from these."""
    lookup.reasons = [*lookup.reasons, QUALITY_SAMPLE]
    lookup.save(update_fields=["reasons"])
    SecondaryReview.objects.get_or_create(lookup=lookup, defaults={"chance": settings.REVIEW_SAMPLE_PERCENT / 100})


def _open_review(lookup: Lookup, *, is_checked: bool) -> None:
    """On the reviewer's desk, unless the machine checks it first."""
    state = SecondaryReview.State.CHECKING if is_checked else SecondaryReview.State.WAITING
    SecondaryReview.objects.get_or_create(lookup=lookup, defaults={"state": state})
