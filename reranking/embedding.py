"""Text embedders: what they take and give, and the published form of a query. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranking.types import RerankerError

Rows: TypeAlias = NDArray[np.float32]

# What Qwen3-Embedding was published with. Its authors advise English, the language of its training.
PUBLISHED_TASK = "Given a web search query, retrieve relevant passages that answer the query"


class EmbedderError(RerankerError):
    """An embedder could not give honest vectors."""

    code = "embedder_error"


class EmbedderUnavailable(EmbedderError):
    """The embedder, its weights, its device or its host cannot be used now."""

    code = "embedder_unavailable"


class NonFiniteVector(EmbedderError):
    """A vector held NaN or infinity, or was nothing but zeros. Such vectors are never stored nor searched with."""

    code = "non_finite_vector"


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """Who embeds. Vectors of different revisions can never be compared."""

    name: str
    revision: str
    dimension: int
    device: str = ""
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`rows` is float32 [texts, dimension], each row of length 1, in the order of the texts."""

    rows: Rows
    info: EmbedderInfo


class TextEmbedder(Protocol):
    """Texts to vectors whose inner product says how near they are in meaning."""

    @property
    def info(self) -> EmbedderInfo:
        """Raises EmbedderUnavailable where a host has to be asked for it and does not answer."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Passages as they are, queries as `format_query` makes them. Raises EmbedderUnavailable, NonFiniteVector."""
        ...


def format_query(query: str, task: str = PUBLISHED_TASK) -> str:
    """A query as the model was published with; passages stand alone. There is no space after `Query:`."""
    return f"Instruct: {task}\nQuery:{query}"


def check_rows(rows: Rows) -> Rows:
    """The rows, made exactly of length 1. Raises NonFiniteVector."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(rows).all() or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise NonFiniteVector("the embedder gave a vector that is not finite or has no length")
    scaled: Rows = (rows / lengths).astype(np.float32)
    return scaled
