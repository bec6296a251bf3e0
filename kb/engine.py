"""The search engine that the settings name."""

from __future__ import annotations

from django.conf import settings

from kb.search.factory import make_engine
from kb.search.types import SearchEngine


def get_search_engine() -> SearchEngine:
    """One a process and URL."""
    return make_engine(
        settings.SEARCH_URL,
        index_prefix=settings.SEARCH_INDEX_PREFIX,
        timeout_seconds=settings.SEARCH_TIMEOUT_SECONDS,
    )
