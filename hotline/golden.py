"""The gate before a change goes live: the golden questions asked as it is and as it would be. Writes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from django.utils import timezone

from hotline.errors import DeskError
from hotline.labels import NOTICES, REASONS, name_codes
from hotline.measurement import MEASURES, Figures, LabelledQuestion, MeasuredRow, measure
from hotline.models import GoldenQuestion, User
from hotline.rerankers import is_neural
from hotline.retrieval_settings import RetrievalSettings
from hotline.services.rerank_jobs import QueuedReranker
from kb.query_understanding import Rules
from reranking.threshold_learning import TARGET_ERROR
from reranking.types import Reranker

logger = logging.getLogger(__name__)

CHANGED_ROWS = 200  # kept of those whose right policy moved, the worst falls first
ANSWER_SECONDS = 120.0  # for a batch of questions, from a neural reranker's worker
NOT_FOUND = 10_000  # a place behind all
_SMALLEST_FALL = 1e-6
DEGRADED = ("reranker_unavailable", "partial_rerank", "fell_back", "semantic_unavailable")
"""Notices of a question that was not asked as the settings say: what it found says nothing of them."""
Progress = Callable[[int], None]


class DegradedComparison(DeskError):
    """Something was away or too slow while the questions were asked; to be compared again."""

    code = "comparison_degraded"
    status = 503

    def __init__(self, rows: Sequence[MeasuredRow]) -> None:
        said = {name for row in rows for name in row.notices if name in DEGRADED}
        reasons = "、".join(name_codes([name for name in DEGRADED if name in said], {**REASONS, **NOTICES}))
        super().__init__(f"{len(rows)} 个标准问题没有正常问完（{reasons}），指标不能比较；恢复后请再比一次。")


class Side(NamedTuple):
    """How questions are asked on one side of the comparison.

    None: the live rules, the configured reranker, the instructions that are saved.
    """

    settings: RetrievalSettings
    rules: Rules | None = None
    reranker: Reranker | None = None
    instructions: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A golden question whose first right policy moved; its place before and after, None where it is not found."""

    question: str
    before: int | None
    after: int | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GoldenComparison:
    """`fallen`: names of the figures that hold the change back. Without golden questions nothing is known or held."""

    before: Figures | None
    after: Figures | None
    fallen: tuple[str, ...] = ()
    changed: tuple[ChangedRow, ...] = ()

    @property
    def is_held(self) -> bool:
        return bool(self.fallen)


def compare_on_golden(
    *,
    before: Side,
    after: Side,
    by: User | None = None,
    on_progress: Progress | None = None,
) -> GoldenComparison:
    """Every golden question asked twice, as of today. `on_progress` hears how many askings are done, of twice as many

    as there are questions. `by` is named in the log. Raises SearchUnavailable, UnknownIndex, DegradedComparison.
    """
    questions = load_golden_questions()
    logger.info("user %s compares a change on %s golden questions", by.pk if by else None, len(questions))
    if not questions:
        return GoldenComparison(None, None)
    today = timezone.localdate()
    measured: list[tuple[Figures, list[MeasuredRow]]] = []
    for place, side in enumerate((before, after)):
        done = place * len(questions)
        measured.append(
            measure(
                questions,
                side.settings,
                as_of=today,
                rules=side.rules,
                reranker=side.reranker or _reach_reranker(),
                instructions=side.instructions,
                on_progress=_shift(on_progress, done),
            )
        )
        if degraded := [row for row in measured[-1][1] if not set(DEGRADED).isdisjoint(row.notices)]:
            raise DegradedComparison(degraded)
    (figures_before, rows_before), (figures_after, rows_after) = measured
    return GoldenComparison(
        figures_before,
        figures_after,
        find_fallen(figures_before, figures_after),
        find_changed(rows_before, rows_after),
    )


def load_golden_questions() -> list[LabelledQuestion]:
    """Oldest first."""
    rows = GoldenQuestion.objects.order_by("id").prefetch_related("documents")
    return [
        LabelledQuestion(row.question, frozenset(item.pk for item in row.documents.all()), row.category) for row in rows
    ]


def find_fallen(before: Figures, after: Figures) -> tuple[str, ...]:
    """Names of what got worse.

    Top-1 of the unreviewed counts where it falls below the target that thresholds are learned for: down to that,
    fewer reviews at the price of some errors are what an administrator may want.
    """
    fallen = [name for name in MEASURES if _falls(getattr(before, name), getattr(after, name))]
    rest = after.top1_of_rest
    if rest is not None and rest < 100 * (1 - TARGET_ERROR) and _falls(_rest_of(before), rest):
        fallen.append("top1_of_rest")
    return tuple(fallen)


def find_changed(before: Sequence[MeasuredRow], after: Sequence[MeasuredRow]) -> tuple[ChangedRow, ...]:
    """The questions whose right policy moved, the deepest falls first."""
    changed = [
        ChangedRow(old.question or new.question, old.right_rank, new.right_rank)
        for old, new in zip(before, after, strict=True)
        if old.right_rank != new.right_rank
    ]
    changed.sort(key=lambda row: (row.before or NOT_FOUND) - (row.after or NOT_FOUND))
    return tuple(changed[:CHANGED_ROWS])


def _reach_reranker() -> Reranker | None:
    """No neural model is loaded here: its worker answers, while it goes on with the lookups that wait."""
    return QueuedReranker(wait_seconds=ANSWER_SECONDS) if is_neural() else None


def _rest_of(figures: Figures) -> float:
    """Where everything is reviewed, nothing unreviewed is wrong."""
    return 100.0 if figures.top1_of_rest is None else figures.top1_of_rest


def _falls(before: float | None, after: float | None) -> bool:
    return before is not None and (after is None or after < before - _SMALLEST_FALL)


def _shift(on_progress: Progress | None, done: int) -> Progress | None:
    return (lambda asked: on_progress(done + asked)) if on_progress else None
