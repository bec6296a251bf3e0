"""Which engine a process uses."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kb.search.embedded import EmbeddedEngine
from kb.search.types import SearchEngine
from kb.search.vectors import VectorSpace, VectorStore


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


def make_vector_store(url: str, space: VectorSpace, *, index_prefix: str, timeout_seconds: float = 5.0) -> VectorStore:
    """The vectors of a space beside the search engine of a URL: FAISS in its folder, or Elasticsearch.

    Raises ValueError, and ImportError where FAISS is wanted and not installed.
    """
    return _make_vector_store(url, space, index_prefix, timeout_seconds, os.getpid())


@lru_cache(maxsize=8)
def _make_vector_store(
    url: str, space: VectorSpace, index_prefix: str, timeout_seconds: float, process_id: int
) -> VectorStore:
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        # Imported where it is used: few processes search by meaning.
        from kb.search.vectors_faiss import FaissVectorStore

        return FaissVectorStore(Path(unquote(parts.path)) / "vectors", space)
    if parts.scheme in {"http", "https"}:
        from kb.search.vectors_elastic import ElasticVectorStore

        return ElasticVectorStore(url, index_prefix, space, timeout_seconds=timeout_seconds)
    raise ValueError(f"SEARCH_URL: no vector store for the scheme {parts.scheme!r}")
