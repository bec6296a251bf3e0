"""What counts as a fall between two measurements on the golden questions, and which questions changed."""

from __future__ import annotations

import pytest

from hotline import golden
from hotline.measurement import Figures


def make_figures(**changes: float | None) -> Figures:
    values = {"top1": 80.0, "mrr5": 85.0, "ndcg3": 84.0, "recall50": 99.0, "sent": 30.0, "top1_of_rest": 95.0}
    return Figures(queries=10, labelled=10, **{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "fallen"),
    [
        ({}, ()),
        ({"top1": 90.0, "sent": 80.0}, ()),
        ({"top1": 79.9}, ("top1",)),
        ({"mrr5": 80.0, "ndcg3": 80.0, "recall50": 98.9}, ("mrr5", "ndcg3", "recall50")),
        ({"top1_of_rest": 90.0}, ()),  # a fall that stays within the target
        ({"top1_of_rest": 89.9}, ("top1_of_rest",)),
        ({"top1_of_rest": None}, ()),  # everything is reviewed
        ({"top1": None}, ("top1",)),
    ],
)
def test_what_counts_as_a_fall(changes: dict[str, float | None], fallen: tuple[str, ...]) -> None:
    assert golden.find_fallen(make_figures(), make_figures(**changes)) == fallen


def test_errors_that_nobody_reviews_any_more_are_a_fall() -> None:
    everything_reviewed = make_figures(sent=100.0, top1_of_rest=None)

    assert golden.find_fallen(everything_reviewed, make_figures(top1_of_rest=70.0)) == ("top1_of_rest",)


def test_changed_rows_begin_with_the_deepest_fall() -> None:
    row = golden.MeasuredRow("问", (1,), (1,), 1, {}, None, False, (), {})
    places = [(1, 1), (3, 1), (2, None), (1, 2)]
    before, after = (
        [golden.MeasuredRow(**{**_fields(row), "right_rank": pair[side]}) for pair in places] for side in (0, 1)
    )

    assert [(item.before, item.after) for item in golden.find_changed(before, after)] == [(2, None), (1, 2), (3, 1)]


def _fields(row: golden.MeasuredRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}
