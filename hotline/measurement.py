"""Figures of many questions asked under the same settings: what a change of settings, dictionaries or index does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from django.conf import settings as configured

from hotline.candidate_source import CandidateSource
from hotline.errors import DeskError
from hotline.evaluation.metrics import average, judge_order, percentage, percentile
from hotline.rerankers import get_reranker
from hotline.retrieval_settings import RetrievalSettings, name_revision
from hotline.trials import STAGES, Trial, run_trials
from kb.query_understanding import Rules
from reranking.types import Reranker

MEASURES = ("top1", "mrr5", "ndcg3", "recall50")
_COLUMNS = {"top1": "top1", "mrr5": "mrr@5", "ndcg3": "ndcg@3", "recall50": "recall@50"}
SHOWN = 5  # documents of a question that its row keeps
CONDITIONS = {"index": "索引", "dictionary": "词典", "reranker": "重排", "embedder": "嵌入模型"}
"""What a figure was measured on, beside the settings."""
Conditions = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with the policies any of which answers it; without any it is asked all the same.

    `category`: the line of business, as of a ticket.
    """

    text: str
    right_document_ids: frozenset[int] = frozenset()
    category: str = ""


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """One question's outcome. `right_rank`: the place of the first right document, None where it is not found.

    `order`: the first SHOWN policies' ids. `error`: why the question could not be asked, empty where it was.
    `notices`: what did not go as it should. `conditions`, by CONDITIONS, is of the moment and not kept with the row.
    """

    question: str
    right_document_ids: tuple[int, ...]
    order: tuple[int, ...]
    right_rank: int | None
    figures: Mapping[str, float]
    gap: float | None
    needs_review: bool
    reasons: tuple[str, ...]
    milliseconds: Mapping[str, float]
    error: str = ""
    notices: tuple[str, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        return bool(self.right_document_ids)

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "conditions"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MeasuredRow:
        names = ("right_document_ids", "order", "reasons", "notices")
        tuples = {name: tuple(data[name]) for name in names if name in data}
        return cls(**{**data, **tuples})


@dataclass(frozen=True, slots=True)
class Figures:
    """Means in percent over the labelled questions; None where none is labelled.

    `sent`: the share of all questions in doubt, before any machine check; `top1_of_rest`: Top-1 of the labelled ones
    that are not. `milliseconds`: by stage and in total, median and p95. `notices`: with how many questions each came.
    """

    queries: int
    labelled: int
    top1: float | None
    mrr5: float | None
    ndcg3: float | None
    recall50: float | None
    sent: float | None
    top1_of_rest: float | None
    milliseconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failed: int = 0
    notices: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figures:
        return cls(**data)


def measure(
    questions: Sequence[LabelledQuestion],
    settings: RetrievalSettings,
    *,
    as_of: date,
    departments: tuple[str, ...] | None = None,
    rules: Rules | None = None,
    reranker: Reranker | None = None,
    instructions: Mapping[str, str] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Figures, list[MeasuredRow]]:
    """Asks every question. `on_progress` hears how many are done, after each batch.

    For a worker: `reranker` None is the configured one, loaded here. Raises SearchUnavailable, UnknownIndex.
    """
    rows: list[MeasuredRow] = []
    for batch in measure_batches(
        questions,
        settings,
        as_of=as_of,
        departments=departments,
        rules=rules,
        reranker=reranker,
        instructions=instructions,
    ):
        rows += batch
        if on_progress:
            on_progress(len(rows))
    return add_up(rows), rows


def measure_batches(
    questions: Sequence[LabelledQuestion],
    settings: RetrievalSettings,
    *,
    as_of: date,
    departments: tuple[str, ...] | None = None,
    rules: Rules | None = None,
    reranker: Reranker | None = None,
    instructions: Mapping[str, str] | None = None,
    size: int | None = None,
) -> Iterator[list[MeasuredRow]]:
    """The rows of one batch of `size` after another, in order, each batch reranked at once. As `measure` otherwise."""
    source = CandidateSource(departments)
    if settings.reranker == "configured":
        reranker = reranker or get_reranker()
    size = size or max(1, configured.RERANK_BATCH_LOOKUPS)
    for start in range(0, len(questions), size):
        batch = questions[start : start + size]
        asked = _ask(
            batch,
            settings,
            as_of=as_of,
            departments=departments,
            rules=rules,
            reranker=reranker,
            instructions=instructions,
            source=source,
        )
        yield [_judge(question, trial) for question, trial in zip(batch, asked, strict=True)]


def add_up(rows: Sequence[MeasuredRow]) -> Figures:
    """Questions that could not be asked count as not answered, and not in the times."""
    labelled = [row for row in rows if row.is_labelled]
    means = average(row.figures for row in labelled) or {}
    asked = [row for row in rows if not row.error]
    kept = [row for row in labelled if not row.needs_review]
    return Figures(
        queries=len(rows),
        labelled=len(labelled),
        **{name: _round(means.get(name)) for name in MEASURES},
        sent=_round(percentage([row.needs_review for row in rows])),
        top1_of_rest=_round(percentage([row.right_rank == 1 for row in kept])),
        milliseconds=_add_up_times([row.milliseconds for row in asked]),
        failed=len(rows) - len(asked),
        notices=dict(Counter(notice for row in rows for notice in row.notices)),
    )


def gather_conditions(rows: Iterable[MeasuredRow], known: Mapping[str, Sequence[str]] | None = None) -> Conditions:
    """Each condition's values, in the order in which they came; more than one where it changed meanwhile."""
    found = {name: list((known or {}).get(name, ())) for name in CONDITIONS}
    for row in rows:
        for name, value in row.conditions.items():
            if value and value not in found[name]:
                found[name].append(value)
    return found


def judge_documents(order: Sequence[int], right: frozenset[int]) -> dict[str, float]:
    """MEASURES of one question, in percent; nothing where nothing is right."""
    if not right:
        return {}
    figures = judge_order([str(pk) for pk in order], {str(pk) for pk in right})
    return {name: round(figures[column], 4) for name, column in _COLUMNS.items()}


def _ask(batch: Sequence[LabelledQuestion], settings: RetrievalSettings, **given: Any) -> Sequence[Trial | DeskError]:
    """A question that is refused (empty, too long) fails alone; a search engine that is away ends the run."""
    try:
        return run_trials(batch, settings, **given)
    except DeskError as error:
        if error.status == 503 or error.code == "unknown_index":
            raise
        if len(batch) == 1:
            return [error]
        return [outcome for question in batch for outcome in _ask([question], settings, **given)]


def _judge(question: LabelledQuestion, outcome: Trial | DeskError) -> MeasuredRow:
    right = question.right_document_ids
    if isinstance(outcome, DeskError):
        unasked = judge_documents((), right)
        return MeasuredRow("", tuple(sorted(right)), (), None, unasked, None, True, (), {}, str(outcome))
    order = [document.document_id for document in outcome.documents]
    return MeasuredRow(
        question=outcome.question,
        right_document_ids=tuple(sorted(right)),
        order=tuple(order[:SHOWN]),
        right_rank=next((place for place, pk in enumerate(order, start=1) if pk in right), None),
        figures=judge_documents(order, right),
        gap=_round(outcome.decision.gap),
        needs_review=outcome.decision.needs_review,
        reasons=outcome.decision.reasons,
        milliseconds=dict(outcome.milliseconds),
        notices=outcome.notices,
        conditions=_describe_conditions(outcome),
    )


def _describe_conditions(trial: Trial) -> dict[str, str]:
    info = trial.reranker
    return {
        "index": trial.index,
        "dictionary": f"第 {trial.release} 版" if trial.release else "随产品",
        "reranker": name_revision(info.name, info.revision) if info else "",
        "embedder": trial.embedder,
    }


def _add_up_times(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    if not rows:
        return {}
    measured = (stage for stage in STAGES if any(stage in row for row in rows))
    columns = {stage: [row.get(stage, 0.0) for row in rows] for stage in measured}
    columns["total"] = [sum(row.values()) for row in rows]
    return {
        stage: {"median": round(percentile(column, 0.5), 1), "p95": round(percentile(column, 0.95), 1)}
        for stage, column in columns.items()
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
