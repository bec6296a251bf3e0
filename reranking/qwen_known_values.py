"""Whether real weights score as the published model does: four public pairs with known log-odds.

The pairs are those of sentence-transformers' tests of pretrained cross-encoders; the values are float32 log-odds of
Qwen3-Reranker-0.6B with its default instruction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reranking.prompts import PUBLISHED_INSTRUCTION
from reranking.types import Candidate, RankingRequest, Reranker

KNOWN_MODEL = "Qwen3-Reranker-0.6B"
# Published sizes of which no values are known, by their hidden size and by what their names hold.
UNKNOWN_MODELS = {2560: "Qwen3-Reranker-4B", 4096: "Qwen3-Reranker-8B"}
UNKNOWN_NAMES = ("4b", "8b")
KNOWN_QUERY = "Which planet is known as the Red Planet?"
KNOWN_DOCUMENTS = (
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
)
KNOWN_LOG_ODDS = (-3.1093, 7.1204, -0.3788, 3.5416)

# Largest difference by what the engine computes in. Values are given to four digits; lesser dtypes round.
TOLERANCES = {"float32": 0.01, "bfloat16": 0.25, "float16": 0.1}
INT8_TOLERANCE = 0.75


class PairReranker(Protocol):
    """What the check needs of an engine."""

    def score_pairs(self, pairs: Sequence[tuple[str, str]], instruction: str | None = None) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class KnownValuesCheck:
    """`passed`: the largest difference is within tolerance and the order is the known one."""

    log_odds: tuple[float, ...]
    expected: tuple[float, ...]
    largest_difference: float
    tolerance: float
    order_kept: bool

    @property
    def passed(self) -> bool:
        return self.order_kept and self.largest_difference <= self.tolerance


def has_known_values(name: str, hidden_size: int | None = None) -> bool:
    """Whether the known values are those of this model: by its hidden size, or by its name where that is not known."""
    if hidden_size is not None:
        return hidden_size not in UNKNOWN_MODELS
    return not any(re.search(rf"(?<![0-9.]){size}\b", name.lower()) for size in UNKNOWN_NAMES)


def check_known_values(engine: PairReranker, dtype: str) -> KnownValuesCheck:
    """Scores the four pairs. `dtype` is the engine's own, as `info.dtype` says it. Raises what scoring raises."""
    pairs = [(KNOWN_QUERY, document) for document in KNOWN_DOCUMENTS]
    return compare_known_values(engine.score_pairs(pairs, PUBLISHED_INSTRUCTION), dtype)


def check_known_values_of(reranker: Reranker) -> KnownValuesCheck | None:
    """As `check_known_values`, of any reranker; None where its scores are no log-odds or have lost digits.

    Raises what ranking raises.
    """
    candidates = [Candidate(str(number), "", document) for number, document in enumerate(KNOWN_DOCUMENTS)]
    (ranking,) = reranker.rank([RankingRequest(KNOWN_QUERY, candidates, PUBLISHED_INSTRUCTION)])
    if not ranking.info.calibrated or ranking.is_partial or "saturated" in ranking.notices:
        return None
    log_odds = {item.id: item.log_odds for item in ranking.scored}
    return compare_known_values([log_odds[candidate.id] for candidate in candidates], ranking.info.dtype)


def compare_known_values(log_odds: Sequence[float], dtype: str) -> KnownValuesCheck:
    """The four pairs' log-odds against the known ones, with the tolerance of `dtype` (unknown: bfloat16's)."""
    differences = [abs(mine - known) for mine, known in zip(log_odds, KNOWN_LOG_ODDS, strict=True)]
    return KnownValuesCheck(
        tuple(log_odds),
        KNOWN_LOG_ODDS,
        max(differences),
        INT8_TOLERANCE if dtype.endswith("int8") else TOLERANCES.get(dtype, TOLERANCES["bfloat16"]),
        _order(log_odds) == _order(KNOWN_LOG_ODDS),
    )


def _order(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda index: -values[index])
