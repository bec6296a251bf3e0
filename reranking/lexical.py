"""The lexical reranker: needs no weights of a neural model, no device and a few milliseconds.

Its score differences are log-odds between the candidates of one question. They have no absolute zero.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from reranking.lexical_features import AnalyzeQuestion, QuestionTokens, analyze_plainly, list_features
from reranking.lexical_model import LexicalModel, load_model
from reranking.types import Ranking, RankingRequest, RerankerInfo, ScoredPassage, order_scored

NAME = "lexical"


class QuestionSegmenter(Protocol):
    """kb.segmentation.Segmenter is one."""

    def analyze_query(self, text: str) -> QuestionTokens: ...


class LexicalReranker:
    """Orders candidates by their first-stage figures and by how much of the question their texts hold.

    Fast enough to pay no heed to deadlines. Safe to share between threads.
    """

    def __init__(self, model: LexicalModel | None = None, *, segmenter: QuestionSegmenter | None = None) -> None:
        self.model = model or load_model()
        self._analyze: AnalyzeQuestion = segmenter.analyze_query if segmenter else analyze_plainly

    @classmethod
    def load(cls, path: Path | None = None, *, segmenter: QuestionSegmenter | None = None) -> LexicalReranker:
        """`path` None: the coefficients that ship. Raises LexicalModelError, OSError."""
        return cls(load_model(path), segmenter=segmenter)

    @property
    def info(self) -> RerankerInfo:
        return make_info(self.model)

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return [self._rank_one(request) for request in requests]

    def list_rows(self, request: RankingRequest) -> list[list[float]]:
        """The candidates' features as they are scored: what explains a score or teaches coefficients must be these."""
        return list_features(request.query, request.candidates, self._analyze, request.variants)

    def _rank_one(self, request: RankingRequest) -> Ranking:
        began = time.perf_counter()
        rows = self.list_rows(request)
        ranking = order_rows(self.model, [candidate.id for candidate in request.candidates], rows)
        return replace(ranking, seconds=time.perf_counter() - began)


def make_info(model: LexicalModel) -> RerankerInfo:
    return RerankerInfo(name=NAME, revision=model.revision, calibrated=False)


def order_rows(model: LexicalModel, candidate_ids: Sequence[str], rows: Sequence[Sequence[float]]) -> Ranking:
    """The ranking of one question's candidates by their features, which are in the columns of FEATURES."""
    scored = [
        ScoredPassage.from_log_odds(candidate_id, score)
        for candidate_id, score in zip(candidate_ids, model.score(rows), strict=True)
    ]
    return Ranking(order_scored(scored), make_info(model))
