"""Whether real weights score as the published model does: four public pairs with known log-odds.

The pairs are those of sentence-transformers' tests of pretrained cross-encoders; the values are float32 log-odds of
Qwen3-Reranker-0.6B with its default instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reranking.prompts import PUBLISHED_INSTRUCTION

KNOWN_MODEL = "Qwen3-Reranker-0.6B"
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


def check_known_values(engine: PairReranker, dtype: str) -> KnownValuesCheck:
    """Scores the four pairs. `dtype` is the engine's own, as `info.dtype` says it. Raises what scoring raises."""
    pairs = [(KNOWN_QUERY, document) for document in KNOWN_DOCUMENTS]
    log_odds = engine.score_pairs(pairs, PUBLISHED_INSTRUCTION)
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
