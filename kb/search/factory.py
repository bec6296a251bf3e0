"""Which engine a process uses."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kb.search.embedded import EmbeddedEngine
from kb.search.types import SearchEngine


def make_engine(url: str, *, index_prefix: str, timeout_seconds: float = 5.0) -> SearchEngine:
    """The engine of a URL: `file:///folder` is embedded, `http(s)://user:password@host:9200` Elasticsearch.

    On Elasticsearch `index_prefix` is the alias, and begins the names of the indexes behind it. Raises ValueError.
    """
    return _make_engine(url, index_prefix, timeout_seconds, os.getpid())


@lru_cache(maxsize=8)
def _make_engine(url: str, index_prefix: str, timeout_seconds: float, process_id: int) -> SearchEngine:
    """One engine a process: connections and open files do not survive a fork."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return EmbeddedEngine(Path(unquote(parts.path)))
    if parts.scheme in {"http", "https"}:
        # Imported where it is used: its document classes need the models, and the embedded set-up none of it.
        from kb.search.elastic import ElasticEngine

        return ElasticEngine(url, index_prefix, timeout_seconds=timeout_seconds)
    raise ValueError(f"SEARCH_URL: no search engine for the scheme {parts.scheme!r}")
