"""What the pages of golden questions, their runs and the live settings show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from hotline import labels
from hotline.lab_pages import FigureRow, compare_figures, describe_settings, title_documents
from hotline.masking import mask_personal_data
from hotline.models import GoldenQuestion, GoldenRun, InstructionTemplate, LexicalModelVersion, SavedSettings, Ticket
from hotline.retrieval_settings import RetrievalSettings, SettingsError
from kb.models import DocumentVersion

HISTORY = 20
EXPORT_HEADER = ("问题", "正确政策", "政策名称", "业务类型", "备注")


@dataclass(frozen=True, slots=True)
class GoldenRow:
    row: GoldenQuestion
    titles: list[str]


@dataclass(frozen=True, slots=True)
class SavedRow:
    """A row of the settings' history; `moves` are figures as before → after."""

    saved: SavedSettings
    said: list[str]
    moves: list[str]
    is_live: bool


def list_questions(*, query: str = "", category: str = "") -> QuerySet[GoldenQuestion]:
    """Newest first. `query` is sought in questions (masked as they are) and in titles of their policies."""
    rows = GoldenQuestion.objects.select_related("added_by").prefetch_related("documents").order_by("-id")
    if category:
        rows = rows.filter(category=category)
    if query := query.strip():
        titled = DocumentVersion.objects.filter(title__icontains=query).values("document")
        rows = rows.filter(Q(question__icontains=mask_personal_data(query)) | Q(documents__in=titled)).distinct()
    return rows


def describe_questions(rows: Sequence[GoldenQuestion]) -> list[GoldenRow]:
    """With their policies' titles, in one query."""
    titles = title_documents({item.pk for row in rows for item in row.documents.all()})
    return [GoldenRow(row, [titles.get(item.pk, f"政策 {item.pk}") for item in row.documents.all()]) for row in rows]


def write_policies(row: GoldenQuestion) -> str:
    """As the form takes them: a line each, id and title."""
    titles = title_documents(set(row.documents.values_list("pk", flat=True)))
    return "\n".join(f"{pk} {titles.get(pk, '')}".strip() for pk in row.documents.values_list("pk", flat=True))


def read_question(row: GoldenQuestion) -> dict[str, str]:
    """A form's first values."""
    return {
        "question": row.question,
        "policies": write_policies(row),
        "category": row.category,
        "note": row.note,
    }


def export_rows() -> list[tuple[str, ...]]:
    """Under EXPORT_HEADER; policies by id, parted by ；."""
    names = dict(Ticket.Category.choices)
    return [
        (
            item.row.question,
            "；".join(str(document.pk) for document in item.row.documents.all()),
            "；".join(item.titles),
            names.get(item.row.category, "") if item.row.category else "",
            item.row.note,
        )
        for item in describe_questions(list(list_questions().order_by("id")))
    ]


def describe_run(run: GoldenRun) -> dict[str, Any]:
    """For a run's page."""
    has_figures = bool(run.figures_before and run.figures_after)
    return {
        "run": run,
        "proposed": _describe_proposal(run),
        "figures": compare_figures([run.figures_before, run.figures_after]) if has_figures else [],
        "fallen": labels.name_codes(run.fallen, labels.FIGURES),
        "measured_on": _describe_base(run.proposal.get("base", {})),
        "askings": 2 * run.questions,
    }


def _describe_base(base: dict[str, Any]) -> list[str]:
    """What a comparison holds for."""
    if not base:
        return []
    release = base.get("dictionary")
    return [f"索引 {base.get('index') or '—'}", f"词典第 {release} 版" if release else "词典随产品"]


def list_open_runs() -> QuerySet[GoldenRun]:
    """What is being compared, held, or could not be compared."""
    states = [GoldenRun.State.WAITING, GoldenRun.State.RUNNING, GoldenRun.State.HELD, GoldenRun.State.FAILED]
    return GoldenRun.objects.filter(state__in=states).select_related("by").order_by("-id")


def list_runs() -> QuerySet[GoldenRun]:
    return GoldenRun.objects.select_related("by", "decided_by").order_by("-id")


def list_saved_settings() -> list[SavedRow]:
    """The last ones, newest first: the first is live."""
    rows = SavedSettings.objects.select_related("by", "golden_run").order_by("-id")[:HISTORY]
    return [
        SavedRow(saved, _describe_json(saved.settings), list_moves(saved.golden_run), is_live=place == 0)
        for place, saved in enumerate(rows)
    ]


def list_models() -> list[LexicalModelVersion]:
    """The last ones, newest first: the first is live."""
    return list(LexicalModelVersion.objects.select_related("by", "golden_run").order_by("-id")[:HISTORY])


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A row of the instructions' history."""

    template: InstructionTemplate
    is_live: bool


def list_template_history() -> list[TemplateRow]:
    """The last ones, newest first: the first of each key is live."""
    rows = list(InstructionTemplate.objects.select_related("by").order_by("-id")[:HISTORY])
    newest = {row.key: row.pk for row in reversed(rows)}
    return [TemplateRow(row, newest[row.key] == row.pk) for row in rows]


def list_moves(run: GoldenRun | None) -> list[str]:
    """Figures before and after, such as “Top-1 80.0 → 82.5”; empty where nothing was measured."""
    if run is None or not run.figures_after:
        return []
    rows: list[FigureRow] = compare_figures([run.figures_before, run.figures_after])
    return [
        f"{row.label} {row.values[0]} → {row.values[1]}" if row.differences[1] else f"{row.label} {row.values[1]}"
        for row in rows
    ]


def _describe_proposal(run: GoldenRun) -> list[str]:
    if run.kind == GoldenRun.Kind.INDEX:
        return [f"索引 {run.proposal.get('index', '')}"]
    if run.kind == GoldenRun.Kind.INSTRUCTION:
        proposal = run.proposal["instruction"]
        return [f"{proposal['label']}（{proposal['key']}）：{proposal['text'] or '停用，改用随产品的'}"]
    said = _describe_json(run.proposal.get("settings", {}))
    if "model" in run.proposal:
        revision = run.proposal["model"].get("revision", "")
        return [f"词法重排系数 {revision}" if revision else "部署时的词法重排系数", *said]
    return said


def _describe_json(content: dict[str, Any]) -> list[str]:
    try:
        return describe_settings(RetrievalSettings.from_json(content))
    except SettingsError as error:
        return [str(error)]
