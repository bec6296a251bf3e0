"""What the search engines take and give. Plain values: no models, no engine's own types.

An index holds two kinds of entry, passages and whole versions; both carry the version's filters. Tokens are made
here in Python, by the segmenter of the dictionary that an index was created with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple, Protocol

from kb.segmentation import SegmentationDictionary, Segmenter

BM25_K1 = 1.2
BM25_B = 0.75
FIRST_DAY = date.min.toordinal()
LAST_DAY = date.max.toordinal() + 1
MAX_QUERY_TOKENS = 512

Field = Literal["bigrams", "skip_bigrams", "words", "unigrams", "version_bigrams"]


class SearchEngineError(Exception):
    """A search engine refused or failed. `code` is stable and snake_case."""

    code = "search_engine_error"


class SearchEngineUnavailable(SearchEngineError):
    """The engine cannot be reached or does not answer in time; the same call may succeed later."""

    code = "search_engine_unavailable"


class IndexMissing(SearchEngineError):
    """There is no such index, or none is live yet."""

    code = "index_missing"


class IndexInUse(SearchEngineError):
    """The live index cannot be dropped, nor an existing one created."""

    code = "index_in_use"


@dataclass(frozen=True, slots=True)
class PassageEntry:
    """A passage to be indexed. `text` is its header (heading path, repeated table header) and body, no title."""

    passage_id: int
    text: str


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version with all its passages, replaced and deleted as one.

    In force from `in_force_from` (day ordinal) until the day before `in_force_until`. Empty `departments`: for
    everyone. `fingerprint` changes whenever anything that is indexed changes; `scan_fingerprints` gives it back.
    """

    version_id: int
    document_id: int
    title: str
    passages: tuple[PassageEntry, ...]
    document_number: str = ""
    region: str = ""
    level: str = ""
    category: str = ""
    departments: tuple[str, ...] = ()
    in_force_from: int = FIRST_DAY
    in_force_until: int = LAST_DAY
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What may be found. It never changes an order.

    `as_of` None: whatever the day. Empty `regions`, `levels`, `categories`: any. `departments` None: all are
    permitted; otherwise what is for everyone or for one of these.
    """

    as_of: date | None = None
    regions: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    departments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FieldQuery:
    """Tokens, any of which may match in `field`; a token given twice weighs twice."""

    field: Field
    tokens: tuple[str, ...]


class PassageHit(NamedTuple):
    """A passage found, with its BM25 score (Lucene's formula, times k1 + 1). `passage_id` 0: the version as a whole."""

    passage_id: int
    version_id: int
    document_id: int
    score: float


class BigramCounts(NamedTuple):
    """How many passages an index holds, and in how many of them each bigram occurs, if in any."""

    passages: int
    containing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """What an index holds of a version, for comparison with the database."""

    version_id: int
    fingerprint: str
    passage_count: int


@dataclass(frozen=True, slots=True)
class IndexCounts:
    versions: int
    passages: int


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index version. `created_at` is ISO 8601 in UTC."""

    name: str
    is_live: bool
    dictionary_sha256: str
    created_at: str


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """`detail` is a sentence in Chinese for the status page."""

    is_available: bool
    detail: str


class SearchReader(Protocol):
    """The reading side; the web process uses nothing else. Every method raises SearchEngineUnavailable."""

    name: str

    def live_index(self) -> str:
        """The index that questions go to. Raises IndexMissing where none is live."""
        ...

    def segmenter(self, index: str) -> Segmenter:
        """The segmenter of the dictionary with which the index was built. Raises IndexMissing."""
        ...

    def search_many(
        self, index: str, queries: Sequence[FieldQuery], search_filter: SearchFilter, *, limit: int
    ) -> list[list[PassageHit]]:
        """For each query its best `limit` hits, best first, equal scores by id. Raises IndexMissing."""
        ...

    def count_bigrams(self, index: str, bigrams: Collection[str]) -> BigramCounts:
        """What was replaced or deleted may still count for a while. Raises IndexMissing."""
        ...

    def health(self) -> EngineHealth:
        """Never raises."""
        ...


class SearchEngine(SearchReader, Protocol):
    """Reading and writing. Every write may be repeated, and is readable when the method returns."""

    def create_index(self, name: str, dictionary: SegmentationDictionary) -> None:
        """An empty index that is not live. Raises IndexInUse where the name is taken."""
        ...

    def add(self, index: str, versions: Iterable[VersionEntry]) -> int:
        """Puts each version in the place of what the index holds of it; gives the number of versions."""
        ...

    def delete_versions(self, index: str, version_ids: Iterable[int]) -> None:
        """Takes versions and their passages out; unknown ones are ignored."""
        ...

    def count(self, index: str) -> IndexCounts: ...

    def scan_fingerprints(self, index: str) -> Iterator[IndexedVersion]:
        """Every version of which the index holds anything, by version id."""
        ...

    def list_indexes(self) -> list[IndexInfo]:
        """Oldest first."""
        ...

    def swap_alias(self, name: str) -> str | None:
        """Makes an index live in one step; gives the one that was. Raises IndexMissing."""
        ...

    def drop_index(self, name: str) -> None:
        """Raises IndexInUse for the live index; an unknown one is ignored."""
        ...
