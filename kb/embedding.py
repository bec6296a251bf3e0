"""What the knowledge base asks of an embedder. Who fills it is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kb.search.vectors import Rows, VectorSpace


class EmbeddingFailed(Exception):
    """No honest vectors could be had now. The message is for the log."""

    code = "embedding_failed"


@dataclass(frozen=True, slots=True)
class Vectors:
    """`rows` is float32 [texts, dimension], each of length 1; they compare with those of the same space alone."""

    space: VectorSpace
    rows: Rows


class Embedder(Protocol):
    """Texts to vectors whose inner product says how near they are in meaning. Every method raises EmbeddingFailed."""

    @property
    def space(self) -> VectorSpace: ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors: ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors: ...


def embedded_text(title: str, text: str) -> str:
    """What is embedded of a passage: its document's title goes before it, as in the search index."""
    return f"{title}\n{text}"
