"""Which rules of secondary review hold for the reranker that ordered a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from hotline.rerankers import load_lexical_model
from reranking.lexical import NAME as LEXICAL
from reranking.score_gap import Decision, ReviewRules, decide_review
from reranking.types import Candidate, Ranking


def judge_lookup(*, question: str, candidates: Sequence[Candidate], ranking: Ranking | None) -> Decision:
    """`candidates` in first-stage order."""
    rules = rules_for(ranking)
    return decide_review(
        ranking, question=question, first_stage_ids=[candidate.id for candidate in candidates], rules=rules
    )


def rules_for(ranking: Ranking | None) -> ReviewRules:
    """Thresholds belong to a reranker's revision: the lexical model's lie beside its coefficients."""
    if ranking and ranking.info.name == LEXICAL:
        fitted = load_lexical_model().review
        share = settings.FIRST_SHARE_THRESHOLD
        return replace(
            fitted,
            base_threshold=settings.GAP_BASE_THRESHOLD,
            share_threshold=fitted.share_threshold if share is None else share,
        )
    return ReviewRules(base_threshold=settings.GAP_BASE_THRESHOLD, lowest_relevance=settings.LOW_BEST_RELEVANCE)
