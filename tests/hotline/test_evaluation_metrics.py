"""The figures of one order, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.evaluation.metrics import average, judge_order, percentage, percentile


def test_right_document_at_the_top() -> None:
    assert judge_order(["a", "b"], {"a"}) == {
        "recall@20": 100.0,
        "recall@50": 100.0,
        "top1": 100.0,
        "mrr@5": 100.0,
        "ndcg@3": 100.0,
    }


def test_right_document_in_third_place() -> None:
    figures = judge_order(["x", "y", "a"], {"a"})

    assert figures["top1"] == 0.0
    assert figures["mrr@5"] == pytest.approx(100 / 3)
    assert figures["ndcg@3"] == pytest.approx(50.0)


def test_two_right_documents_of_which_one_is_found() -> None:
    figures = judge_order(["x", "a", "y"], {"a", "b"})

    assert figures["recall@50"] == 50.0
    assert figures["mrr@5"] == 50.0
    assert figures["ndcg@3"] == pytest.approx(100 * (1 / math.log2(3)) / (1 + 1 / math.log2(3)))


def test_depths_end_where_they_say() -> None:
    order = [str(place) for place in range(60)]

    assert judge_order(order, {"3"})["ndcg@3"] == 0.0
    assert judge_order(order, {"5"})["mrr@5"] == 0.0
    assert judge_order(order, {"19"})["recall@20"] == 100.0
    assert judge_order(order, {"20"})["recall@20"] == 0.0
    assert judge_order(order, {"50"})["recall@50"] == 0.0


def test_nothing_found_is_zero_everywhere() -> None:
    assert set(judge_order([], {"a"}).values()) == {0.0}


@given(st.permutations(list("abcdef")), st.sets(st.sampled_from("abcdefg"), min_size=1))
def test_figures_are_percentages(order: list[str], right: set[str]) -> None:
    figures = judge_order(order, right)

    assert all(0.0 <= value <= 100.0 + 1e-9 for value in figures.values())
    assert figures["top1"] <= figures["mrr@5"]


def test_average_is_taken_of_each_column() -> None:
    assert average([{"a": 1.0, "b": 0.0}, {"a": 3.0, "b": 10.0}]) == {"a": 2.0, "b": 5.0}
    assert average([]) is None


def test_percentage_of_nothing_is_none() -> None:
    assert percentage([]) is None
    assert percentage([True, False, False, False]) == 25.0


def test_percentile_is_a_value_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]

    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.95) == 95.0
    assert percentile([7.0], 0.95) == 7.0
