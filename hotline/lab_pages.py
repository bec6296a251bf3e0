"""What the laboratory's pages show: settings in words, runs beside one another, knowledge gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from hotline import labels
from hotline.errors import DeskError
from hotline.measurement import CONDITIONS
from hotline.models import KnowledgeGap, LabRow, LabRun, Ticket
from hotline.retrieval_settings import RANKINGS, RetrievalSettings
from kb.models import DocumentVersion, IndexVersion
from kb.selectors import permitted_versions
from kb.web import read_ids
from reranking.prompts import INSTRUCTION_TEMPLATES

MOST_COMPARED = 4  # runs beside one another
LESS_IS_BETTER = frozenset({"sent"})


def describe_settings(value: RetrievalSettings) -> list[str]:
    """What differs from the deployment's own, in a few words each; one word where nothing does."""
    said = [labels.RERANKER_CHOICES[value.reranker]]
    if value.index:
        said.append(f"索引 {value.index}")
    if value.rankings:
        said.append(f"词元 {len(value.rankings)}/{len(RANKINGS)} 路")
    if value.rewrites != "default":
        said.append(labels.REWRITE_CHOICES[value.rewrites])
    if value.semantic == "none":
        said.append("不用语义召回")
    if value.instruction:
        said.append(f"指令“{name_instruction(value.instruction)}”")
    if value.gap_base_threshold is not None:
        said.append(f"分差阈值 {value.gap_base_threshold:g}")
    if value.first_share_threshold is not None:
        said.append(f"首位占比阈值 {value.first_share_threshold:g}")
    names = dict(Ticket.Category.choices)
    said += [f"{names.get(key, key)}的阈值 {own:g}" for key, own in value.thresholds_by_category.items()]
    if value.thresholds_for:
        said.append(f"阈值只用于 {value.thresholds_for}")
    return said


def name_instruction(value: str) -> str:
    template = INSTRUCTION_TEMPLATES.get(value)
    text = template.label if template else value
    return text if len(text) <= 24 else f"{text[:24]}…"


def list_indexes() -> list[tuple[str, str]]:
    """The indexes that can be searched, live first, with their Chinese."""
    states = [IndexVersion.State.LIVE, IndexVersion.State.PREVIOUS, IndexVersion.State.HELD]
    kept = IndexVersion.objects.filter(state__in=states)
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
    for name, label in labels.FIGURES.items():
        values = [column.get(name) for column in columns]
        if any(value is not None for value in values):
            rows.append(_compare(label, values, less_is_better=name in LESS_IS_BETTER))
    return rows


def compare_times(columns: Sequence[Mapping[str, Any]]) -> list[FigureRow]:
    """Median and p95 of each stage in milliseconds."""
    rows = []
    for stage, label in labels.STAGES.items():
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


def describe_rows(rows: Sequence[LabRow], *, departments: tuple[str, ...] | None = None) -> list[RunRow]:
    """With the titles, as far as the departments may read them, in one query."""
    wanted = {pk for row in rows for pk in (*row.measured.get("order", [])[:1], *row.baseline.get("order", [])[:1])}
    wanted |= {pk for row in rows for pk in row.right_document_ids[:3]}
    titles = title_documents(wanted, departments=departments)
    return [
        RunRow(
            row=row,
            title=titles.get(_first(row.measured), ""),
            baseline_title=titles.get(_first(row.baseline), ""),
            right_titles=[titles[pk] for pk in row.right_document_ids[:3] if pk in titles],
        )
        for row in rows
    ]


def title_documents(ids: set[int], *, departments: tuple[str, ...] | None = None) -> dict[int, str]:
    """Each policy's latest title, without those that the departments may not read."""
    versions = permitted_versions(departments=departments).exclude(state=DocumentVersion.State.DRAFT).order_by("number")
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


def summarize_run(run: LabRun) -> dict[str, Any]:
    """A run's figures for a page or the API."""
    measured, baseline = run.figures.get("measured", {}), run.figures.get("baseline", {})
    return {
        "figures": compare_figures([baseline, measured]) if measured else [],
        "times": compare_times([baseline, measured]) if measured else [],
        "changes": run.figures.get("changes", {}),
        "measured_on": describe_conditions(run.measured_on.get("measured", {})),
        "baseline_on": describe_conditions(run.measured_on.get("baseline", {})),
        "troubles": describe_notices(measured, baseline),
    }


def describe_conditions(conditions: Mapping[str, Sequence[str]]) -> list[str]:
    """What figures were measured on; several of a kind where it changed meanwhile."""
    return [f"{label} {' → '.join(conditions[name])}" for name, label in CONDITIONS.items() if conditions.get(name)]


def describe_notices(*columns: Mapping[str, Any]) -> list[str]:
    """What figures suffered from, with the greatest number of questions in any column."""
    counts: dict[str, int] = {}
    for column in columns:
        for name, count in column.get("notices", {}).items():
            counts[name] = max(count, counts.get(name, 0))
    names = {**labels.REASONS, **labels.NOTICES}
    return [f"{names.get(name, name)}（{count} 个问题）" for name, count in counts.items()]


def find_comparable_runs(wanted: Sequence[str]) -> list[LabRun]:
    """The finished ones of those named, in that order. Raises DeskError for fewer than two."""
    pks = read_ids(wanted)[:MOST_COMPARED]
    found = {run.pk: run for run in list_runs().filter(pk__in=pks, state=LabRun.State.DONE)}
    runs = [found[pk] for pk in dict.fromkeys(pks) if pk in found]
    if len(runs) < 2:
        raise DeskError("请勾选两到四次已完成的实验。")
    return runs


def name_differing_conditions(runs: Sequence[LabRun]) -> list[str]:
    """On what the runs were measured that is not the same for all; the reranker may be what they compare."""
    measured = [run.measured_on.get("measured", {}) for run in runs]
    names = [name for name in CONDITIONS if name != "reranker"]
    return [CONDITIONS[name] for name in names if len({tuple(item.get(name, ())) for item in measured}) > 1]


def are_same_questions(runs: Sequence[LabRun]) -> bool:
    """Whether they come from the same file, to the byte."""
    digests = {run.file_digest for run in runs}
    return len(digests) == 1 and "" not in digests
