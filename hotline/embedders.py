"""The embedders that the settings name, as the knowledge base asks for them. One a process, made when first needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from kb.embedding import Embedder, EmbeddingFailed, Vectors
from kb.search.vectors import VectorSpace
from reranking.embedding import EmbedderInfo, Embeddings, TextEmbedder, format_query
from reranking.remote_embedding import RemoteEmbedder
from reranking.types import RerankerError

QUERY_SECONDS = 1.0  # rather than wait longer, a lookup goes by words alone
PASSAGES_SECONDS, PASSAGES_ATTEMPTS = 60.0, 4
TROUBLE_KEY = "embedding-trouble"
TROUBLE_SECONDS = 86_400


class KnowledgeEmbedder:
    """kb's Embedder over one of reranking's."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    @property
    def space(self) -> VectorSpace:
        try:
            return _space_of(self._embedder.info)
        except RerankerError as error:
            raise EmbeddingFailed(str(error)) from error

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed([format_query(text) for text in texts])

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        try:
            found: Embeddings = self._embedder.embed_texts(texts)
        except RerankerError as error:
            raise EmbeddingFailed(str(error)) from error
        return Vectors(_space_of(found.info), found.rows)


def get_query_embedder() -> Embedder | None:
    """For lookups: always another process's, so that no web process loads a model. None: none is configured."""
    return _connect_configured(QUERY_SECONDS, 1)


def get_passage_embedder() -> Embedder | None:
    """For the worker and the command: the model in this process, else the host. None: none is configured.

    Raises EmbeddingFailed where the model cannot be loaded.
    """
    if settings.EMBEDDING_MODEL:
        return load_embedder(settings.EMBEDDING_MODEL)
    return _connect_configured(PASSAGES_SECONDS, PASSAGES_ATTEMPTS)


@lru_cache(maxsize=1)
def load_embedder(location: str) -> Embedder:
    """The model in this process, on the device and in the dtype that the settings give the reranker.

    Raises EmbeddingFailed.
    """
    try:
        # Torch is imported here, not before.
        from reranking.qwen_embedding import QwenEmbedder
    except ImportError as error:
        raise EmbeddingFailed(f"嵌入模型需要 requirements/gpu.txt：{error}") from error
    try:
        return KnowledgeEmbedder(
            QwenEmbedder(
                location,
                source=settings.RERANKER_SOURCE,  # type: ignore[arg-type]  # checked at start-up
                device=settings.RERANKER_DEVICE,
                dtype=settings.RERANKER_DTYPE,
                threads=settings.RERANKER_THREADS or None,
                max_length=settings.RERANKER_MAX_LENGTH,
            )
        )
    except RerankerError as error:
        raise EmbeddingFailed(str(error)) from error


def note_trouble(error: Exception) -> None:
    """For the status page, from any process: what last kept recall by meaning from working."""
    trouble = {"at": timezone.now().isoformat(timespec="seconds"), "error": str(error)[:500]}
    cache.set(TROUBLE_KEY, trouble, TROUBLE_SECONDS)


def read_trouble() -> dict[str, str] | None:
    """The last trouble of the last day: when (ISO 8601), and what. None: there was none."""
    return cache.get(TROUBLE_KEY)


def _connect_configured(timeout: float, attempts: int) -> Embedder | None:
    if not settings.EMBEDDING_URL:
        return None
    return _connect(settings.EMBEDDING_URL, settings.EMBEDDING_API_KEY, timeout, attempts, os.getpid())


@lru_cache(maxsize=4)
def _connect(url: str, api_key: str, timeout: float, attempts: int, process_id: int) -> Embedder:
    """One a process: connections and the circuit breaker do not survive a fork."""
    return KnowledgeEmbedder(RemoteEmbedder(url, api_key=api_key, timeout=timeout, attempts=attempts))


def _space_of(info: EmbedderInfo) -> VectorSpace:
    return VectorSpace(info.revision, info.dimension)
