"""The Elasticsearch engine: versioned indexes behind an alias.

The alias is the prefix, an index NAME is `PREFIX-NAME` on the server. Search errors are told apart by what the
caller can do: wait (SearchEngineUnavailable), build an index (IndexMissing), or report a defect (SearchEngineError).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from elasticsearch import Elasticsearch

from kb.search.elastic_documents import DICTIONARY_ID, build_index_body, list_entries
from kb.search.elastic_io import BUSY, count_entries, replace_entries, scan_versions, translate_errors
from kb.search.elastic_queries import build_count, build_search, read_counts, read_hits
from kb.search.entries import INDEX_FORMAT, split_batches
from kb.search.types import (
    BigramCounts,
    EngineHealth,
    FieldQuery,
    IndexCounts,
    IndexedVersion,
    IndexInfo,
    IndexInUse,
    IndexMissing,
    PassageHit,
    SearchEngineError,
    SearchFilter,
    VersionEntry,
)
from kb.segmentation import SegmentationDictionary, Segmenter, get_segmenter

BATCH_VERSIONS = 100


class ElasticEngine:
    """SearchEngine on an Elasticsearch 8.19 cluster. Share one between the threads of a process, not across a fork.

    `alias_seconds`: for how long another process's swap of the alias may go unseen. `timeout_seconds` bounds a read;
    a write may take twelve times as long, and is tried `write_attempts` times with growing pauses.
    """

    name = "elasticsearch"

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        timeout_seconds: float = 5.0,
        alias_seconds: float = 1.0,
        write_attempts: int = 4,
        shards: int = 1,
        replicas: int = 0,
    ) -> None:
        self._client = Elasticsearch(url, request_timeout=timeout_seconds, max_retries=1, retry_on_status=sorted(BUSY))
        self._writer = self._client.options(request_timeout=12 * timeout_seconds)
        self._prefix = prefix
        self._alias_seconds = alias_seconds
        self._write_attempts = write_attempts
        self._shards, self._replicas = shards, replicas
        self._live: tuple[str, float] | None = None
        self._segmenters: dict[str, Segmenter] = {}
        self._lock = threading.Lock()

    def live_index(self) -> str:
        known = self._live
        if known and time.monotonic() < known[1]:
            return known[0]
        with translate_errors():
            found = self._client.options(ignore_status=404).indices.get_alias(name=self._prefix)
        names = [self._bare(physical) for physical in found if physical.startswith(f"{self._prefix}-")]
        if not names:
            raise IndexMissing("no index is live")
        self._live = (names[0], time.monotonic() + self._alias_seconds)
        return names[0]

    def segmenter(self, index: str) -> Segmenter:
        with self._lock, self._asking_again():
            if index not in self._segmenters:
                self._segmenters[index] = self._read_segmenter(index)
            return self._segmenters[index]

    def search_many(
        self, index: str, queries: Sequence[FieldQuery], search_filter: SearchFilter, *, limit: int
    ) -> list[list[PassageHit]]:
        lines: list[dict[str, Any]] = []
        for query in queries:
            lines += [{"allow_partial_search_results": False}, build_search(query, search_filter, limit)]
        with self._asking_again(), translate_errors():
            answer = self._client.msearch(
                index=self._physical(index),
                searches=lines,
                search_type="query_then_fetch" if self._shards == 1 else "dfs_query_then_fetch",
                filter_path="responses.status,responses.error,responses.hits.hits._score,responses.hits.hits.fields",
            )
            return [read_hits(response, limit) for response in answer["responses"]]

    def count_bigrams(self, index: str, bigrams: Collection[str]) -> BigramCounts:
        with self._asking_again(), translate_errors():
            answer = self._client.termvectors(index=self._physical(index), **build_count(bigrams))
            return read_counts(answer.body)

    def health(self) -> EngineHealth:
        try:
            live = self.live_index()
            counts = self.count(live)
        except IndexMissing:
            return EngineHealth(False, "还没有可用的检索索引")
        except SearchEngineError as error:
            return EngineHealth(False, f"Elasticsearch 无法使用：{error}")
        return EngineHealth(True, f"Elasticsearch，索引 {live}，{counts.versions} 个版本，{counts.passages} 个段落")

    def create_index(self, name: str, dictionary: SegmentationDictionary) -> None:
        about = {
            "prefix": self._prefix,
            "created_at": datetime.now(UTC).isoformat(),
            "dictionary_sha256": dictionary.sha256,
        }
        body = build_index_body(shards=self._shards, replicas=self._replicas, about=about)
        with translate_errors():
            self._writer.indices.create(index=self._physical(name), **body)
            entry = {"dictionary": dictionary.to_text(), "index_format": INDEX_FORMAT}
            self._writer.index(index=self._physical(name), id=DICTIONARY_ID, document=entry)
        self._forget(name)

    def add(self, index: str, versions: Iterable[VersionEntry]) -> int:
        segmenter = self.segmenter(index)
        total = 0
        self._refresh(index)
        for batch in split_batches(versions, BATCH_VERSIONS):
            entries = [entry for version in batch for entry in list_entries(segmenter, version)]
            self._replace(index, [version.version_id for version in batch], dict(entries))
            total += len(batch)
        self._refresh(index)
        return total

    def delete_versions(self, index: str, version_ids: Iterable[int]) -> None:
        self._refresh(index)
        self._replace(index, list(version_ids), {})
        self._refresh(index)

    def count(self, index: str) -> IndexCounts:
        return count_entries(self._client, self._physical(index))

    def scan_fingerprints(self, index: str) -> Iterator[IndexedVersion]:
        return scan_versions(self._client, self._physical(index))

    def list_indexes(self) -> list[IndexInfo]:
        with translate_errors():
            found = self._client.options(ignore_status=404).indices.get(
                index=f"{self._prefix}-*", features="aliases,mappings"
            )
        infos = []
        for physical, state in found.items():
            about = state.get("mappings", {}).get("_meta", {})
            if about.get("prefix") == self._prefix:
                is_live = self._prefix in state["aliases"]
                infos.append(IndexInfo(self._bare(physical), is_live, about["dictionary_sha256"], about["created_at"]))
        return sorted(infos, key=lambda info: (info.created_at, info.name))

    def swap_alias(self, name: str) -> str | None:
        previous = [info.name for info in self.list_indexes() if info.is_live]
        actions = [{"remove": {"index": self._physical(old), "alias": self._prefix}} for old in previous]
        actions.append({"add": {"index": self._physical(name), "alias": self._prefix}})
        with translate_errors():
            self._writer.indices.update_aliases(actions=actions)
        self._live = None
        return previous[0] if previous else None

    def drop_index(self, name: str) -> None:
        if any(info.is_live and info.name == name for info in self.list_indexes()):
            raise IndexInUse(f"{name} is live")
        with translate_errors():
            self._writer.options(ignore_status=404).indices.delete(index=self._physical(name))
        self._forget(name)

    def _read_segmenter(self, index: str) -> Segmenter:
        with translate_errors():
            entry = self._client.get(index=self._physical(index), id=DICTIONARY_ID)["_source"]
        if entry.get("index_format") != INDEX_FORMAT:
            raise IndexMissing(f"{index} was built by another version of the program; build it again")
        return get_segmenter(SegmentationDictionary.from_text(entry["dictionary"]))

    @contextmanager
    def _asking_again(self) -> Iterator[None]:
        """An index that is missing was dropped after another process swapped the alias: forget what it was."""
        try:
            yield
        except IndexMissing:
            self._live = None
            raise

    def _replace(self, index: str, version_ids: Sequence[int], entries: dict[str, dict[str, Any]]) -> None:
        replace_entries(self._writer, self._physical(index), version_ids, entries, attempts=self._write_attempts)

    def _refresh(self, index: str) -> None:
        with translate_errors():
            self._writer.indices.refresh(index=self._physical(index))

    def _forget(self, name: str) -> None:
        self._live = None
        with self._lock:
            self._segmenters.pop(name, None)

    def _physical(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _bare(self, physical: str) -> str:
        return physical.removeprefix(f"{self._prefix}-")
