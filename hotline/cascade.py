"""How a reranker that cannot score everything in time is asked: few lookups at once, what matters most first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from hotline.rerankers import make_lexical_reranker
from reranking.types import Ranking, RankingRequest, Reranker


def is_slow(reranker: Reranker | None) -> bool:
    """Whether it is a model on this machine's processor, where a deadline leaves some candidates unscored."""
    return reranker is not None and reranker.info.calibrated and reranker.info.device.startswith("cpu")


def choose_batch_size(reranker: Reranker | None) -> int:
    """How many lookups are ranked in one call, in which they share the latency budget.

    A processor scores no more in a second for having more to do: there each of many would get a part of the time.
    """
    return settings.RERANK_CPU_BATCH_LOOKUPS if is_slow(reranker) else settings.RERANK_BATCH_LOOKUPS


def add_priors(reranker: Reranker, requests: Sequence[RankingRequest]) -> list[RankingRequest]:
    """For a slow reranker, with the lexical scores as prior: it reads first what is likely to be right."""
    if not requests or not is_slow(reranker):
        return list(requests)
    guesses = make_lexical_reranker().rank(requests)
    return [_add_prior(request, guess) for request, guess in zip(requests, guesses, strict=True)]


def _add_prior(request: RankingRequest, guess: Ranking) -> RankingRequest:
    scores = {scored.id: scored.log_odds for scored in guess.scored}
    return replace(request, prior=[scores[candidate.id] for candidate in request.candidates])
