"""When a lookup is doubtful, and for which reasons."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranking.score_gap import ReviewRules, decide_review, first_share, gap_threshold
from reranking.types import Ranking, RerankerInfo, ScoredPassage

QUESTION = "我家楼上漏水物业一直不管应该找谁解决"  # 18 characters
CALIBRATED = RerankerInfo("qwen", "r1", calibrated=True)
LISTWISE = RerankerInfo("lexical", "r2", calibrated=False)


def rank(*log_odds: float, info: RerankerInfo = CALIBRATED, unscored: tuple[str, ...] = ()) -> Ranking:
    scored = tuple(ScoredPassage.from_log_odds(str(place), value) for place, value in enumerate(log_odds))
    return Ranking(scored, info, unscored)


def decide(ranking: Ranking | None, *, first: str = "0", rules: ReviewRules | None = None) -> tuple[str, ...]:
    ids = [first, "other", "another"]
    return decide_review(ranking, question=QUESTION, first_stage_ids=ids, rules=rules or ReviewRules()).reasons


def test_clear_lead_of_an_agreed_first_is_not_doubtful() -> None:
    assert decide(rank(5.0, 1.0)) == ()


def test_small_gap_is_doubtful() -> None:
    assert decide(rank(5.0, 4.9)) == ("small_score_gap",)


def test_gap_is_taken_on_log_odds_where_probabilities_are_saturated() -> None:
    assert decide(rank(14.0, 10.0)) == ()
    assert decide(rank(14.0, 13.9)) == ("small_score_gap",)


def test_low_best_counts_for_calibrated_rerankers_alone() -> None:
    assert decide(rank(-1.0, -6.0)) == ("low_best_score",)
    assert decide(rank(-1.0, -6.0, info=LISTWISE)) == ()


def test_other_first_of_the_first_stage_is_said_and_sends_unless_the_rules_say_no() -> None:
    assert decide(rank(5.0, 1.0), first="other") == ("first_stage_disagrees",)
    only_said = ReviewRules(check_first_stage=False)
    decision = decide_review(rank(5.0, 1.0), question=QUESTION, first_stage_ids=["other"], rules=only_said)
    assert decision.reasons == ("first_stage_disagrees",)
    assert not decision.needs_review


def test_partial_ranking_is_doubtful() -> None:
    assert decide(rank(5.0, 1.0, unscored=("9",))) == ("partial_rerank",)


def test_missing_reranker_is_doubtful() -> None:
    assert decide(None) == ("reranker_unavailable",)
    assert decide(rank(unscored=("0", "1"))) == ("reranker_unavailable",)


def test_nothing_found_is_the_only_reason_where_there_are_no_candidates() -> None:
    decision = decide_review(None, question=QUESTION, first_stage_ids=[], rules=ReviewRules())

    assert decision.reasons == ("nothing_found",)
    assert decision.gap is None
    assert decision.needs_review


def test_share_gates_in_the_place_of_the_gap_and_the_gap_is_still_given() -> None:
    rules = ReviewRules(signal="share", share_threshold=0.5)
    close = decide_review(rank(1.0, 0.9, info=LISTWISE), question=QUESTION, first_stage_ids=["0"], rules=rules)
    spread = decide_review(rank(3.0, *[1.2] * 30, info=LISTWISE), question=QUESTION, first_stage_ids=["0"], rules=rules)

    assert close.reasons == ("small_score_gap",)  # said, though 0.52 of two does not send it
    assert not close.needs_review
    assert close.gap == pytest.approx(0.1)
    assert spread.reasons == ("low_first_share",)
    assert spread.needs_review
    assert spread.gap == pytest.approx(1.8)


def test_single_candidate_has_no_gap_and_no_share() -> None:
    decision = decide_review(rank(2.0), question=QUESTION, first_stage_ids=["0"], rules=ReviewRules())

    assert (decision.gap, decision.first_share, decision.reasons) == (None, None, ())


def test_threshold_is_the_base_for_a_usual_question() -> None:
    assert gap_threshold(0.8, question_length=20, candidate_count=50) == pytest.approx(0.8)


@pytest.mark.parametrize(("length", "expected"), [(1, 0.99), (0, 1.0), (10, 0.9), (40, 0.6), (500, 0.6)])
def test_threshold_falls_with_the_length_of_the_question(length: int, expected: float) -> None:
    assert gap_threshold(0.8, question_length=length, candidate_count=50) == pytest.approx(expected)


def test_threshold_rises_with_the_candidates_up_to_the_usual_number() -> None:
    found = [gap_threshold(0.8, question_length=20, candidate_count=count) for count in (0, 2, 10, 50, 200)]

    assert found == sorted(found)
    assert found[0] == pytest.approx(0.4)
    assert found[-1] == pytest.approx(0.8)


@given(st.floats(0.01, 10), st.integers(0, 5000), st.integers(0, 500))
def test_threshold_stays_near_its_base(base: float, length: int, count: int) -> None:
    assert 0.375 * base <= gap_threshold(base, question_length=length, candidate_count=count) <= 1.25 * base + 1e-9


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=60))
def test_share_is_the_softmax_of_the_first(log_odds: list[float]) -> None:
    ordered = sorted(log_odds, reverse=True)

    share = first_share(ordered)

    assert 1 / len(ordered) - 1e-12 <= share <= 1.0
    assert share == pytest.approx(1 / math.fsum(math.exp(value - ordered[0]) for value in ordered))
