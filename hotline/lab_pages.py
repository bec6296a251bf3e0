"""What the laboratory's pages show: two trials side by side, runs beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from hotline import labels, presentation
from hotline.explanations import Explanation, explain_trial
from hotline.highlighting import highlight
from hotline.lab_advice import TOP, Advice, Described, advise
from hotline.lab_chart import Chart, draw_first_stage, draw_scores
from hotline.measurement import MEASURES
from hotline.models import KnowledgeGap, LabRow, LabRun, Ticket
from hotline.retrieval_settings import RANKINGS, RetrievalSettings
from hotline.trials import Trial, TrialDocument
from kb.models import DocumentVersion, IndexVersion
from kb.selectors import load_versions
from reranking.lexical import NAME as LEXICAL
from reranking.prompts import INSTRUCTION_TEMPLATES

REWRITES = {"default": "与坐席台相同", "none": "只用原问题", "always": "全部改写一起检索"}
RERANKERS = {"configured": "线上重排器", "lexical": "词法重排", "none": "不重排（初筛次序）"}
FIGURES = {
    "top1": "Top-1",
    "mrr5": "MRR@5",
    "ndcg3": "NDCG@3",
    "recall50": "Recall@50",
    "sent": "送复核",
    "top1_of_rest": "免复核的 Top-1",
}
STAGES = {"understanding": "问题理解", "first_stage": "初筛", "rerank": "重排", "total": "合计"}
LESS_IS_BETTER = frozenset({"sent"})
EXCERPT = 130


@dataclass(frozen=True, slots=True)
class Movement:
    """How a document stands against the other column; `kind`: up, down, same or new."""

    kind: str
    text: str
    said: str


@dataclass(frozen=True, slots=True)
class TrialCard:
    document: TrialDocument
    movement: Movement | None
    bar: presentation.ScoreBar
    excerpt: tuple[presentation.Run, ...]
    explanation: Explanation | None
    region: str
    open_at: int | None


@dataclass(frozen=True, slots=True)
class Column:
    """One side of a comparison."""

    trial: Trial
    summary: list[str]
    reranker: str
    cards: tuple[TrialCard, ...]
    chart: Chart | None
    advice: list[Advice]
    notices: list[str]
    reasons: list[str]
    stages: str
    wordings: list[str]

    @property
    def ignores_instruction(self) -> bool:
        """Whether an instruction was given to a reranker that reads none."""
        ranked_by = self.trial.reranker.name if self.trial.reranker else ""
        return bool(self.trial.settings.instruction) and ranked_by in {LEXICAL, ""}


def build_columns(trials: Sequence[Trial], *, as_of: date, departments: tuple[str, ...] | None) -> tuple[Column, ...]:
    """Movements are marked in every column but the first, against the first. Raises SearchUnavailable."""
    first = {document.document_id: document.rank for document in trials[0].documents}
    return tuple(
        _build_column(trial, first if number else None, as_of=as_of, departments=departments)
        for number, trial in enumerate(trials)
    )


def describe_movement(rank: int, other: int | None) -> Movement:
    """A place against the one in the other column, None where it is not there."""
    if other is None:
        return Movement("new", "新", "左列没有")
    if rank == other:
        return Movement("same", "=", "与左列同名次")
    if rank < other:
        return Movement("up", f"↑{other - rank}", f"比左列上升 {other - rank} 位")
    return Movement("down", f"↓{rank - other}", f"比左列下降 {rank - other} 位")


def describe_settings(value: RetrievalSettings) -> list[str]:
    """What differs from the deployment's own, in a few words each; one word where nothing does."""
    said = [RERANKERS[value.reranker]]
    if value.index:
        said.append(f"索引 {value.index}")
    if value.rankings:
        said.append(f"词元 {len(value.rankings)}/{len(RANKINGS)} 路")
    if value.rewrites != "default":
        said.append(REWRITES[value.rewrites])
    if value.instruction:
        said.append(f"指令“{name_instruction(value.instruction)}”")
    if value.gap_base_threshold is not None:
        said.append(f"分差阈值 {value.gap_base_threshold:g}")
    if value.first_share_threshold is not None:
        said.append(f"首位占比阈值 {value.first_share_threshold:g}")
    names = dict(Ticket.Category.choices)
    said += [f"{names.get(key, key)} {share:g}" for key, share in value.thresholds_by_category.items()]
    return said


def name_instruction(value: str) -> str:
    template = INSTRUCTION_TEMPLATES.get(value)
    text = template.label if template else value
    return text if len(text) <= 24 else f"{text[:24]}…"


def list_indexes() -> list[tuple[str, str]]:
    """The indexes that can be searched, live first, with their Chinese."""
    kept = IndexVersion.objects.filter(state__in=[IndexVersion.State.LIVE, IndexVersion.State.PREVIOUS])
    rows = [(index.name, f"{index.name}（{index.get_state_display()}）") for index in kept.order_by("-live_at", "-id")]
    return [("", "线上索引"), *rows]


def list_runs() -> QuerySet[LabRun]:
    return LabRun.objects.select_related("by", "api_key").order_by("-id")


def list_rows(run: LabRun, *, show: str = "") -> QuerySet[LabRow]:
    """`show`: better, worse, sent (to review), unknown (an answer that nothing bears), failed; else all."""
    rows = run.rows.order_by("ordinal")
    if show in {LabRow.Change.BETTER, LabRow.Change.WORSE}:
        return rows.filter(change=show)
    filters: dict[str, dict[str, Any]] = {
        "sent": {"measured__needs_review": True},
        "unknown": {"unknown_answers__gt": ""},
        "failed": {"measured__error__gt": ""},
    }
    return rows.filter(**filters.get(show, {}))


def list_gaps(*, is_closed: bool = False) -> QuerySet[KnowledgeGap]:
    gaps = KnowledgeGap.objects.select_related("by", "closed_by")
    return gaps.filter(closed_at__isnull=not is_closed).order_by("-id")


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A figure in each column; `changes` against the first: better, worse or ''."""

    label: str
    values: tuple[str, ...]
    differences: tuple[str, ...]
    changes: tuple[str, ...]


def compare_figures(columns: Sequence[Mapping[str, Any]]) -> list[FigureRow]:
    """Figures as JSON, beside one another; in percent, differences in points. What none has is left out."""
    rows = []
    for name, label in FIGURES.items():
        values = [column.get(name) for column in columns]
        if any(value is not None for value in values):
            rows.append(_compare(label, values, less_is_better=name in LESS_IS_BETTER))
    return rows


def compare_times(columns: Sequence[Mapping[str, Any]]) -> list[FigureRow]:
    """Median and p95 of each stage in milliseconds."""
    rows = []
    for stage, label in STAGES.items():
        found = [column.get("milliseconds", {}).get(stage) for column in columns]
        if any(found):
            values = tuple(f"{item['median']:.1f} / {item['p95']:.1f}" if item else "—" for item in found)
            rows.append(FigureRow(label, values, ("",) * len(values), ("",) * len(values)))
    return rows


@dataclass(frozen=True, slots=True)
class RunRow:
    """A question of a run with the titles of what came first."""

    row: LabRow
    title: str
    baseline_title: str
    right_titles: list[str] = field(default_factory=list)


def describe_rows(rows: Sequence[LabRow]) -> list[RunRow]:
    """With the titles in one query."""
    wanted = {pk for row in rows for pk in (*row.measured.get("order", [])[:1], *row.baseline.get("order", [])[:1])}
    wanted |= {pk for row in rows for pk in row.right_document_ids[:3]}
    titles = title_documents(wanted)
    return [
        RunRow(
            row,
            *(titles.get(pk, "") for pk in (_first(row.measured), _first(row.baseline))),
            right_titles=[titles[pk] for pk in row.right_document_ids[:3] if pk in titles],
        )
        for row in rows
    ]


def title_documents(ids: set[int]) -> dict[int, str]:
    """Each policy's latest title."""
    versions = DocumentVersion.objects.exclude(state=DocumentVersion.State.DRAFT).order_by("number")
    found: dict[int, str] = {}
    pks = sorted(ids)
    for start in range(0, len(pks), 500):
        part = versions.filter(document__in=pks[start : start + 500])
        found |= dict(part.values_list("document_id", "title"))
    return found


def _first(measured: Mapping[str, Any]) -> int:
    order = measured.get("order") or [0]
    return int(order[0])


def _compare(label: str, values: Sequence[float | None], *, less_is_better: bool) -> FigureRow:
    base = values[0]
    differences, changes = [], []
    for value in values:
        by = None if value is None or base is None else round(value - base, 1)
        differences.append("" if not by else f"{by:+.1f}")
        changes.append("" if not by else "better" if (by < 0) == less_is_better else "worse")
    shown = tuple("—" if value is None else f"{value:.1f}" for value in values)
    return FigureRow(label, shown, ("", *differences[1:]), ("", *changes[1:]))


def _build_column(
    trial: Trial, first: Mapping[int, int] | None, *, as_of: date, departments: tuple[str, ...] | None
) -> Column:
    shown = trial.documents[: settings.RESULT_LIMIT]
    explanations = explain_trial(
        trial, [document.version_id for document in shown], as_of=as_of, departments=departments
    )
    versions = load_versions(document.version_id for document in shown)
    calibrated = bool(trial.reranker and trial.reranker.calibrated)
    return Column(
        trial=trial,
        summary=describe_settings(trial.settings),
        reranker=labels.name_reranker(trial.reranker.name) if trial.reranker else "没有重排",
        cards=_build_cards(trial, shown, first, explanations, versions, calibrated=calibrated),
        chart=_draw(trial, calibrated=calibrated),
        advice=_advise(trial, shown, versions, calibrated=calibrated),
        notices=labels.name_codes(trial.notices, {**labels.REASONS, **labels.NOTICES}),
        reasons=labels.name_codes(trial.decision.reasons, labels.REASONS) if trial.reranker else [],
        stages=" · ".join(
            f"{STAGES[name]} {value:g} ms" for name, value in trial.milliseconds.items() if value or name != "rerank"
        ),
        wordings=[wording.text for wording in trial.wordings if wording.is_used],
    )


def _build_cards(
    trial: Trial,
    shown: Sequence[TrialDocument],
    first: Mapping[int, int] | None,
    explanations: Mapping[int, Explanation],
    versions: Mapping[int, DocumentVersion],
    *,
    calibrated: bool,
) -> tuple[TrialCard, ...]:
    bars = presentation.make_bars(
        relevance=[document.relevance_score for document in shown],
        log_odds=[document.log_odds for document in shown],
        first_stage=[document.first_stage_features.get("fused", 0.0) for document in shown],
        calibrated=calibrated,
    )
    return tuple(
        TrialCard(
            document=document,
            movement=None if first is None else describe_movement(document.rank, first.get(document.document_id)),
            bar=bar,
            excerpt=_mark(trial.searched, document),
            explanation=explanations.get(document.version_id),
            region=versions[document.version_id].region if document.version_id in versions else "",
            open_at=document.version_id,
        )
        for document, bar in zip(shown, bars, strict=True)
    )


def _mark(question: str, document: TrialDocument) -> tuple[presentation.Run, ...]:
    spans = highlight(question, document.passage_text, title=document.title, limit=1)
    return presentation.excerpt_runs(document.passage_text, [(s.start, s.end) for s in spans], limit=EXCERPT)


def _draw(trial: Trial, *, calibrated: bool) -> Chart | None:
    scores = [document.log_odds for document in trial.documents if document.log_odds is not None]
    if scores:
        return draw_scores(scores, calibrated=calibrated, threshold=trial.decision.threshold)
    return draw_first_stage([document.first_stage_features.get("fused_share", 0.0) for document in trial.documents])


def _advise(
    trial: Trial,
    shown: Sequence[TrialDocument],
    versions: Mapping[int, DocumentVersion],
    *,
    calibrated: bool,
) -> list[Advice]:
    levels = dict(DocumentVersion.Level.choices)
    top = [versions[document.version_id] for document in shown[:TOP] if document.version_id in versions]
    return advise(
        relevance=[document.relevance_score for document in trial.documents],
        calibrated=calibrated,
        is_reranked=trial.reranker is not None,
        gap=trial.decision.gap,
        threshold=trial.decision.threshold,
        top=[
            Described(
                version.title, version.region, version.category, str(levels[version.level]) if version.level else ""
            )
            for version in top
        ],
    )


def summarize_run(run: LabRun) -> dict[str, Any]:
    """A run's figures for a page or the API."""
    measured, baseline = run.figures.get("measured", {}), run.figures.get("baseline", {})
    return {
        "figures": compare_figures([baseline, measured]) if measured else [],
        "times": compare_times([baseline, measured]) if measured else [],
        "changes": run.figures.get("changes", {}),
        "measures": MEASURES,
    }
