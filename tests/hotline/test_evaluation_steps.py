"""`evaluate --steps`: each step alone, and whether it harms a set."""

from __future__ import annotations

import pytest

from hotline.evaluation.corpus import index_documents
from hotline.evaluation.data import Document, Question
from hotline.evaluation.report import FEWEST_JUDGED
from hotline.evaluation.steps import _compare, list_steps
from hotline.understanding import CLEANING, FUSED_KINDS
from kb.retrieval import DEFAULT_PLAN

pytestmark = pytest.mark.django_db  # the live dictionaries
DOCUMENTS = [
    Document(id="rent", title="云岚市公共租赁住房办法", content="第一条 公共租赁住房的申请条件。"),
    Document(id="dogs", title="云岚市养犬条例", content="第一条 养犬应当登记。"),
]


def make_question(number: int = 0, text: str = "请问公租房") -> Question:
    return Question(str(number), text, frozenset({"rent"}), answer="", set_name="town", first_right_id="rent")


def test_every_step_is_printed_alone() -> None:
    with index_documents(DOCUMENTS) as corpus:
        lines = list(list_steps(corpus, [make_question()]))

    for kind in (*CLEANING, "spoken", "abbreviation", "synonym", "focus", "place", "passage_sum", "second search"):
        assert any(line.startswith(f"no {kind} ") for line in lines), kind
    assert all(any(line.startswith(f"no rewrite {kind} ") for line in lines) for kind in FUSED_KINDS)
    assert any(line.startswith("with rewrite policy_form ") for line in lines)
    assert all(any(line.startswith(f"no {ranking.name} ") for line in lines) for ranking in DEFAULT_PLAN.rankings)


@pytest.mark.parametrize(("count", "is_harmful"), [(FEWEST_JUDGED, True), (FEWEST_JUDGED - 1, False)])
def test_step_that_costs_over_half_a_point_is_marked_in_large_sets(count: int, *, is_harmful: bool) -> None:
    questions = [make_question(number) for number in range(count)]
    with_it = [{"recall@20": 100.0, "recall@50": 100.0 * (number > 0), "top1": 0.0} for number in range(count)]
    without = [{**row, "recall@50": 100.0} for row in with_it]
    compared = dict(_compare("no step", questions, with_it, without, is_extra=False))

    assert set(compared.values()) == {is_harmful}
    assert all(line.endswith("!") == is_harmful for line in compared)
    assert not any(marked for _, marked in _compare("step", questions, with_it, without, is_extra=True))
