"""Recall beyond words (语义召回): a ranking of passages by meaning, to be fused with those by words."""

from __future__ import annotations

from collections.abc import Callable

from kb.embedding import Embedder
from kb.engine import get_vector_store
from kb.retrieval import Ranked
from kb.search.types import SearchFilter
from kb.search.vectors import VectorReader, VectorSpace

NAME = "semantic"
DEPTH = 200  # passages
WEIGHT = 1.0  # that of one ranking by words; not measured with real weights yet


def rank_by_meaning(
    embedder: Embedder,
    question: str,
    search_filter: SearchFilter,
    *,
    open_store: Callable[[VectorSpace], VectorReader] = get_vector_store,
) -> Ranked:
    """The passages nearest to a question.

    Raises EmbeddingFailed, SearchEngineUnavailable, IndexMissing where nothing was embedded with this embedder yet.
    """
    vectors = embedder.embed_queries([question])
    (hits,) = open_store(vectors.space).search(vectors.rows, search_filter, limit=DEPTH)
    return Ranked(NAME, WEIGHT, hits)
