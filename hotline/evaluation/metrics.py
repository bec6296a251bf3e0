"""Figures of retrieval, in percent. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean

MEASURES = ("recall@20", "recall@50", "top1", "mrr@5", "ndcg@3")


def judge_order(order: Sequence[str], right: Collection[str]) -> dict[str, float]:
    """The figures of MEASURES of one question, in percent. Recall is the share of its right documents found."""
    hits = [document_id in right for document_id in order]
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits[:3]) if hit)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(3, len(right))))
    figures = {
        "recall@20": sum(hits[:20]) / len(right),
        "recall@50": sum(hits[:50]) / len(right),
        "top1": float(any(hits[:1])),
        "mrr@5": next((1 / place for place, hit in enumerate(hits[:5], start=1) if hit), 0.0),
        "ndcg@3": gain / ideal,
    }
    return {name: 100 * value for name, value in figures.items()}


def average(rows: Iterable[Mapping[str, float]]) -> dict[str, float] | None:
    """Mean of each column; None for no rows."""
    rows = list(rows)
    return {name: fmean(row[name] for row in rows) for name in rows[0]} if rows else None


def percentage(flags: Sequence[bool]) -> float | None:
    """The share that is true, in percent; None for none at all."""
    return 100 * sum(flags) / len(flags) if flags else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed. `values` must not be empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
