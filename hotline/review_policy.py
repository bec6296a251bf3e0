"""Which rules of secondary review hold for the reranker that ordered a list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from hotline.rerankers import load_lexical_model
from hotline.retrieval_settings import RetrievalSettings, name_revision
from reranking.lexical import NAME as LEXICAL
from reranking.score_gap import Decision, ReviewRules, decide_review
from reranking.types import Candidate, Ranking, RerankerInfo

AS_CONFIGURED = RetrievalSettings()
QUALITY_SAMPLE = "quality_sample"


def judge_lookup(
    *,
    question: str,
    candidates: Sequence[Candidate],
    ranking: Ranking | None,
    retrieval: RetrievalSettings = AS_CONFIGURED,
    category: str = "",
) -> Decision:
    """`candidates` in first-stage order; `category` is the ticket's line of business."""
    rules = rules_for(ranking, retrieval, category)
    return decide_review(
        ranking, question=question, first_stage_ids=[candidate.id for candidate in candidates], rules=rules
    )


def rules_for(ranking: Ranking | None, retrieval: RetrievalSettings = AS_CONFIGURED, category: str = "") -> ReviewRules:
    """Thresholds belong to a reranker's revision: the lexical model's lie beside its coefficients.

    What `retrieval` says of them goes before where it is for this revision; what it says of the line of business
    before all, for the signal that sends.
    """
    rules = _configured_rules(ranking)
    if retrieval.thresholds_for and (ranking is None or not belong_to(retrieval, ranking.info)):
        return rules
    own = retrieval.thresholds_by_category.get(category)
    by_gap = rules.signal == "gap"
    gap = own if by_gap and own is not None else retrieval.gap_base_threshold
    share = own if not by_gap and own is not None else retrieval.first_share_threshold
    return replace(
        rules,
        base_threshold=rules.base_threshold if gap is None else gap,
        share_threshold=rules.share_threshold if share is None else share,
    )


def belong_to(retrieval: RetrievalSettings, info: RerankerInfo) -> bool:
    """Whether the settings' thresholds act for this reranker. Pure."""
    return retrieval.thresholds_for in {"", name_revision(info.name, info.revision)}


def drop_thresholds(retrieval: RetrievalSettings, reranker: str) -> RetrievalSettings:
    """Without what was found for an earlier revision of `reranker`; what belongs to another one stays. Pure."""
    if retrieval.thresholds_for and not retrieval.thresholds_for.startswith(f"{reranker} "):
        return retrieval
    return replace(retrieval, first_share_threshold=None, thresholds_by_category={}, thresholds_for="")


def _configured_rules(ranking: Ranking | None) -> ReviewRules:
    if ranking and ranking.info.name == LEXICAL:
        fitted = load_lexical_model().review
        share = settings.FIRST_SHARE_THRESHOLD
        return replace(
            fitted,
            base_threshold=settings.GAP_BASE_THRESHOLD,
            share_threshold=fitted.share_threshold if share is None else share,
        )
    return ReviewRules(base_threshold=settings.GAP_BASE_THRESHOLD, lowest_relevance=settings.LOW_BEST_RELEVANCE)


def is_sampled(lookup_id: int, percent: float) -> bool:
    """Whether an undoubted lookup goes to review all the same: `percent` of them, by a hash of the id."""
    drawn = int.from_bytes(hashlib.sha256(f"review-sample:{lookup_id}".encode()).digest()[:8], "big")
    return drawn < percent / 100 * 2**64
