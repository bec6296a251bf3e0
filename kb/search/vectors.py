"""Vector stores: passages found by what they mean. The same filters and hits as the search engines, vectors for tokens.

A store holds the vectors of one embedder revision, its space; vectors of different spaces never meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kb.search.types import IndexCounts, IndexedVersion, PassageHit, SearchFilter, VersionEntry

Rows: TypeAlias = NDArray[np.float32]

# Goes up with every change of what a store holds that makes older stores answer wrongly.
STORE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """Which vectors can be compared: those of one revision of one embedder."""

    revision: str
    dimension: int

    @property
    def name(self) -> str:
        """For folders and indexes: 16 hexadecimal digits."""
        return hashlib.sha256(f"{STORE_FORMAT}:{self.revision}:{self.dimension}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class VersionVectors:
    """A version with one vector a passage: `rows` is float32 [entry.passages, dimension], each of length 1."""

    entry: VersionEntry
    rows: Rows


class VectorReader(Protocol):
    """The reading side. Every method raises SearchEngineUnavailable."""

    name: str
    space: VectorSpace

    def search(self, rows: Rows, search_filter: SearchFilter, *, limit: int) -> list[list[PassageHit]]:
        """For each vector [dimension] of length 1 its best `limit` passages, best first, equal scores by id.

        A hit's score is the inner product. Raises IndexMissing where nothing was ever stored in this space.
        """
        ...

    def count(self) -> IndexCounts:
        """Versions and passages. Raises IndexMissing."""
        ...


class VectorStore(VectorReader, Protocol):
    """Reading and writing. Every write may be repeated, and is readable when the method returns."""

    def add(self, versions: Iterable[VersionVectors]) -> int:
        """Puts each version in the place of what the store holds of it; gives their number. Makes the store."""
        ...

    def delete_versions(self, version_ids: Iterable[int]) -> None:
        """Unknown ones are ignored."""
        ...

    def scan_fingerprints(self) -> Iterator[IndexedVersion]:
        """Every version of which the store holds anything, by version id; nothing where there is no store."""
        ...

    def drop(self) -> None:
        """Takes the whole space away; a missing one is ignored."""
        ...


def check_shape(rows: Rows, space: VectorSpace, count: int | None = None) -> None:
    """Raises ValueError for vectors of another size, or another number than `count`."""
    if rows.ndim != 2 or rows.shape[1] != space.dimension or count not in {None, len(rows)}:
        raise ValueError(f"vectors of shape {rows.shape} do not fit {count} passages of {space}")
