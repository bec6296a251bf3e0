"""First-stage retrieval (初筛): a question to the documents that may answer it.

Several rankings of passages, and one of whole versions, are asked of the engine at once; every one is grouped to
documents here, and what is fused is ranks: scores of different fields or questions are not comparable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kb.rankings import PASSAGE_SUM, SUMMED_RANKING, VARIANT, fuse_ranks, is_weak, list_features, sum_passages
from kb.rankings import Ranked as Ranked
from kb.search.types import Field, FieldQuery, IndexMissing, PassageHit, SearchFilter, SearchReader
from kb.segmentation import QueryAnalysis, Segmenter

PASSAGES_A_DOCUMENT = 3


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

    fusion; `variant_weight`: what a ranking of a variant of the question weighs against the question's own;
    `sum_weight`: what the ranking by sums of passages weighs, which costs no search.
    """

    rankings: tuple[RankingPlan, ...]
    depth: int = 300
    rank_offset: float = 10.0
    variant_weight: float = 0.5
    sum_weight: float = 1.0


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
    Where variants were searched, the best share among them under `variant_NAME_share`.
    """

    document_id: int
    version_id: int
    rank: int
    score: float
    passages: tuple[PassageHit, ...]
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FirstStageResult:
    """Documents best first, the index that was asked, and the time it took.

    `variants`: the wordings that were searched beside the question, those of `if_weak` only where they were.
    `rankings`: all that were fused.
    """

    documents: tuple[DocumentHit, ...]
    index: str
    dictionary_sha256: str
    analysis_seconds: float
    search_seconds: float
    fusion_seconds: float
    variants: tuple[str, ...] = ()
    rankings: tuple[Ranked, ...] = field(default=(), repr=False, compare=False)

    @property
    def seconds(self) -> float:
        return self.analysis_seconds + self.search_seconds + self.fusion_seconds


def retrieve(
    engine: SearchReader,
    query: str,
    search_filter: SearchFilter,
    *,
    limit: int = 50,
    variants: Sequence[str] = (),
    if_weak: Sequence[str] = (),
    plan: FusionPlan = DEFAULT_PLAN,
    index: str | None = None,
    extra_rankings: Sequence[Ranked] = (),
) -> FirstStageResult:
    """The best `limit` documents for a question, from the live index unless one is named.

    `variants` are other wordings of the question; they help to find but weigh less. `if_weak` are searched too where
    the first search left doubt (kb.rankings.is_weak). `extra_rankings`, asked elsewhere under the same filter, are
    fused with the index's own. Raises SearchEngineUnavailable, and IndexMissing where no index is live.
    """
    wanted = _Wanted(query, tuple(variants), tuple(if_weak), search_filter, limit, plan, tuple(extra_rankings))
    try:
        return _retrieve(engine, wanted, index or engine.live_index())
    except IndexMissing:
        # An alias that had just been read may name an index dropped since; once more with the one live now.
        if index is not None:
            raise
        return _retrieve(engine, wanted, engine.live_index())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What `retrieve` was asked for."""

    query: str
    variants: tuple[str, ...]
    if_weak: tuple[str, ...]
    search_filter: SearchFilter
    limit: int
    plan: FusionPlan
    extra_rankings: tuple[Ranked, ...]


def _retrieve(engine: SearchReader, wanted: _Wanted, index: str) -> FirstStageResult:
    searches = _Searches(engine, index, wanted)
    own = searches.add_sums(searches.rank("", wanted.query, 1.0), "")
    variants = wanted.variants
    if wanted.if_weak and _is_weak(own, wanted.plan):
        variants += tuple(text for text in wanted.if_weak if text not in variants)
    others = [ranking for text in variants for ranking in searches.rank(VARIANT, text, wanted.plan.variant_weight)]
    began = time.perf_counter()
    ranked = [*own, *searches.add_sums(others, VARIANT), *wanted.extra_rankings]
    documents = fuse_rankings(ranked, rank_offset=wanted.plan.rank_offset, limit=wanted.limit)
    fused = time.perf_counter() - began
    sha256 = searches.segmenter.dictionary.sha256
    return FirstStageResult(
        documents, index, sha256, searches.analysis_seconds, searches.search_seconds, fused, variants, tuple(ranked)
    )


def _is_weak(ranked: Sequence[Ranked], plan: FusionPlan) -> bool:
    """Of each document its best version counts: a document's other versions are no rivals."""
    fused = fuse_ranks(ranked, rank_offset=plan.rank_offset)
    shown = {hit.version_id: hit.document_id for ranking in ranked for hit in ranking.hits if hit.passage_id}
    best: dict[int, float] = {}
    for version_id, document_id in shown.items():
        best[document_id] = max(fused[version_id], best.get(document_id, 0.0))
    return is_weak(ranked, best)


class _Searches:
    """Asks the engine for the rankings of one wording after the other, each search once: without question words a

    question and its stripped form are the same, and variants overlap. Counts the time.
    """

    def __init__(self, engine: SearchReader, index: str, wanted: _Wanted) -> None:
        self._engine, self._index, self._wanted = engine, index, wanted
        self._found: dict[FieldQuery, Sequence[PassageHit]] = {}
        self.analysis_seconds = self.search_seconds = 0.0
        began = time.perf_counter()
        self.segmenter = engine.segmenter(index)
        self.analysis_seconds += time.perf_counter() - began

    def rank(self, prefix: str, text: str, weight: float) -> list[Ranked]:
        """The plan's rankings of a wording, their names with the prefix."""
        plan, began = self._wanted.plan, time.perf_counter()
        planned = list(_plan_searches(self.segmenter, text, plan))
        analysed = time.perf_counter()
        fresh = [search for search in dict.fromkeys(search for _, search in planned) if search not in self._found]
        if fresh:
            answers = self._engine.search_many(self._index, fresh, self._wanted.search_filter, limit=plan.depth)
            self._found |= dict(zip(fresh, answers, strict=True))
        self.analysis_seconds += analysed - began
        self.search_seconds += time.perf_counter() - analysed
        return [Ranked(prefix + r.name, weight * r.weight, self._found[search]) for r, search in planned]

    def add_sums(self, ranked: Sequence[Ranked], prefix: str) -> list[Ranked]:
        """The rankings, and after each of SUMMED_RANKING that of its versions' sums."""
        added = []
        for ranking in ranked:
            added.append(ranking)
            if self._wanted.plan.sum_weight and ranking.name == prefix + SUMMED_RANKING:
                weight = self._wanted.plan.sum_weight * ranking.weight
                added.append(sum_passages(ranking, name=prefix + PASSAGE_SUM, weight=weight))
        return added


def _plan_searches(segmenter: Segmenter, text: str, plan: FusionPlan) -> Iterator[tuple[RankingPlan, FieldQuery]]:
    analysis = segmenter.analyze_query(text)
    for ranking in plan.rankings:
        yield ranking, FieldQuery(ranking.field, ranking.tokens(analysis))


def fuse_rankings(ranked: Sequence[Ranked], *, rank_offset: float, limit: int) -> tuple[DocumentHit, ...]:
    """Weighted reciprocal rank fusion: of versions, and for each version of its passages.

    A version found only as a whole, with none of its passages, has nothing to show and is left out.
    """
    passages = _fuse_passages(ranked, rank_offset)
    fused = {
        version_id: score
        for version_id, score in fuse_ranks(ranked, rank_offset=rank_offset).items()
        if version_id in passages
    }
    chosen = _choose_versions(fused, passages, limit)
    features = list_features(ranked, fused, rank_offset=rank_offset)
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
