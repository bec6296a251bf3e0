"""The machine check settles only doubt about the order, and only when every row agrees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotline.machine_check import DEPTH, Doubt, can_be_settled, check_by_machine, check_doubts
from reranking.score_gap import Decision
from reranking.types import Candidate, Ranking, RankingRequest, RerankerInfo
from tests.hotline.conftest import FakeReranker

CANDIDATES = [Candidate(str(n), f"政策{n}", f"段{n}", passages=(f"段{n}", f"又{n}")) for n in range(8)]


def first_ranking(fake: FakeReranker) -> Ranking:
    return fake.rank([RankingRequest("问", CANDIDATES)])[0]


def lead(fake: FakeReranker, by_query: dict[str, float]) -> None:
    fake.score = lambda query, c: by_query[query] if c.id == "0" else 0.0


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (("first_stage_disagrees",), True),
        (("small_score_gap",), True),
        (("small_score_gap", "first_stage_disagrees"), True),
        (("small_score_gap", "reranker_unavailable"), False),
        (("low_best_score",), False),
        (("nothing_found",), False),
    ],
)
def test_only_doubt_about_the_order_can_be_settled(reasons: tuple[str, ...], expected: bool) -> None:
    decision = Decision(0.1, 0.8, 0.3, reasons, needs_review=True)

    assert can_be_settled(decision, RerankerInfo("qwen", "1", calibrated=True)) is expected
    assert not can_be_settled(decision, RerankerInfo("lexical", "1", calibrated=False))


def test_what_is_not_sent_to_review_needs_no_check() -> None:
    decision = Decision(0.1, 0.8, 0.3, ("small_score_gap",), needs_review=False)

    assert not can_be_settled(decision, RerankerInfo("qwen", "1", calibrated=True))


def test_mean_lead_over_question_and_variants_settles() -> None:
    fake = FakeReranker()
    lead(fake, {"问": 0.5, "变体": 1.5})
    check = check_by_machine(
        fake, question="问", variants=["变体", "问"], candidates=CANDIDATES, ranking=first_ranking(fake), threshold=0.9
    )

    assert (check.is_settled, check.gap, check.rows, check.agreeing_rows) == (True, 1.0, 2, 2)
    assert [len(request.candidates) for request in fake.requests[1:]] == [DEPTH, DEPTH]
    assert fake.requests[-1].candidates[0].text == "段0\n又0"


def test_one_row_that_disagrees_leaves_it_open() -> None:
    fake = FakeReranker()
    lead(fake, {"问": 9.0, "变体": -0.1})
    check = check_by_machine(
        fake, question="问", variants=["变体"], candidates=CANDIDATES, ranking=first_ranking(fake), threshold=0.9
    )

    assert (check.is_settled, check.agreeing_rows) == (False, 1)


def test_lead_below_the_threshold_leaves_it_open() -> None:
    fake = FakeReranker()
    lead(fake, {"问": 0.5})
    check = check_by_machine(
        fake, question="问", variants=[], candidates=CANDIDATES, ranking=first_ranking(fake), threshold=0.9
    )

    assert check.is_settled is False


def test_single_candidate_cannot_be_compared() -> None:
    fake = FakeReranker()
    ranking = fake.rank([RankingRequest("问", CANDIDATES[:1])])[0]
    check = check_by_machine(
        fake, question="问", variants=[], candidates=CANDIDATES[:1], ranking=ranking, threshold=0.9
    )

    assert (check.is_settled, check.gap, check.rows) == (False, None, 0)


def test_several_doubts_are_one_call() -> None:
    fake = FakeReranker()
    lead(fake, {"问": 2.0, "变体": 1.5, "另一问": -1.0})
    ranking = first_ranking(fake)
    doubts = [
        Doubt("问", ["变体"], CANDIDATES, ranking, 0.9),
        Doubt("问", [], CANDIDATES[:1], fake.rank([RankingRequest("问", CANDIDATES[:1])])[0], 0.9),
        Doubt("另一问", [], CANDIDATES, ranking, 0.9),
    ]
    fake.calls.clear()

    checks = check_doubts(fake, doubts, latency_budget=1.0)

    assert fake.calls == [3]
    assert [(check.is_settled, check.rows) for check in checks] == [(True, 2), (False, 0), (False, 1)]
    assert check_doubts(fake, []) == []


def test_rows_that_another_reranker_scored_settle_nothing() -> None:
    fake = FakeReranker(calibrated=True)
    lead(fake, {"问": 9.0})
    ranking = replace(first_ranking(fake), info=RerankerInfo("qwen", "1", calibrated=True))

    (check,) = check_doubts(fake, [Doubt("问", [], CANDIDATES, ranking, 0.9)])

    assert (check.is_settled, check.gap, check.agreeing_rows) == (False, None, 0)
