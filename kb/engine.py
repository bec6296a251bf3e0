"""The search engine and the vector stores that the settings name."""

from __future__ import annotations

from django.conf import settings

from kb.search.factory import make_engine, make_vector_store
from kb.search.types import IndexMissing, SearchEngine
from kb.search.vectors import VectorSpace, VectorStore


def get_search_engine() -> SearchEngine:
    """One a process and URL."""
    return make_engine(
        settings.SEARCH_URL,
        index_prefix=settings.SEARCH_INDEX_PREFIX,
        timeout_seconds=settings.SEARCH_TIMEOUT_SECONDS,
    )


def get_vector_store(space: VectorSpace) -> VectorStore:
    """One a process, URL and space, beside the search engine."""
    return make_vector_store(
        settings.SEARCH_URL,
        space,
        index_prefix=settings.SEARCH_INDEX_PREFIX,
        timeout_seconds=settings.SEARCH_TIMEOUT_SECONDS,
    )


def find_live_index(engine: SearchEngine) -> str | None:
    """None where none is live."""
    try:
        return engine.live_index()
    except IndexMissing:
        return None
