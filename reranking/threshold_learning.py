"""Which threshold of secondary review keeps unreviewed answers right, learned from verdicts. Pure.

Verdicts are not a fair sample: people see what was doubtful, and of the rest a few that were drawn at random. Each
verdict therefore counts 1 / (the chance with which its lookup came before a person), the Horvitz–Thompson estimator;
without drawn lookups nothing at all is known of the unreviewed ones, and nothing should be fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

TARGET_ERROR = 0.10
LEAST_KEPT = 30
"""Verdicts that must stand behind an error before it is believed."""
_Z = 1.96  # 95 %, two-sided


@dataclass(frozen=True, slots=True)
class Judgement:
    """A lookup on which a person has decided.

    `value` is what is held against the threshold (the first's share, or the gap over its factor of length and count):
    the greater, the surer. `is_right`: the reranker's first is a right one. `chance`: of coming before a person, above
    0 and at most 1. `is_sent_anyway`: another reason sends it, whatever the threshold.
    """

    value: float
    is_right: bool
    chance: float = 1.0
    is_sent_anyway: bool = False


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """At `threshold` (values below it are reviewed): shares from 0 to 1. `kept`: how many verdicts on the unreviewed.

    `low` and `high` bound the error with 95 % confidence.
    """

    threshold: float
    sent_share: float
    error: float
    low: float
    high: float
    kept: int


def wilson_interval(share: float, count: float) -> tuple[float, float]:
    """Bounds, with 95 % confidence, of a share seen in `count` independent cases. (0, 1) for none."""
    if count <= 0:
        return 0.0, 1.0
    spread = _Z * _Z / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def draw_curve(judgements: Sequence[Judgement]) -> tuple[CurvePoint, ...]:
    """A point for each threshold that makes a difference, smallest first; the first sends nothing by itself.

    The interval is Wilson's on Kish's effective number of cases, (Σw)² / Σw²: a few drawn lookups that stand for many
    say no more than the few they are.
    """
    open_ones = sorted((item for item in judgements if not item.is_sent_anyway), key=lambda item: item.value)
    # From each on to the surest, so that a point costs no more than one verdict does.
    kept = list(accumulate(reversed(open_ones), _Kept.add, initial=_Kept()))[::-1]
    total = kept[0].weight + sum(1 / item.chance for item in judgements if item.is_sent_anyway)
    places = [at for at, item in enumerate(open_ones) if at == 0 or item.value != open_ones[at - 1].value]
    return tuple(_measure(open_ones[at].value if at else 0.0, kept[at], total) for at in places)


def find_threshold(
    curve: Sequence[CurvePoint], *, target: float = TARGET_ERROR, least_kept: int = LEAST_KEPT
) -> CurvePoint | None:
    """The smallest threshold whose unreviewed err at most in the share `target`; None where none does.

    Points on fewer than `least_kept` verdicts are not believed. The least of many estimates is a hopeful one: what
    the data allow at worst is the point's `high`.
    """
    return next((point for point in curve if point.kept >= least_kept and point.error <= target), None)


class _Kept(NamedTuple):
    """Sums over verdicts on unreviewed lookups: how many, their weights, the weights squared, those of the wrong."""

    rows: int = 0
    weight: float = 0.0
    squares: float = 0.0
    wrong: float = 0.0

    def add(self, item: Judgement) -> _Kept:
        weight = 1 / item.chance
        wrong = self.wrong if item.is_right else self.wrong + weight
        return _Kept(self.rows + 1, self.weight + weight, self.squares + weight * weight, wrong)


def _measure(threshold: float, kept: _Kept, total: float) -> CurvePoint:
    error = kept.wrong / kept.weight
    low, high = wilson_interval(error, kept.weight * kept.weight / kept.squares)
    return CurvePoint(threshold, 1 - kept.weight / total, error, low, high, kept.rows)
