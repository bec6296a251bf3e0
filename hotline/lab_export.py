"""A run's questions as a table for elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.http import HttpResponse

from hotline import labels
from hotline.lab_pages import title_documents
from hotline.models import LabRow, LabRun
from kb.web import send_table

NAMES = {"csv": "CSV", "xlsx": "XLSX"}
_QUESTION = ("序号", "问题", "业务类型", "正确政策", "找不到的答案", "变化")
_ORDER = ("试验名次", "基线名次", "试验第一名", "基线第一名")
_FIGURES = ("试验 Top-1", "试验 MRR@5", "试验 NDCG@3", "基线 Top-1", "基线 MRR@5", "基线 NDCG@3")
_REVIEW = ("试验分差", "送复核", "复核理由", "试验毫秒", "基线毫秒", "未能提问")
HEADER = (*_QUESTION, *_ORDER, *_FIGURES, *_REVIEW)
PART = 500


def send_run(run: LabRun, format_name: str, *, departments: tuple[str, ...] | None = None) -> HttpResponse:
    """`format_name`: one of NAMES. Titles as far as the departments may read them.

    What a spreadsheet would take for a formula is marked as text.
    """
    return send_table(format_name, f"lab-run-{run.pk}", HEADER, _list_cells(run, departments))


def _list_cells(run: LabRun, departments: tuple[str, ...] | None) -> Iterator[Sequence[object]]:
    rows = run.rows.order_by("ordinal")
    for start in range(0, run.questions_total, PART):
        part = list(rows[start : start + PART])
        ids = {pk for row in part for pk in row.right_document_ids}
        ids |= {pk for row in part for side in (row.measured, row.baseline) for pk in side.get("order", [])[:1]}
        titles = title_documents(ids, departments=departments)
        for row in part:
            yield _make_cells(row, titles)


def _make_cells(row: LabRow, titles: dict[int, str]) -> Sequence[object]:
    now, before = row.measured, row.baseline
    return (
        row.ordinal,
        row.question,
        row.get_category_display() if row.category else "",
        "；".join(titles.get(pk, str(pk)) for pk in row.right_document_ids),
        row.unknown_answers,
        row.get_change_display() if row.is_done else "",
        now.get("right_rank"),
        before.get("right_rank"),
        *(titles.get(pk, "") for side in (now, before) for pk in side.get("order", [])[:1] or [0]),
        *(side.get("figures", {}).get(name) for side in (now, before) for name in ("top1", "mrr5", "ndcg3")),
        now.get("gap"),
        {True: "是", False: "否"}.get(now.get("needs_review", ""), ""),
        "；".join(labels.name_codes(now.get("reasons", []), labels.REASONS)),
        *(round(sum(side["milliseconds"].values()), 1) if side.get("milliseconds") else None for side in (now, before)),
        now.get("error", ""),
    )
