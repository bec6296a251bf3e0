"""The least threshold that keeps the unreviewed right, and what verdicts can say of those nobody saw."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from reranking.threshold_learning import Judgement, draw_curve, find_threshold, wilson_interval


def judge(count: int, *, seed: int = 1) -> list[Judgement]:
    """Sure firsts are right: the chance of being right is the value."""
    source = random.Random(seed)
    values = [source.random() for _ in range(count)]
    return [Judgement(value, source.random() < value) for value in values]


@pytest.mark.parametrize(
    ("share", "count", "expected"),
    [(0.1, 100, (0.0552, 0.1744)), (0.0, 10, (0.0, 0.2775)), (1.0, 10, (0.7225, 1.0)), (0.5, 0, (0.0, 1.0))],
)
def test_wilson_interval_has_its_published_values(share: float, count: int, expected: tuple[float, float]) -> None:
    assert wilson_interval(share, count) == pytest.approx(expected, abs=1e-3)


def test_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    source = random.Random(7)
    hits = 0
    for _ in range(1000):
        low, high = wilson_interval(sum(source.random() < 0.1 for _ in range(120)) / 120, 120)
        hits += low <= 0.1 <= high

    assert 930 <= hits <= 975


def test_curve_sends_more_as_the_threshold_rises() -> None:
    curve = draw_curve(judge(200))

    assert curve[0].threshold == 0
    assert curve[0].sent_share == 0
    assert all(a.threshold < b.threshold and a.sent_share < b.sent_share for a, b in pairwise(curve))
    assert curve[0].kept == 200
    assert curve[-1].kept == 1


class CountedChance(float):
    """Counts how often it is divided by."""

    divisions = 0

    def __rtruediv__(self, other: float) -> float:
        CountedChance.divisions += 1
        return other / float(self)


def test_curve_of_many_verdicts_takes_each_of_them_in_a_few_steps() -> None:
    verdicts = [replace(item, chance=CountedChance(0.5)) for item in judge(5000)]
    CountedChance.divisions = 0
    curve = draw_curve(verdicts)

    assert len(curve) > 4900
    assert CountedChance.divisions <= 4 * len(verdicts)


def test_values_equal_to_the_threshold_are_not_reviewed() -> None:
    curve = draw_curve([Judgement(0.2, False), Judgement(0.5, True), Judgement(0.5, True)])

    assert [(point.threshold, point.kept, point.error) for point in curve] == [
        (0.0, 3, pytest.approx(1 / 3)),
        (0.5, 2, 0.0),
    ]


def test_threshold_is_the_smallest_that_keeps_the_target() -> None:
    curve = draw_curve(judge(3000))
    found = find_threshold(curve, target=0.10)

    assert found is not None
    assert found.error <= 0.10
    # Right with chance v, evenly spread: the mean error of those above t is (1 − t) / 2.
    assert found.threshold == pytest.approx(0.8, abs=0.06)
    assert all(point.error > 0.10 for point in curve if point.threshold < found.threshold)


def test_no_threshold_is_fixed_on_few_verdicts() -> None:
    assert find_threshold(draw_curve([Judgement(0.9, True)] * 29)) is None
    assert find_threshold(draw_curve([Judgement(0.9, True)] * 30)) is not None


def test_no_threshold_where_none_keeps_the_target() -> None:
    assert find_threshold(draw_curve([Judgement(value / 100, False) for value in range(100)])) is None
    assert draw_curve([]) == ()
    assert find_threshold([]) is None


def test_drawn_verdicts_stand_for_those_nobody_saw() -> None:
    """Doubtful ones are all judged, of the sure ones a tenth: the estimate is that of judging all."""
    every = judge(20_000)
    source = random.Random(3)
    seen = [
        item if item.value < 0.5 else Judgement(item.value, item.is_right, chance=0.1)
        for item in every
        if item.value < 0.5 or source.random() < 0.1
    ]
    whole, drawn = draw_curve(every)[0], draw_curve(seen)[0]

    assert drawn.error == pytest.approx(whole.error, abs=0.03)
    assert sum(not item.is_right for item in seen) / len(seen) > whole.error + 0.1  # unweighed: far too dark


def test_interval_is_as_wide_as_the_drawn_are_few() -> None:
    even = draw_curve([Judgement(0.5, place % 5 > 0) for place in range(100)])[0]
    drawn = draw_curve([Judgement(0.5, place % 5 > 0, chance=1 if place < 50 else 0.01) for place in range(100)])[0]

    assert drawn.error == pytest.approx(even.error)
    assert drawn.high - drawn.low > 1.3 * (even.high - even.low)


def test_what_other_reasons_send_is_never_kept() -> None:
    curve = draw_curve([Judgement(0.9, False, is_sent_anyway=True), Judgement(0.8, True)])

    assert [(point.threshold, point.sent_share, point.error) for point in curve] == [(0.0, 0.5, 0.0)]
