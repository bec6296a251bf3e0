"""Bars for scores, inside the picture whatever the scores."""

from __future__ import annotations

import pytest

from hotline.lab_chart import HEIGHT, WIDTH, draw_first_stage, draw_scores


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("count", [1, 2, 10, 50])
def test_bars_stay_inside_and_apart(count: int, calibrated: bool) -> None:
    chart = draw_scores([8.0 - 0.3 * place for place in range(count)], calibrated=calibrated, threshold=0.8)

    assert chart is not None
    assert len(chart.bars) == count
    for bar in chart.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y >= 0
        assert 0 < bar.height <= HEIGHT
    assert all(left.x + left.width <= right.x for left, right in zip(chart.bars, chart.bars[1:], strict=False))
    assert chart.threshold_y is not None
    assert 0 <= chart.threshold_y <= HEIGHT


def test_those_within_the_threshold_are_marked() -> None:
    chart = draw_scores([3.0, 2.5, 1.0], calibrated=False, threshold=0.8)

    assert chart is not None
    assert [bar.kind for bar in chart.bars] == ["first", "close", "other"]
    assert "另有 1 个在分差阈值 0.80 之内" in chart.description
    assert chart.bars[0].height > chart.bars[1].height > chart.bars[2].height


def test_calibrated_scores_are_shown_as_probabilities() -> None:
    chart = draw_scores([4.0, -4.0], calibrated=True, threshold=0.8)

    assert chart is not None
    assert chart.bars[0].label == "第 1 名 0.98"
    assert [label for _, label in chart.lines] == ["0", "0.5", "1"]


def test_equal_scores_do_not_divide_by_nothing() -> None:
    chart = draw_scores([1.0, 1.0], calibrated=False, threshold=0.0)

    assert chart is not None
    assert len(chart.bars) == 2


def test_nothing_is_no_picture() -> None:
    assert draw_scores([], calibrated=True, threshold=0.8) is None
    assert draw_first_stage([]) is None


def test_first_stage_has_no_threshold() -> None:
    chart = draw_first_stage([1.0, 0.5])

    assert chart is not None
    assert chart.threshold_y is None
    assert "末名为 0.50" in chart.description
