"""The score gap (分差): whether the best two are too close to call, and why a lookup needs secondary review. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reranking.types import PARTIAL_RERANK, Ranking

Signal = Literal["gap", "share"]

USUAL_LENGTH = 20  # characters of a question
USUAL_CANDIDATES = 50
ALWAYS_SENDING = frozenset({"nothing_found", "reranker_unavailable", PARTIAL_RERANK, "low_best_score"})


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """When to doubt. Thresholds belong to a reranker's revision.

    `base_threshold` is in log-odds. `share_threshold`: the least softmax share of the first over all candidates.
    `signal` says which of the two sends a lookup to review; both are always reported. `lowest_relevance` (P(yes)) is
    asked of calibrated rerankers alone. `check_first_stage`: whether another first of the first stage sends too.
    """

    base_threshold: float = 0.8
    share_threshold: float = 0.5
    signal: Signal = "gap"
    lowest_relevance: float = 0.5
    check_first_stage: bool = True

    @property
    def sending(self) -> frozenset[str]:
        """The reasons that send a lookup to review; the others are only said."""
        gate = "small_score_gap" if self.signal == "gap" else "low_first_share"
        return ALWAYS_SENDING | {gate} | ({"first_stage_disagrees"} if self.check_first_stage else frozenset())


@dataclass(frozen=True, slots=True)
class Decision:
    """The gap and what is doubtful. `gap` and `first_share` are None where fewer than two were scored.

    `reasons` are all doubts; `needs_review`: at least one of them sends the lookup to review.
    """

    gap: float | None
    threshold: float
    first_share: float | None
    reasons: tuple[str, ...]
    needs_review: bool


def gap_threshold(base: float, *, question_length: int, candidate_count: int) -> float:
    """base × (1 + 0.25 · (20 − L) / 20, between 0.75 and 1.25) × (0.5 + 0.5 · ln(1 + C) / ln(51), at most 1).

    L is the question's length in characters: a short question says less, so its first must lead by more. C is the
    number of candidates: among fewer there is less to be mistaken for. At 20 characters and 50 candidates it is base.
    """
    by_length = 1 + 0.25 * max(-1.0, min(1.0, (USUAL_LENGTH - question_length) / USUAL_LENGTH))
    by_count = min(1.0, 0.5 + 0.5 * math.log1p(candidate_count) / math.log1p(USUAL_CANDIDATES))
    return base * by_length * by_count


def first_share(log_odds: Sequence[float]) -> float:
    """The first's softmax share over all; 1 for a single one. `log_odds` best first, not empty."""
    return 1.0 / sum(math.exp(value - log_odds[0]) for value in log_odds)


def decide_review(
    ranking: Ranking | None, *, question: str, first_stage_ids: Sequence[str], rules: ReviewRules
) -> Decision:
    """Why this lookup needs secondary review, if it does. `ranking` None: no reranker was available.

    Reasons: nothing_found, reranker_unavailable, partial_rerank, small_score_gap, low_first_share, low_best_score,
    first_stage_disagrees.
    """
    count = len(first_stage_ids)
    threshold = gap_threshold(rules.base_threshold, question_length=len(question), candidate_count=count)
    if not count:
        return Decision(None, threshold, None, ("nothing_found",), needs_review=True)
    if ranking is None or not ranking.scored:
        return Decision(None, threshold, None, ("reranker_unavailable",), needs_review=True)
    log_odds = [scored.log_odds for scored in ranking.scored]
    gap = log_odds[0] - log_odds[1] if len(log_odds) > 1 else None
    share = first_share(log_odds) if len(log_odds) > 1 else None
    reasons = tuple(_list_reasons(ranking, gap, threshold, share, first_stage_ids, rules))
    return Decision(gap, threshold, share, reasons, needs_review=not rules.sending.isdisjoint(reasons))


def _list_reasons(
    ranking: Ranking,
    gap: float | None,
    threshold: float,
    share: float | None,
    first_stage_ids: Sequence[str],
    rules: ReviewRules,
) -> list[str]:
    best = ranking.scored[0]
    doubts = {
        PARTIAL_RERANK: ranking.is_partial,
        "small_score_gap": gap is not None and gap < threshold,
        "low_first_share": rules.signal == "share" and share is not None and share < rules.share_threshold,
        "low_best_score": ranking.info.calibrated and best.relevance_score < rules.lowest_relevance,
        "first_stage_disagrees": best.id != first_stage_ids[0],
    }
    return [reason for reason, is_so in doubts.items() if is_so]
