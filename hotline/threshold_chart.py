"""The curve of learned thresholds as coordinates: share reviewed across, error of the unreviewed upwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reranking.threshold_learning import CurvePoint

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 22, 12, 34
MOST_POINTS = 160
LEAST_KEPT = 10  # verdicts behind a point; the far end of the curve stands on single ones
STEPS = (0.05, 0.1, 0.2, 0.25, 0.5)
MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class CurveChart:
    """`line` and `band` are SVG points; `target` is the height of the target, `chosen` the point to take."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    line: str
    band: str
    target: float
    chosen: tuple[float, float] | None
    across: tuple[Tick, ...]
    upwards: tuple[Tick, ...]


def draw_thresholds(curve: Sequence[CurvePoint], chosen: CurvePoint | None, *, target: float) -> CurveChart | None:
    """None where fewer than two points stand on enough verdicts."""
    points = [point for point in curve if point.kept >= LEAST_KEPT]
    points = points[:: max(1, len(points) // MOST_POINTS)]
    if len(points) < 2:
        return None
    ceiling = min(1.0, max(max(point.high for point in points), 2 * target))
    upper = [(point.sent_share, point.high) for point in points]
    lower = [(point.sent_share, point.low) for point in reversed(points)]
    return CurveChart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        line=_join(((point.sent_share, point.error) for point in points), ceiling),
        band=_join([*upper, *lower], ceiling),
        target=_y(target, ceiling),
        chosen=(_x(chosen.sent_share), _y(chosen.error, ceiling)) if chosen else None,
        across=tuple(Tick(_x(share / 10), f"{share * 10}%") for share in range(0, 11, 2)),
        upwards=tuple(Tick(_y(share, ceiling), f"{share:.0%}") for share in _steps(ceiling)),
    )


def list_rows(curve: Sequence[CurvePoint], chosen: CurvePoint | None) -> list[tuple[CurvePoint, bool]]:
    """The curve at every tenth reviewed, and the point to take, which is marked."""
    rows: dict[float, CurvePoint] = {}
    for tenth in range(10):
        found = next((point for point in curve if point.sent_share >= tenth / 10), None)
        if found and found.kept >= LEAST_KEPT:
            rows[found.threshold] = found
    if chosen:
        rows[chosen.threshold] = chosen
    return [(rows[threshold], rows[threshold] is chosen) for threshold in sorted(rows)]


def _steps(ceiling: float) -> list[float]:
    step = next((step for step in STEPS if ceiling / step <= MOST_TICKS), STEPS[-1])
    return [number * step for number in range(int(ceiling / step) + 1)]


def _join(points: Iterable[tuple[float, float]], ceiling: float) -> str:
    return " ".join(f"{_x(share):.1f},{_y(error, ceiling):.1f}" for share, error in points)


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(error: float, ceiling: float) -> float:
    return round(HEIGHT - BOTTOM - error / ceiling * (HEIGHT - TOP - BOTTOM), 1)
