"""Rankings as the engine gives them: what several of them tell of a version, and whether they agree. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kb.search.types import PassageHit

SUMMED_RANKING = "stripped_bigrams"
PASSAGE_SUM = "passage_sum"
SUM_WEIGHTS = (1.0, 0.3, 0.2, 0.1)
"""What a version's best passages count in its sum: several that speak of the matter tell more than one."""
VARIANT = "variant_"
"""Before the names of rankings that were asked with a variant of the question."""
STRONG_LEAD = 0.75
"""The second's fused score, as a share of the first's, up to which a search on which all rankings agree is strong."""
_VARIANT_FUSED = f"{VARIANT}fused"

Column = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranking's hits, best first, with what its ranks weigh."""

    name: str
    weight: float
    hits: Sequence[PassageHit]


def is_weak(ranked: Sequence[Ranked], fused: Column) -> bool:
    """Whether a search left doubt: its rankings do not all put the same version first, or another is near it.

    `fused`: the versions' scores, one version a document. A question in the words of its policy mostly gets one first
    from characters, words and whole texts alike; where they differ, other wordings help to find. Ranks alone decide,
    so that the size of an index does not matter.
    """
    firsts = {ranking.hits[0].version_id if ranking.hits else 0 for ranking in ranked}
    is_agreed = len(firsts) == 1 and 0 not in firsts
    best = heapq.nlargest(2, fused.values())
    return not is_agreed or (len(best) > 1 and best[1] > STRONG_LEAD * best[0])


def fuse_ranks(ranked: Sequence[Ranked], *, rank_offset: float) -> dict[int, float]:
    """Weighted reciprocal rank fusion of versions, each in the place of its best hit among versions: id to score."""
    fused: dict[int, float] = {}
    for ranking in ranked:
        for rank, version_id in enumerate(list_versions(ranking), start=1):
            fused[version_id] = fused.get(version_id, 0.0) + ranking.weight / (rank_offset + rank)
    return fused


def list_versions(ranking: Ranked) -> list[int]:
    """Version ids, best first."""
    return list(dict.fromkeys(hit.version_id for hit in ranking.hits))


def sum_passages(ranking: Ranked, *, name: str, weight: float) -> Ranked:
    """A ranking of versions by the weighed sum of their best passages' scores, from a ranking of passages."""
    scores: dict[tuple[int, int], list[float]] = {}
    for hit in ranking.hits:
        scores.setdefault((hit.version_id, hit.document_id), []).append(hit.score)
    hits = [
        PassageHit(0, version_id, document_id, sum(w * s for w, s in zip(SUM_WEIGHTS, found, strict=False)))
        for (version_id, document_id), found in scores.items()
    ]
    return Ranked(name, weight, sorted(hits, key=lambda hit: (-hit.score, hit.version_id)))


def list_features(ranked: Sequence[Ranked], fused: Column, *, rank_offset: float) -> Callable[[int], dict[str, float]]:
    """A function from a version to its features; those of variants only where variants were searched."""
    own = [ranking for ranking in ranked if not ranking.name.startswith(VARIANT)]
    columns: dict[str, Column] = {ranking.name: _best_scores(ranking.hits) for ranking in own if ranking.name}
    columns["fused"] = fused
    shares = {name: _share(column) for name, column in columns.items()}
    shares |= _share_sums(own, "")
    variants = [ranking for ranking in ranked if ranking.name.startswith(VARIANT)]
    shares |= _share_variants(variants, rank_offset)

    def list_version(version_id: int) -> dict[str, float]:
        scores = {name: column.get(version_id, 0.0) for name, column in columns.items()}
        return scores | {f"{name}_share": column.get(version_id, 0.0) for name, column in shares.items()}

    return list_version


def _share_variants(variants: Sequence[Ranked], rank_offset: float) -> dict[str, Column]:
    """For each ranking the best share over all variants, and the share of what they come to when fused."""
    if not variants:
        return {}
    best: dict[str, dict[int, float]] = {}
    for ranking in variants:
        column = best.setdefault(ranking.name, {})
        for version_id, share in _share(_best_scores(ranking.hits)).items():
            column[version_id] = max(share, column.get(version_id, 0.0))
    fused = fuse_ranks(variants, rank_offset=rank_offset)
    return {**best, **_share_sums(variants, VARIANT), _VARIANT_FUSED: _share(fused)}


def _share_sums(ranked: Sequence[Ranked], prefix: str) -> dict[str, Column]:
    """Shares of the second passage and of the best 3 and 10 passages' sums, of SUMMED_RANKING."""
    name = f"{prefix}{SUMMED_RANKING}"
    found: dict[int, list[float]] = {}
    for ranking in ranked:
        scores: dict[int, list[float]] = {}
        if ranking.name == name:
            for hit in ranking.hits:
                scores.setdefault(hit.version_id, []).append(hit.score)
        for version_id, own in scores.items():
            found[version_id] = max(own, found.get(version_id, []), key=lambda row: sum(row[:10]))
    if not any(ranking.name == name for ranking in ranked):
        return {}
    return {
        f"{name}_second": _share({version: sum(scores[1:2]) for version, scores in found.items()}),
        f"{name}_top3": _share({version: sum(scores[:3]) for version, scores in found.items()}),
        f"{name}_top10": _share({version: sum(scores[:10]) for version, scores in found.items()}),
    }


def _share(column: Column) -> Column:
    """Scores as shares of the best."""
    best = max(column.values(), default=0.0) or 1.0
    return {version_id: score / best for version_id, score in column.items()}


def _best_scores(hits: Sequence[PassageHit]) -> dict[int, float]:
    """Version id to the score of its best hit; hits come best first."""
    best: dict[int, float] = {}
    for hit in hits:
        best.setdefault(hit.version_id, hit.score)
    return best
