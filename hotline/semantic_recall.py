"""Recall beyond words for a lookup: on where an embedding host is configured, left out and said so where it fails."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from hotline.embedders import get_query_embedder, note_trouble
from kb.embedding import EmbeddingFailed
from kb.retrieval import Ranked
from kb.search.types import SearchEngineError, SearchFilter
from kb.semantic_search import rank_by_meaning

logger = logging.getLogger(__name__)

SEMANTIC_UNAVAILABLE = "semantic_unavailable"


@dataclass(frozen=True, slots=True)
class SemanticRecall:
    """What is fused with the rankings by words, what is to be said of it, and the time. All empty where it is off.

    `embedder`: its revision, empty where it could not be used.
    """

    rankings: tuple[Ranked, ...] = ()
    notices: tuple[str, ...] = ()
    seconds: float | None = None
    embedder: str = ""


def recall_by_meaning(question: str, search_filter: SearchFilter) -> SemanticRecall:
    """Never raises for an embedder or a store that cannot be used."""
    embedder = get_query_embedder()
    if embedder is None:
        return SemanticRecall()
    began = time.perf_counter()
    try:
        rankings: tuple[Ranked, ...] = (rank_by_meaning(embedder, question, search_filter),)
        notices: tuple[str, ...] = ()
        revision = embedder.space.revision
    except (EmbeddingFailed, SearchEngineError, ImportError) as error:
        logger.warning("no recall by meaning: %s", error)
        note_trouble(error)
        rankings, notices, revision = (), (SEMANTIC_UNAVAILABLE,), ""
    return SemanticRecall(rankings, notices, time.perf_counter() - began, revision)
