"""Whether real weights embed as the published model does: the example of Qwen3-Embedding-0.6B's model card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reranking.embedding import Rows

KNOWN_MODEL = "Qwen3-Embedding-0.6B"
KNOWN_QUERIES = ("What is the capital of China?", "Explain gravity")
KNOWN_PASSAGES = (
    "The capital of China is Beijing.",
    "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is "
    "responsible for the movement of planets around the sun.",
)
# Inner products, query by query.
KNOWN_SIMILARITIES = (0.7646, 0.1414, 0.1355, 0.6000)
TOLERANCE = 0.02  # what a lesser dtype may cost


@dataclass(frozen=True, slots=True)
class SimilaritiesCheck:
    """`passed`: every similarity is within the tolerance."""

    similarities: tuple[float, ...]
    expected: tuple[float, ...]

    @property
    def largest_difference(self) -> float:
        return max(abs(mine - known) for mine, known in zip(self.similarities, self.expected, strict=True))

    @property
    def passed(self) -> bool:
        return self.largest_difference <= TOLERANCE


def check_known_similarities(
    embed_queries: Callable[[Sequence[str]], Rows], embed_passages: Callable[[Sequence[str]], Rows]
) -> SimilaritiesCheck:
    """Embeds the four texts. Raises what embedding raises."""
    found = embed_queries(KNOWN_QUERIES) @ embed_passages(KNOWN_PASSAGES).T
    return SimilaritiesCheck(tuple(map(float, found.ravel())), KNOWN_SIMILARITIES)
