"""Which thresholds the verdicts ask for: over all, and by line of business where there are enough of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hotline.learning import LEXICAL, list_judgements
from hotline.models import Lookup
from hotline.retrieval_settings import RetrievalSettings
from reranking.threshold_learning import TARGET_ERROR, CurvePoint, Judgement, draw_curve, find_threshold

LEAST_VERDICTS = 100
LEAST_SAMPLED = 30
"""Drawn at random, without which nothing is known of the unreviewed."""


@dataclass(frozen=True, slots=True)
class Advice:
    """`point` is the threshold to take, None where there is none; `missing` then says why, in Chinese."""

    verdicts: int
    sampled: int
    curve: tuple[CurvePoint, ...]
    point: CurvePoint | None
    missing: str


@dataclass(frozen=True, slots=True)
class ThresholdAdvice:
    """For one reranker's revision. `signal` is share or gap."""

    reranker: str
    revision: str
    signal: str
    target: float
    overall: Advice
    by_category: Mapping[str, Advice]


def advise_thresholds(*, target: float = TARGET_ERROR) -> ThresholdAdvice:
    """For the reranker that ordered the newest finished lookup."""
    newest = Lookup.objects.filter(state=Lookup.State.DONE).exclude(reranker="").order_by("-id")
    reranker, revision = newest.values_list("reranker", "reranker_revision").first() or (LEXICAL, "")
    judgements = list_judgements(reranker=reranker, revision=revision)
    everything = [item for own in judgements.values() for item in own]
    signal = "share" if reranker == LEXICAL else "gap"
    by_category = {category: advise(own, target=target) for category, own in sorted(judgements.items()) if category}
    return ThresholdAdvice(reranker, revision, signal, target, advise(everything, target=target), by_category)


def advise(judgements: Sequence[Judgement], *, target: float) -> Advice:
    """Pure."""
    sampled = sum(item.chance < 1 for item in judgements)
    curve = draw_curve(judgements)
    if len(judgements) < LEAST_VERDICTS:
        return Advice(
            len(judgements), sampled, curve, None, f"只有 {len(judgements)} 条复核结论，至少需要 {LEAST_VERDICTS} 条。"
        )
    if sampled < LEAST_SAMPLED:
        missing = f"只有 {sampled} 条随机抽检的结论，至少需要 {LEAST_SAMPLED} 条，否则不知道未送复核的有多少错。"
        return Advice(len(judgements), sampled, curve, None, missing)
    point = find_threshold(curve, target=target)
    missing = "" if point else f"没有哪个阈值能把未复核的错误率降到 {target:.0%}。"
    return Advice(len(judgements), sampled, curve, point, missing)


def with_learned(settings: RetrievalSettings, advice: ThresholdAdvice) -> RetrievalSettings:
    """The settings with the thresholds that the verdicts ask for; what they say nothing of stays. Pure."""
    point = advice.overall.point
    if point is None:
        return settings
    threshold = round(point.threshold, 4)
    if advice.signal == "gap":
        return replace(settings, gap_base_threshold=threshold)
    own = {name: round(item.point.threshold, 4) for name, item in advice.by_category.items() if item.point}
    return replace(
        settings, first_share_threshold=threshold, thresholds_by_category={**settings.thresholds_by_category, **own}
    )
