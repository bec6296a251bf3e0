"""Which thresholds the verdicts ask for: over all, and by line of business where there are enough of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hotline.learning import list_judgements
from hotline.live_settings import get_live_settings
from hotline.models import Lookup
from hotline.rerankers import is_neural, load_lexical_model
from hotline.retrieval_settings import RetrievalSettings, name_revision
from reranking.lexical import NAME as LEXICAL
from reranking.threshold_learning import TARGET_ERROR, CurvePoint, Judgement, draw_curve, find_threshold

LEAST_VERDICTS = 100
LEAST_SAMPLED = 30
"""Drawn at random, without which nothing is known of the unreviewed."""
SMALLEST_MOVE = 0.01  # of a threshold: less is noise


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

    @property
    def belongs_to(self) -> str:
        return name_revision(self.reranker, self.revision)


def advise_thresholds(*, target: float = TARGET_ERROR) -> ThresholdAdvice:
    """For the reranker that orders now."""
    reranker, revision = find_live_reranker()
    judgements = list_judgements(reranker=reranker, revision=revision)
    everything = [item for own in judgements.values() for item in own]
    signal = "share" if reranker == LEXICAL else "gap"
    by_category = {category: advise(own, target=target) for category, own in sorted(judgements.items()) if category}
    return ThresholdAdvice(reranker, revision, signal, target, advise(everything, target=target), by_category)


def find_live_reranker() -> tuple[str, str]:
    """Name and revision of what orders lookups: where a neural one may, what ordered the newest."""
    live = get_live_settings().reranker
    if live == "configured" and is_neural():
        newest = Lookup.objects.filter(state=Lookup.State.DONE).exclude(reranker="").order_by("-id")
        found = newest.values_list("reranker", "reranker_revision").first()
        if found and found[0] != LEXICAL:
            return found
    return LEXICAL, load_lexical_model().revision


def find_idle_thresholds(settings: RetrievalSettings) -> str:
    """To which revision the settings' thresholds belong where it is not the one that orders: they do not act then."""
    is_for_another = settings.thresholds_for not in {"", name_revision(*find_live_reranker())}
    return settings.thresholds_for if is_for_another else ""


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
    """The settings with the thresholds that the verdicts ask for, bound to the reranker that they are on. Pure.

    Lines of business for which the verdicts say nothing any more go by the overall one again.
    """
    point = advice.overall.point
    if point is None:
        return settings
    own = {name: round(item.point.threshold, 4) for name, item in advice.by_category.items() if item.point}
    name = "gap_base_threshold" if advice.signal == "gap" else "first_share_threshold"
    return replace(
        settings,
        thresholds_by_category=own,
        thresholds_for=advice.belongs_to,
        **{name: round(point.threshold, 4)},  # type: ignore[arg-type]  # both are numbers
    )


def has_moved(live: RetrievalSettings, wanted: RetrievalSettings) -> bool:
    """Whether any threshold moved by SMALLEST_MOVE, came, went, or belongs to another revision. Pure."""
    if live.thresholds_for != wanted.thresholds_for:
        return True
    if live.thresholds_by_category.keys() != wanted.thresholds_by_category.keys():
        return True
    pairs = [
        (live.gap_base_threshold, wanted.gap_base_threshold),
        (live.first_share_threshold, wanted.first_share_threshold),
        *((live.thresholds_by_category[name], own) for name, own in wanted.thresholds_by_category.items()),
    ]
    return any(new is not None and (old is None or abs(new - old) >= SMALLEST_MOVE) for old, new in pairs)
