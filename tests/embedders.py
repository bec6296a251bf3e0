"""An embedder whose every move is known: texts that share characters are near."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence

import numpy as np

from kb.embedding import EmbeddingFailed, Vectors
from kb.search.vectors import VectorSpace
from reranking.embedding import EmbedderInfo, Embeddings, format_query

DIMENSION = 48


def embed_characters(texts: Sequence[str], dimension: int = DIMENSION) -> np.ndarray:
    """Float32 [texts, dimension] of length 1: the sum of a direction for each distinct character."""
    rows = [
        sum((_direction(letter, dimension) for letter in sorted({*text, "一"})), np.zeros(dimension)) for text in texts
    ]
    array = np.array(rows, dtype=np.float32).reshape(len(texts), dimension)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def _direction(letter: str, dimension: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(letter.encode()).digest()[:8])
    return np.random.default_rng(seed).normal(size=dimension)


class FakeTextEmbedder:
    """reranking's TextEmbedder. Records its calls; `fail_with` raises, `gate` holds it until it is set."""

    def __init__(self, revision: str = "fake-embedder-1") -> None:
        self._info = EmbedderInfo("fake-embedder", revision, DIMENSION)
        self.calls: list[list[str]] = []
        self.fail_with: Callable[[], Exception | None] = lambda: None
        self.gate = threading.Event()
        self.gate.set()

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        self.calls.append(list(texts))
        self.gate.wait(20)
        if error := self.fail_with():
            raise error
        return Embeddings(embed_characters(texts), self._info)


class FakeEmbedder:
    """kb's Embedder. `texts` are the passages embedded so far; `fail_after` passages it fails."""

    def __init__(self, revision: str = "fake-embedder-1", fail_after: int | None = None) -> None:
        self.space = VectorSpace(revision, DIMENSION)
        self.texts: list[str] = []
        self.fail_after = fail_after

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return Vectors(self.space, embed_characters([format_query(text).partition("Query:")[2] for text in texts]))

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        if self.fail_after is not None and len(self.texts) >= self.fail_after:
            raise EmbeddingFailed("the fake is told to fail")
        self.texts += texts
        return Vectors(self.space, embed_characters(texts))
