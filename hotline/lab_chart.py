"""The scores of a question as bars, one a document, for a picture that the server draws. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reranking.types import sigmoid

WIDTH, HEIGHT = 360.0, 120.0
LEFT, BOTTOM, TOP = 34.0, 18.0, 8.0
LEAST_BAR = 1.5  # units: a score that is almost nothing is still seen


@dataclass(frozen=True, slots=True)
class Bar:
    """`kind`: first, close (within the gap threshold of the first) or other."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines`: heights with their labels. `threshold_y`: where a second one would be too close to the first."""

    title: str
    description: str
    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    threshold_y: float | None
    ranks: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    base: float = HEIGHT - BOTTOM


def draw_scores(log_odds: Sequence[float], *, calibrated: bool, threshold: float) -> Chart | None:
    """Scores best first: P(yes) between 0 and 1 where the reranker is calibrated, else the distance from the best.

    None for no scores.
    """
    if not log_odds:
        return None
    best, edge = log_odds[0], log_odds[0] - threshold
    close = sum(value > edge for value in log_odds[1:])
    if calibrated:
        values = [sigmoid(value) for value in log_odds]
        low, high, line = 0.0, 1.0, sigmoid(edge)
        lines = [(0.0, "0"), (0.5, "0.5"), (1.0, "1")]
        title = "各候选的相关度"
    else:
        values = [value - best for value in log_odds]
        low, high, line = min(values[-1], -threshold), 0.0, -threshold
        lines = [(0.0, "0"), (low, f"{low:.1f}")]
        title = "各候选与第一名的分差"
    kinds = ["first", *("close" if value > edge else "other" for value in log_odds[1:])]
    said = (
        f"{len(log_odds)} 个候选，从第 1 名的 {values[0]:.2f} 到末名的 {values[-1]:.2f}；"
        f"{f'另有 {close} 个' if close else '没有其他候选'}在分差阈值 {threshold:.2f} 之内。"
    )
    return _draw(title, said, values, kinds, low, high, lines, line)


def draw_first_stage(shares: Sequence[float]) -> Chart | None:
    """Fused scores as shares of the best; they say nothing of how near the best two are."""
    if not shares:
        return None
    kinds = ["first", *["other"] * (len(shares) - 1)]
    said = f"{len(shares)} 个候选的初筛融合分，以第一名为 1，末名为 {shares[-1]:.2f}。"
    return _draw("初筛融合分（以第一名为 1）", said, shares, kinds, 0.0, 1.0, ((0.0, "0"), (1.0, "1")), None)


def _draw(
    title: str,
    description: str,
    values: Sequence[float],
    kinds: Sequence[str],
    low: float,
    high: float,
    lines: Sequence[tuple[float, str]],
    threshold: float | None,
) -> Chart:
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    span = (high - low) or 1.0
    step = (WIDTH - LEFT) / max(10, len(values))

    def place(value: float) -> float:
        return round(base - room * (min(high, max(low, value)) - low) / span, 1)

    bars = tuple(
        Bar(
            x=round(LEFT + index * step + step * 0.12, 1),
            y=min(place(value), base - LEAST_BAR),
            width=round(step * 0.76, 1),
            height=round(base - min(place(value), base - LEAST_BAR), 1),
            kind=kind,
            label=f"第 {index + 1} 名 {value:.2f}",
        )
        for index, (value, kind) in enumerate(zip(values, kinds, strict=True))
    )
    ranks = tuple((bars[rank - 1].x, str(rank)) for rank in (1, 10, 20, 30, 40, 50) if rank <= len(bars))
    drawn = tuple((place(value), label) for value, label in lines)
    return Chart(title, description, bars, drawn, None if threshold is None else place(threshold), ranks)
