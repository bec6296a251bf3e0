"""Why a document was found: what each ranking gave it, and how much of that each word gave.

BM25 is a sum over the words of a query, so that a word asked for alone gives its part of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kb.rankings import Ranked, list_versions
from kb.retrieval import DEFAULT_PLAN, FusionPlan, RankingPlan
from kb.search.types import FieldQuery, PassageHit, SearchFilter, SearchReader

MOST_TOKENS = 30  # of a ranking that are asked for alone
DEPTH = 300


@dataclass(frozen=True, slots=True)
class TokenHit:
    """A word of the question and its part of a document's BM25 score, in the score's own unit."""

    token: str
    score: float


@dataclass(frozen=True, slots=True)
class RankingHit:
    """A document in one ranking: its place among documents, from 1, its BM25 score, and its share of the best.

    `tokens`: the words that count most, best first; `rest`: the part of the score of words too common to be told.
    `weight`: what the ranking weighs in the fusion.
    """

    name: str
    place: int
    score: float
    share: float
    tokens: tuple[TokenHit, ...]
    rest: float
    weight: float


def explain_documents(
    engine: SearchReader,
    query: str,
    search_filter: SearchFilter,
    version_ids: Collection[int],
    *,
    index: str,
    plan: FusionPlan = DEFAULT_PLAN,
) -> dict[int, tuple[RankingHit, ...]]:
    """For each version the rankings in which it was found, in the plan's order. Raises SearchEngineError."""
    analysis = engine.segmenter(index).analyze_query(query)
    wanted = [(ranking, ranking.tokens(analysis)) for ranking in plan.rankings]
    searches = list(dict.fromkeys(search for ranking, tokens in wanted for search in _list_searches(ranking, tokens)))
    answers = engine.search_many(index, searches, search_filter, limit=DEPTH)
    found = dict(zip(searches, answers, strict=True))
    explained: dict[int, list[RankingHit]] = {version_id: [] for version_id in version_ids}
    for ranking, tokens in wanted:
        scores = {token: _score_passages(found[FieldQuery(ranking.field, (token,))]) for token in _choose(tokens)}
        for place, hit in enumerate(_best_hits(found[FieldQuery(ranking.field, tokens)]), start=1):
            if hit.version_id in explained:
                best = found[FieldQuery(ranking.field, tokens)][0].score
                explained[hit.version_id].append(_explain(ranking, place, hit, best, Counter(tokens), scores))
    return {version_id: tuple(hits) for version_id, hits in explained.items()}


def explain_others(
    rankings: Sequence[Ranked], version_ids: Collection[int], *, plan: FusionPlan = DEFAULT_PLAN
) -> dict[int, tuple[RankingHit, ...]]:
    """For each version its place in those `rankings` of a search that are not the plan's own of the question:

    sums of passages, wordings searched beside it, recall by meaning. Without words; scores in each ranking's unit.
    """
    own = {ranking.name for ranking in plan.rankings}
    explained: dict[int, list[RankingHit]] = {version_id: [] for version_id in version_ids}
    for ranking in rankings:
        if ranking.name not in own:
            best = ranking.hits[0].score if ranking.hits else 0.0
            scores = {hit.version_id: hit.score for hit in _best_hits(ranking.hits)}
            for place, version_id in enumerate(list_versions(ranking), start=1):
                if version_id in explained:
                    score = scores[version_id]
                    share = score / best if best else 0.0
                    explained[version_id].append(
                        RankingHit(ranking.name, place, round(score, 3), share, (), 0.0, ranking.weight)
                    )
    return {version_id: tuple(hits) for version_id, hits in explained.items()}


def _list_searches(ranking: RankingPlan, tokens: tuple[str, ...]) -> list[FieldQuery]:
    """The ranking itself, and its words each alone."""
    return [FieldQuery(ranking.field, tokens), *(FieldQuery(ranking.field, (token,)) for token in _choose(tokens))]


def _choose(tokens: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(tokens))[:MOST_TOKENS]


def _best_hits(hits: Sequence[PassageHit]) -> list[PassageHit]:
    """Of each version its best."""
    best: dict[int, PassageHit] = {}
    for hit in hits:
        best.setdefault(hit.version_id, hit)
    return list(best.values())


def _score_passages(hits: Sequence[PassageHit]) -> dict[tuple[int, int], float]:
    return {(hit.version_id, hit.passage_id): hit.score for hit in hits}


def _explain(
    ranking: RankingPlan,
    place: int,
    hit: PassageHit,
    best: float,
    counts: Mapping[str, int],
    scores: Mapping[str, Mapping[tuple[int, int], float]],
) -> RankingHit:
    key = (hit.version_id, hit.passage_id)
    parts = [TokenHit(token, round(counts[token] * own[key], 3)) for token, own in scores.items() if key in own]
    parts.sort(key=lambda part: -part.score)
    rest = max(0.0, hit.score - sum(part.score for part in parts))
    share = hit.score / (best or 1.0)
    return RankingHit(ranking.name, place, round(hit.score, 3), share, tuple(parts), round(rest, 3), ranking.weight)
