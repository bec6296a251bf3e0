from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reranking.trimming import OMISSION, trim_text

FILLER = "本办法由市住房和城乡建设局负责解释。"
ANSWER = "外墙渗水的，由建设单位负责维修。"


def test_text_within_the_budget_stays_as_it_is():
    assert trim_text(ANSWER, "外墙渗水", 100) == ANSWER


def test_sentence_that_matches_is_kept():
    assert ANSWER in trim_text(FILLER * 20 + ANSWER + FILLER * 20, "外墙渗水谁修", 60)


def test_neighbours_come_along_and_gaps_are_marked():
    text = FILLER * 3 + "甲前句。" + ANSWER + "乙后句。" + FILLER * 3
    assert trim_text(text, "外墙渗水", 30) == f"{OMISSION}甲前句。{ANSWER}乙后句。"


def test_rare_match_beats_common_one():
    text = "维修要登记。" * 20 + ANSWER + "维修要登记。" * 20
    assert ANSWER in trim_text(text, "外墙渗水维修", 20)


def test_second_match_is_kept_where_there_is_room():
    other = "渗水的费用另行规定。"
    trimmed = trim_text(ANSWER + FILLER * 10 + other, "外墙渗水", 60)
    assert trimmed.startswith(ANSWER)
    assert trimmed.endswith(OMISSION + other)


def test_text_without_a_match_begins_at_its_beginning():
    assert trim_text("第一句。" + FILLER * 20, "xyz", 30).startswith("第一句。")


def test_sentence_longer_than_the_budget_is_cut():
    assert trim_text("渗水" * 100, "渗水", 50).startswith("渗水" * 25)


@given(st.text(alphabet="外墙渗水维修。；\nab ", max_size=200), st.text(max_size=20), st.integers(1, 80))
def test_trimmed_text_is_never_longer_than_the_budget(text, query, budget):
    assert len(trim_text(text, query, budget).replace(OMISSION, "")) <= max(budget, 0) + 2 * len(OMISSION)
