"""The strongest answer comes first, but the first stage has its say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hotline.passage_order import FoundPassage, order_passages

PURPOSE = "第一条 为规范既有住宅加装电梯补贴，制定本办法。"
AMOUNT = "第八条 加装电梯每台补贴最高20万元。\n第九条 逾期不申请的视为放弃。"
UNRELATED = "第二十条 违者依法追究责任。"
QUESTION = "加装电梯补贴多少钱"


def order(*passages: FoundPassage) -> list[int]:
    return [shown.id for shown in order_passages(QUESTION, passages, title="云岚市电梯办法")]


def test_strongest_answer_comes_first() -> None:
    assert order(FoundPassage(1, PURPOSE, 0.9), FoundPassage(2, AMOUNT, 0.7)) == [2, 1]


def test_first_stage_outweighs_a_little_better_sentence() -> None:
    assert order(FoundPassage(1, PURPOSE, 0.9), FoundPassage(2, AMOUNT, 0.05)) == [1, 2]


def test_passages_without_a_mark_come_last_as_found() -> None:
    found = [FoundPassage(1, UNRELATED, 0.9), FoundPassage(2, UNRELATED, 0.8), FoundPassage(3, AMOUNT, 0.1)]
    shown = order_passages(QUESTION, found, title="")

    assert [passage.id for passage in shown] == [3, 1, 2]
    assert [bool(passage.spans) for passage in shown] == [True, False, False]


def test_equal_answers_stay_as_found() -> None:
    assert order(FoundPassage(7, AMOUNT, 0.5), FoundPassage(3, AMOUNT, 0.6)) == [3, 7]


def test_one_that_was_not_found_comes_where_it_answers_best() -> None:
    assert order(FoundPassage(1, PURPOSE, 0.9), FoundPassage(2, AMOUNT, 0.0)) == [2, 1]


def test_others_that_were_not_found_are_left_out() -> None:
    passages = [FoundPassage(1, AMOUNT, 0.9), FoundPassage(2, PURPOSE, 0.0), FoundPassage(3, UNRELATED, 0.0)]
    assert order(*passages) == [1]


def test_nothing_is_added_where_nothing_answers() -> None:
    assert order(FoundPassage(1, UNRELATED, 0.0), FoundPassage(2, UNRELATED, 0.4)) == [2]


def test_best_sentence_comes_first_among_the_marks() -> None:
    (shown,) = order_passages("加装电梯补贴多少钱", [FoundPassage(1, f"{PURPOSE}\n{AMOUNT}", 1.0)], title="")
    start, end = shown.spans[0]

    assert "20万元" in f"{PURPOSE}\n{AMOUNT}"[start:end]
    assert len(shown.spans) == 2


@given(st.lists(st.tuples(st.sampled_from([PURPOSE, AMOUNT, UNRELATED, "", "\n"]), st.floats(0, 1)), max_size=6))
def test_every_found_passage_is_shown_once(rows: list[tuple[str, float]]) -> None:
    passages = [FoundPassage(number, text, score) for number, (text, score) in enumerate(rows)]
    shown = [passage.id for passage in order_passages(QUESTION, passages, title="")]

    found = [passage.id for passage in passages if passage.score > 0]
    assert len(shown) == len(set(shown))
    assert set(found) <= set(shown)
    assert len(shown) <= len(found) + 1
