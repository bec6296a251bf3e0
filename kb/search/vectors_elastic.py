"""The Elasticsearch vector store: `dense_vector` and kNN, the filter applied inside the engine while it searches.

One index a space, `PREFIX-vectors-SPACE`, made when something is first added. It has no alias: a question's vector
says which space it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from elasticsearch import Elasticsearch

from kb.search.elastic_documents import list_shared_fields
from kb.search.elastic_io import BUSY, count_entries, replace_entries, scan_versions, translate_errors
from kb.search.elastic_queries import ID_FIELDS, build_filter, read_hits
from kb.search.entries import split_batches
from kb.search.types import IndexCounts, IndexedVersion, IndexInUse, IndexMissing, PassageHit, SearchFilter
from kb.search.vectors import Rows, VectorSpace, VersionVectors, check_shape

BATCH_VERSIONS = 50
KEYWORDS = ("region", "level", "category", "departments", "fingerprint")
LONGS = ("passage_id", "version_id", "document_id")
DAYS = ("in_force_from", "in_force_until")
# Candidates looked at for each that is wanted: what it costs in time buys back what the graph would miss.
CANDIDATES_A_HIT, FEWEST_CANDIDATES, MOST_CANDIDATES = 3, 200, 10_000


class ElasticVectorStore:
    """VectorStore on an Elasticsearch 8.19 cluster. Share one between the threads of a process, not across a fork."""

    name = "elasticsearch"

    def __init__(
        self,
        url: str,
        prefix: str,
        space: VectorSpace,
        *,
        timeout_seconds: float = 5.0,
        write_attempts: int = 4,
    ) -> None:
        self.space = space
        self._client = Elasticsearch(url, request_timeout=timeout_seconds, max_retries=1, retry_on_status=sorted(BUSY))
        self._writer = self._client.options(request_timeout=12 * timeout_seconds)
        self._index = f"{prefix}-vectors-{space.name}"
        self._write_attempts = write_attempts

    def search(self, rows: Rows, search_filter: SearchFilter, *, limit: int) -> list[list[PassageHit]]:
        check_shape(rows, self.space)
        lines: list[dict[str, Any]] = []
        for row in rows:
            lines += [{"allow_partial_search_results": False}, _build_search(row.tolist(), search_filter, limit)]
        if not lines:
            return []
        with translate_errors():
            answer = self._client.msearch(
                index=self._index,
                searches=lines,
                filter_path="responses.status,responses.error,responses.hits.hits._score,responses.hits.hits.fields",
            )
            found = [read_hits(response, limit) for response in answer["responses"]]
        # The engine's score of unit vectors is (1 + inner product) / 2.
        return [[hit._replace(score=2 * hit.score - 1) for hit in hits] for hits in found]

    def count(self) -> IndexCounts:
        return count_entries(self._client, self._index)

    def scan_fingerprints(self) -> Iterator[IndexedVersion]:
        try:
            yield from scan_versions(self._client, self._index)
        except IndexMissing:
            return

    def add(self, versions: Iterable[VersionVectors]) -> int:
        total = 0
        for batch in split_batches(versions, BATCH_VERSIONS):
            for version in batch:
                check_shape(version.rows, self.space, len(version.entry.passages))
            if not total:
                self._make_index()
                self._refresh()
            entries = dict(entry for version in batch for entry in _list_entries(version))
            ids = [version.entry.version_id for version in batch]
            replace_entries(self._writer, self._index, ids, entries, attempts=self._write_attempts)
            total += len(batch)
        if total:
            self._refresh()
        return total

    def delete_versions(self, version_ids: Iterable[int]) -> None:
        try:
            self._refresh()
            replace_entries(self._writer, self._index, list(version_ids), {}, attempts=self._write_attempts)
            self._refresh()
        except IndexMissing:
            return

    def drop(self) -> None:
        with translate_errors():
            self._writer.options(ignore_status=404).indices.delete(index=self._index)

    def _make_index(self) -> None:
        """Unless it is there; another process may make it at the same moment."""
        with translate_errors():
            if self._client.indices.exists(index=self._index):
                return
        try:
            with translate_errors():
                self._writer.indices.create(index=self._index, settings=SETTINGS, mappings=_build_mapping(self.space))
        except IndexInUse:
            return

    def _refresh(self) -> None:
        with translate_errors():
            self._writer.indices.refresh(index=self._index)


SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0}


def _build_mapping(space: VectorSpace) -> dict[str, Any]:
    vector = {
        "type": "dense_vector",
        "dims": space.dimension,
        "index": True,
        "similarity": "dot_product",
        "index_options": {"type": "hnsw"},  # whole floats: the default of one byte a number misses near neighbours
    }
    properties: dict[str, Any] = {"vector": vector}
    properties |= {name: {"type": "keyword"} for name in KEYWORDS}
    properties |= {name: {"type": "long"} for name in LONGS} | {name: {"type": "integer"} for name in DAYS}
    about = {"revision": space.revision, "dimension": space.dimension}
    return {"dynamic": "strict", "_meta": about, "_source": {"excludes": ["vector"]}, "properties": properties}


def _list_entries(version: VersionVectors) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and fields of a version's entries: its passages, and last the whole, whose fingerprint vouches for them."""
    entry = version.entry
    shared = list_shared_fields(entry)
    for passage, row in zip(entry.passages, version.rows, strict=True):
        yield f"p{passage.passage_id}", {**shared, "passage_id": passage.passage_id, "vector": row.tolist()}
    yield f"v{entry.version_id}", {**shared, "passage_id": 0, "fingerprint": entry.fingerprint}


def _build_search(row: list[float], search_filter: SearchFilter, limit: int) -> dict[str, Any]:
    candidates = min(MOST_CANDIDATES, max(FEWEST_CANDIDATES, CANDIDATES_A_HIT * limit))
    return {
        "size": limit,
        "track_total_hits": False,
        "_source": False,
        "stored_fields": "_none_",
        "docvalue_fields": list(ID_FIELDS),
        "knn": {
            "field": "vector",
            "query_vector": row,
            "k": limit,
            "num_candidates": candidates,
            "filter": build_filter(search_filter),
        },
    }
