"""What every reranker takes and gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class RerankerError(Exception):
    """A reranker could not give an honest order. `code` is stable and snake_case."""

    code = "reranker_error"


class RerankerUnavailable(RerankerError):
    """The reranker, its weights, its device or its host cannot be used now; a lesser one may be."""

    code = "reranker_unavailable"


class DeviceAbsent(RerankerUnavailable):
    """This machine has no such device: not to be had is no failure, and waiting brings none."""


class NonFiniteScore(RerankerError):
    """A score was NaN or infinite. Such scores are never sorted."""

    code = "non_finite_score"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One document as a query's candidate: its title, 发文字号 and the text of its best passage.

    `id` is opaque. `passages` are the texts of the best passages, best first; `text` is what a model reads.
    `features` are the first stage's own figures, by name, and `document_text` the whole document: only the lexical
    reranker looks at them.
    """

    id: str
    title: str
    text: str
    document_number: str = ""
    passages: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    document_text: str = ""


@dataclass(frozen=True, slots=True)
class RankingRequest:
    """One query with its candidates in first-stage order.

    `instruction` is the task description of the prompt (None: the reranker's default). `latency_budget` is in
    seconds from the moment `rank` is called; None means no deadline. `variants`: other wordings that were searched
    too; only the lexical reranker looks at them.

    `prior` is empty or holds a number for each candidate: those with a higher one are scored first, where a deadline
    leaves no time for all (empty: by first-stage order). It changes no score, nor the order of what was not scored.
    """

    query: str
    candidates: Sequence[Candidate]
    instruction: str | None = None
    latency_budget: float | None = None
    variants: Sequence[str] = ()
    prior: Sequence[float] = ()

    def __post_init__(self) -> None:
        if self.prior and len(self.prior) != len(self.candidates):
            raise ValueError(f"prior has {len(self.prior)} numbers for {len(self.candidates)} candidates")

    def scoring_order(self) -> list[int]:
        """Places of the candidates in the order in which they are likely to matter."""
        places = range(len(self.candidates))
        return sorted(places, key=lambda place: -self.prior[place]) if self.prior else list(places)


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """Who ordered a list. Thresholds belong to `revision`.

    `calibrated`: whether `log_odds` has an absolute zero, so that P(yes) and levels mean something.
    """

    name: str
    revision: str
    calibrated: bool
    device: str = "cpu"
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A candidate's score: `log_odds` is logit(yes) − logit(no) or a listwise score, `relevance_score` its sigmoid."""

    id: str
    log_odds: float
    relevance_score: float
    truncated: bool = False
    cached: bool = False

    @classmethod
    def from_log_odds(
        cls, candidate_id: str, log_odds: float, *, truncated: bool = False, cached: bool = False
    ) -> ScoredPassage:
        """Raises NonFiniteScore."""
        return cls(candidate_id, log_odds, sigmoid(log_odds), truncated, cached)


# The notice of a ranking that the deadline cut short.
PARTIAL_RERANK = "partial_rerank"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of one request: `scored` best first, then `unscored` ids in first-stage order.

    `seconds` is the time this request spent in the reranker; `notices` are snake_case remarks
    (`truncated`, `partial_rerank`, `batch_halved`, `fell_back`).
    """

    scored: tuple[ScoredPassage, ...]
    info: RerankerInfo
    unscored: tuple[str, ...] = ()
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return (*(item.id for item in self.scored), *self.unscored)

    @property
    def is_partial(self) -> bool:
        return bool(self.unscored)


@runtime_checkable
class Reranker(Protocol):
    """Orders the candidates of many requests at once; rankings come in the order of the requests."""

    @property
    def info(self) -> RerankerInfo: ...

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        """Raises RerankerUnavailable or NonFiniteScore; never returns a silent wrong order."""
        ...


def sigmoid(log_odds: float) -> float:
    """P(yes) of a log-odds, without overflow. Raises NonFiniteScore."""
    if not math.isfinite(log_odds):
        raise NonFiniteScore(f"score is {log_odds}")
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def order_scored(scored: Sequence[ScoredPassage]) -> tuple[ScoredPassage, ...]:
    """Best first; equal scores keep the order they came in."""
    return tuple(sorted(scored, key=lambda item: -item.log_odds))
