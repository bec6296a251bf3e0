"""How rare bigrams are among the passages of an index: what a long question's sentences are weighed by."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping

from kb.query_understanding import Rarity
from kb.search.types import SearchEngineError, SearchReader

logger = logging.getLogger(__name__)


def make_rarity(engine: SearchReader, index: str | None = None) -> Rarity:
    """Weighs by the live index unless one is named, each bigram by BM25's inverse document frequency.

    What no passage holds weighs 0: it finds nothing. Where the engine fails nothing is known, and all weigh alike.
    """

    def weigh(bigrams: Collection[str]) -> Mapping[str, float]:
        try:
            counts = engine.count_bigrams(index or engine.live_index(), bigrams)
        except SearchEngineError as error:
            logger.warning("the rarity of bigrams is unknown: %s", error)
            return {}
        if not counts.containing:
            return {}
        return {bigram: _weigh(counts.containing.get(bigram, 0), counts.passages) for bigram in bigrams}

    return weigh


def _weigh(containing: int, passages: int) -> float:
    return math.log1p(max(0.0, passages - containing + 0.5) / (containing + 0.5)) if containing else 0.0
