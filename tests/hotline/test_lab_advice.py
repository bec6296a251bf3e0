"""Advice in plain words, from the scores alone."""

from __future__ import annotations

import pytest

from hotline.lab_advice import Described, advise, ask_which

TOP = (
    Described("甲办法", "青溪区", "住房"),
    Described("乙办法", "云岚市", "住房"),
    Described("丙办法", "云岚市", "人社"),
)


def kinds(relevance: list[float | None], *, calibrated: bool = True, gap: float | None = 5.0) -> list[str]:
    found = advise(
        relevance=relevance, calibrated=calibrated, is_reranked=True, gap=gap, threshold=0.8, is_sent=True, top=TOP
    )
    return [advice.kind for advice in found]


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ([0.97, 0.96, 0.95, 0.95, 0.94], ["too_broad"]),
        ([0.97, 0.92, 0.90, 0.90, 0.90], ["clear"]),
        ([0.90, 0.20, 0.10, 0.05, 0.01], ["knowledge_gap"]),
        ([0.21, 0.20, 0.20, 0.19, 0.19], ["knowledge_gap", "too_broad"]),
        ([0.90], ["clear"]),
        ([None, None], ["clear"]),
    ],
)
def test_levels_and_spread_of_the_top_are_judged(relevance: list[float | None], expected: list[str]) -> None:
    assert kinds(relevance) == expected


def test_what_comes_after_the_top_does_not_count() -> None:
    assert kinds([0.97, 0.96, 0.95, 0.95, 0.94, 0.1, 0.1]) == ["too_broad"]


def test_small_gap_means_secondary_review() -> None:
    assert kinds([0.9, 0.6], gap=0.79) == ["secondary_review"]
    assert kinds([0.9, 0.6], gap=0.8) == ["clear"]
    assert kinds([0.9], gap=None) == ["clear"]


@pytest.mark.parametrize(("is_sent", "said"), [(True, "会送二次校验"), (False, "不自动送二次校验")])
def test_whether_it_is_sent_is_said(is_sent: bool, said: str) -> None:
    (advice,) = advise(
        relevance=[], calibrated=False, is_reranked=True, gap=0.1, threshold=0.8, is_sent=is_sent, top=TOP
    )
    assert said in advice.text


def test_levels_of_an_uncalibrated_reranker_say_nothing() -> None:
    assert kinds([0.5, 0.5], calibrated=False, gap=0.1) == ["secondary_review"]
    assert kinds([0.5, 0.5], calibrated=False) == ["clear"]


def test_first_stage_alone_gives_no_advice_on_scores() -> None:
    (advice,) = advise(
        relevance=[], calibrated=False, is_reranked=False, gap=None, threshold=0.8, is_sent=True, top=TOP
    )
    assert advice.kind == "unordered"


def test_question_back_names_what_tells_candidates_apart() -> None:
    assert ask_which(TOP) == "是哪个地区（青溪区、云岚市），是哪类业务（住房、人社）。"
    assert ask_which([Described("甲办法"), Described("乙办法")]) == "问的是哪一件事：《甲办法》、《乙办法》等。"
    assert "具体" in ask_which([Described("甲办法", "云岚市")])
