"""First-stage retrieval (初筛): a question to the documents that may answer it.

Several rankings of passages, and one of whole versions, are asked of the engine at once; every one is grouped to
documents here, and what is fused is ranks: scores of different fields or questions are not comparable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kb.search.types import Field, FieldQuery, IndexMissing, PassageHit, SearchFilter, SearchReader
from kb.segmentation import QueryAnalysis, Segmenter

PASSAGES_A_DOCUMENT = 3
SUMMED_RANKING = "stripped_bigrams"


@dataclass(frozen=True, slots=True)
class RankingPlan:
    """One ranking: which tokens are sought in which field, and what its ranks weigh in the fusion."""

    name: str
    field: Field
    tokens: Callable[[QueryAnalysis], tuple[str, ...]]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """How documents are found. `depth`: hits asked of each ranking; `rank_offset`: the constant k of reciprocal rank

    fusion; `variant_weight`: what a ranking of a variant of the question weighs against the question's own.
    """

    rankings: tuple[RankingPlan, ...]
    depth: int = 300
    rank_offset: float = 10.0
    variant_weight: float = 0.5


DEFAULT_PLAN = FusionPlan(
    (
        RankingPlan("bigrams", "bigrams", lambda query: query.full.bigrams, weight=0.5),
        RankingPlan("stripped_bigrams", "bigrams", lambda query: query.stripped.bigrams),
        RankingPlan("skip_bigrams", "skip_bigrams", lambda query: query.stripped.skip_bigrams),
        RankingPlan("words", "words", lambda query: query.stripped.words),
        RankingPlan("unigrams", "unigrams", lambda query: query.stripped.unigrams),
        RankingPlan("version_bigrams", "version_bigrams", lambda query: query.stripped.bigrams),
    )
)


@dataclass(frozen=True, slots=True)
class DocumentHit:
    """A document as found, in the version that answers best.

    `rank` counts from 1; `score` is the fused score, comparable within one question only; `passages` are its best,
    at most three, with fused scores of their own. `features`: for each ranking the document's BM25 score under the
    ranking's name and its share of the question's best under `NAME_share` (0 where it was not found), `fused` and
    `fused_share`; of SUMMED_RANKING also the shares of the second passage and of the best 3 and 10 passages' sums.
    """

    document_id: int
    version_id: int
    rank: int
    score: float
    passages: tuple[PassageHit, ...]
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FirstStageResult:
    """Documents best first, the index that was asked, and the time it took."""

    documents: tuple[DocumentHit, ...]
    index: str
    dictionary_sha256: str
    analysis_seconds: float
    search_seconds: float
    fusion_seconds: float

    @property
    def seconds(self) -> float:
        return self.analysis_seconds + self.search_seconds + self.fusion_seconds


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranking's hits with what its ranks weigh."""

    name: str
    weight: float
    hits: Sequence[PassageHit]


def retrieve(
    engine: SearchReader,
    query: str,
    search_filter: SearchFilter,
    *,
    limit: int = 50,
    variants: Sequence[str] = (),
    plan: FusionPlan = DEFAULT_PLAN,
    index: str | None = None,
    extra_rankings: Sequence[Ranked] = (),
) -> FirstStageResult:
    """The best `limit` documents for a question, from the live index unless one is named.

    `variants` are other wordings of the question; they help to find but weigh less. `extra_rankings`, asked elsewhere
    under the same filter, are fused with the index's own. Raises SearchEngineUnavailable, and IndexMissing where no
    index is live.
    """
    try:
        return _retrieve(
            engine, query, search_filter, limit, variants, plan, index or engine.live_index(), extra_rankings
        )
    except IndexMissing:
        # An alias that had just been read may name an index dropped since; once more with the one live now.
        if index is not None:
            raise
        return _retrieve(engine, query, search_filter, limit, variants, plan, engine.live_index(), extra_rankings)


def _retrieve(
    engine: SearchReader,
    query: str,
    search_filter: SearchFilter,
    limit: int,
    variants: Sequence[str],
    plan: FusionPlan,
    index: str,
    extra_rankings: Sequence[Ranked],
) -> FirstStageResult:
    began = time.perf_counter()
    segmenter = engine.segmenter(index)
    wanted = list(_plan_searches(segmenter, query, variants, plan))
    analysed = time.perf_counter()
    # Each search once: without question words a question and its stripped form are the same, and variants overlap.
    searches = list(dict.fromkeys(search for _, _, search in wanted))
    answers = engine.search_many(index, searches, search_filter, limit=plan.depth)
    searched = time.perf_counter()
    found = dict(zip(searches, answers, strict=True))
    ranked = [*(Ranked(name, weight, found[search]) for name, weight, search in wanted), *extra_rankings]
    documents = fuse_rankings(ranked, rank_offset=plan.rank_offset, limit=limit)
    fused = time.perf_counter()
    return FirstStageResult(
        documents, index, segmenter.dictionary.sha256, analysed - began, searched - analysed, fused - searched
    )


def _plan_searches(
    segmenter: Segmenter, query: str, variants: Sequence[str], plan: FusionPlan
) -> Iterator[tuple[str, float, FieldQuery]]:
    """Name, weight and search of each ranking. Variants' rankings have no name: they give no features."""
    analysis = segmenter.analyze_query(query)
    for ranking in plan.rankings:
        yield ranking.name, ranking.weight, FieldQuery(ranking.field, ranking.tokens(analysis))
    for variant in variants:
        analysis = segmenter.analyze_query(variant)
        for ranking in plan.rankings:
            yield "", ranking.weight * plan.variant_weight, FieldQuery(ranking.field, ranking.tokens(analysis))


def fuse_rankings(ranked: Sequence[Ranked], *, rank_offset: float, limit: int) -> tuple[DocumentHit, ...]:
    """Weighted reciprocal rank fusion: of versions, and for each version of its passages.

    A version found only as a whole, with none of its passages, has nothing to show and is left out.
    """
    fused: dict[int, float] = {}
    passages = _fuse_passages(ranked, rank_offset)
    for ranking in ranked:
        for rank, version_id in enumerate(dict.fromkeys(hit.version_id for hit in ranking.hits), start=1):
            if version_id in passages:
                fused[version_id] = fused.get(version_id, 0.0) + ranking.weight / (rank_offset + rank)
    chosen = _choose_versions(fused, passages, limit)
    features = _list_features(ranked, fused)
    return tuple(
        DocumentHit(
            document_id=passages[version_id][0].document_id,
            version_id=version_id,
            rank=rank,
            score=fused[version_id],
            passages=tuple(passages[version_id][:PASSAGES_A_DOCUMENT]),
            features=features(version_id),
        )
        for rank, version_id in enumerate(chosen, start=1)
    )


def _choose_versions(fused: Mapping[int, float], passages: Mapping[int, list[PassageHit]], limit: int) -> list[int]:
    """The best version of each of the best documents."""
    chosen: dict[int, int] = {}
    for version_id in sorted(fused, key=lambda version: (-fused[version], version)):
        chosen.setdefault(passages[version_id][0].document_id, version_id)
        if len(chosen) == limit:
            break
    return list(chosen.values())


def _fuse_passages(ranked: Sequence[Ranked], rank_offset: float) -> dict[int, list[PassageHit]]:
    """Each version's passages, best first, with fused scores."""
    scores: dict[int, float] = {}
    hits: dict[int, PassageHit] = {}
    for ranking in ranked:
        for rank, hit in enumerate(ranking.hits, start=1):
            if hit.passage_id:
                hits[hit.passage_id] = hit
                scores[hit.passage_id] = scores.get(hit.passage_id, 0.0) + ranking.weight / (rank_offset + rank)
    grouped: dict[int, list[PassageHit]] = {}
    for passage_id in sorted(scores, key=lambda passage: (-scores[passage], passage)):
        hit = hits[passage_id]
        grouped.setdefault(hit.version_id, []).append(
            PassageHit(passage_id, hit.version_id, hit.document_id, scores[passage_id])
        )
    return grouped


def _list_features(ranked: Sequence[Ranked], fused: Mapping[int, float]) -> Callable[[int], dict[str, float]]:
    """A function from a version to its features."""
    columns = {ranking.name: _best_scores(ranking.hits) for ranking in ranked if ranking.name}
    columns["fused"] = dict(fused)
    tops = {name: max(column.values(), default=0.0) or 1.0 for name, column in columns.items()}
    summed = _sum_passages(ranked) if SUMMED_RANKING in columns else {}
    summed_tops = {name: max(column.values(), default=0.0) or 1.0 for name, column in summed.items()}

    def list_features(version_id: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, column in columns.items():
            score = column.get(version_id, 0.0)
            found[name] = score
            found[f"{name}_share"] = score / tops[name]
        for name, column in summed.items():
            found[f"{name}_share"] = column.get(version_id, 0.0) / summed_tops[name]
        return found

    return list_features


def _sum_passages(ranked: Sequence[Ranked]) -> dict[str, dict[int, float]]:
    """Figures of several passages of a version, from the hits of SUMMED_RANKING."""
    scores: dict[int, list[float]] = {}
    for ranking in ranked:
        if ranking.name == SUMMED_RANKING:
            for hit in ranking.hits:
                scores.setdefault(hit.version_id, []).append(hit.score)
    return {
        f"{SUMMED_RANKING}_second": {version: sum(found[1:2]) for version, found in scores.items()},
        f"{SUMMED_RANKING}_top3": {version: sum(found[:3]) for version, found in scores.items()},
        f"{SUMMED_RANKING}_top10": {version: sum(found[:10]) for version, found in scores.items()},
    }


def _best_scores(hits: Sequence[PassageHit]) -> dict[int, float]:
    """Version id to the score of its best hit; hits come best first."""
    best: dict[int, float] = {}
    for hit in hits:
        best.setdefault(hit.version_id, hit.score)
    return best
