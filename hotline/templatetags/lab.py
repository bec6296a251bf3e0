"""How the laboratory's figures look."""

from __future__ import annotations

from typing import Any

from django import template

from hotline.explanations import name_ranking
from hotline.lab_pages import FigureRow

register = template.Library()


@register.filter
def signed(value: float) -> str:
    return f"{value:+.2f}"


@register.filter
def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


@register.filter
def exact_percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@register.filter
def ranking_name(name: str) -> str:
    return name_ranking(name)


@register.filter
def heads(columns: Any) -> list[str]:
    """Names of columns: words, or the numbers of runs."""
    return columns.split() if isinstance(columns, str) else [f"{run.pk} 号" for run, _ in columns]


@register.filter
def figure_cells(row: FigureRow) -> list[tuple[str, str, str]]:
    return list(zip(row.values, row.differences, row.changes, strict=True))
