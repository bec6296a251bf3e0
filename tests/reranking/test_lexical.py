"""The lexical reranker: the contract of every reranker, and what is its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from kb.segmentation import get_segmenter, load_default_dictionary
from reranking.lexical import LexicalReranker, order_rows
from reranking.lexical_features import FEATURES
from reranking.lexical_model import LexicalModel
from reranking.types import Candidate, NonFiniteScore, RankingRequest, Reranker
from tests.reranking.contract import CANDIDATES, QUESTION, RerankerContract


class TestContract(RerankerContract):
    tolerance = 1e-9

    @pytest.fixture
    def reranker(self) -> Reranker:
        return LexicalReranker.load(segmenter=get_segmenter(load_default_dictionary()))


class TestContractWithoutSegmenter(RerankerContract):
    tolerance = 1e-9

    @pytest.fixture
    def reranker(self) -> Reranker:
        return LexicalReranker()


def test_is_not_calibrated_and_names_the_revision_of_its_coefficients() -> None:
    reranker = LexicalReranker(LexicalModel({"fused_share": {"base": 1.0}}))
    other = LexicalReranker(LexicalModel({"fused_share": {"base": 1.1}}))

    assert reranker.info.name == "lexical"
    assert not reranker.info.calibrated
    assert reranker.info.revision != other.info.revision


def test_shipped_coefficients_put_the_document_that_answers_first() -> None:
    (ranking,) = LexicalReranker().rank([RankingRequest(QUESTION, CANDIDATES[::-1])])

    assert ranking.ids[0] == "leak"


def test_documents_of_a_call_need_no_first_stage_figures() -> None:
    documents = [
        Candidate("1", "停车管理办法", "停车场应当公示收费标准。"),
        Candidate("2", "供热条例", "供热期室内温度不得低于十八摄氏度，低于的退还热费。"),
        Candidate("3", "养犬管理条例", "养犬应当登记，不得干扰他人。"),
    ]

    (ranking,) = LexicalReranker().rank([RankingRequest("家里供热温度不够能退热费吗", documents)])

    assert ranking.ids[0] == "2"


def test_scores_are_those_of_the_model() -> None:
    model = LexicalModel({"fused_share": {"base": 2.0}, "words_share": {"base": -1.0}})
    candidates = [
        replace(CANDIDATES[0], features={"fused_share": 1.0, "words_share": 0.5}),
        replace(CANDIDATES[1], features={"fused_share": 0.2, "words_share": 1.0}),
    ]

    (ranking,) = LexicalReranker(model).rank([RankingRequest(QUESTION, candidates)])

    assert [(item.id, item.log_odds) for item in ranking.scored] == [
        ("leak", pytest.approx(1.5)),
        ("parking", pytest.approx(-0.6)),
    ]


def test_score_that_is_no_number_is_never_sorted() -> None:
    rows = [[math.inf] * len(FEATURES)]

    with pytest.raises(NonFiniteScore):
        order_rows(LexicalModel({"fused_share": {"base": 1.0}}), ["1"], rows)
