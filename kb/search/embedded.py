"""The embedded engine: tantivy indexes in folders under one root.

    root/alias                    name of the live index
    root/NAME/index.json          when it was made, and its dictionary's SHA-256
    root/NAME/dictionary.txt      the dictionary it was built with
    root/NAME/passages|versions   tantivy indexes, apart from each other so that their BM25 statistics are their own

Any number of processes read; writers wait for each other on a file lock. A killed writer leaves the last commit.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tantivy

from kb.search.embedded_index import IndexReader, build_document, build_schema, open_writer
from kb.search.entries import INDEX_FORMAT, split_batches, tokenize_passage, tokenize_version
from kb.search.files import WriteLock, write_whole
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
    SearchEngineUnavailable,
    SearchFilter,
    VersionEntry,
)
from kb.segmentation import SegmentationDictionary, Segmenter, get_segmenter

KINDS = ("passages", "versions")
BATCH_VERSIONS = 500
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

# A version's own entry, and those of its passages.
Prepared = tuple[tantivy.Document, list[tantivy.Document]]


@dataclass(frozen=True, slots=True)
class _OpenIndex:
    stamp: int
    readers: dict[str, IndexReader]
    segmenter: Segmenter


class EmbeddedEngine:
    """SearchEngine on local files, to be shared by the threads of a process. A writer waits `lock_seconds` at most."""

    name = "embedded"

    def __init__(self, root: Path, *, lock_seconds: float = 60.0) -> None:
        self._root = root
        self._lock_seconds = lock_seconds
        self._opened: dict[str, _OpenIndex] = {}
        self._opening = threading.Lock()

    def live_index(self) -> str:
        try:
            return (self._root / "alias").read_text(encoding="utf-8").strip()
        except FileNotFoundError as error:
            raise IndexMissing("no index is live") from error
        except OSError as error:
            raise SearchEngineUnavailable(str(error)) from error

    def segmenter(self, index: str) -> Segmenter:
        return self._open(index).segmenter

    def search_many(
        self, index: str, queries: Sequence[FieldQuery], search_filter: SearchFilter, *, limit: int
    ) -> list[list[PassageHit]]:
        readers = self._open(index).readers
        try:
            searchers = {kind: reader.searcher() for kind, reader in readers.items()}
            restrictions = {kind: reader.build_restriction(search_filter) for kind, reader in readers.items()}
            kinds = ["versions" if query.field == "version_bigrams" else "passages" for query in queries]
            return [
                readers[kind].search(query, restrictions[kind], searchers[kind], limit)
                for kind, query in zip(kinds, queries, strict=True)
            ]
        except (OSError, ValueError) as error:
            raise SearchEngineUnavailable(f"{index}: {error}") from error

    def count_bigrams(self, index: str, bigrams: Collection[str]) -> BigramCounts:
        reader = self._open(index).readers["passages"]
        try:
            searcher = reader.searcher()
            counts = {bigram: searcher.doc_freq("bigrams", bigram) for bigram in bigrams}
        except (OSError, ValueError) as error:
            raise SearchEngineUnavailable(f"{index}: {error}") from error
        return BigramCounts(searcher.num_docs, {bigram: count for bigram, count in counts.items() if count})

    def health(self) -> EngineHealth:
        try:
            live = self.live_index()
            counts = self.count(live)
        except IndexMissing:
            return EngineHealth(False, "还没有可用的检索索引")
        except SearchEngineUnavailable as error:
            return EngineHealth(False, f"检索索引无法读取：{error}")
        return EngineHealth(True, f"内置检索引擎，索引 {live}，{counts.versions} 个版本，{counts.passages} 个段落")

    def create_index(self, name: str, dictionary: SegmentationDictionary) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no index name")
        with self._write_lock():
            if (self._root / name / "index.json").exists():
                raise IndexInUse(f"{name} exists")
            shutil.rmtree(self._root / name, ignore_errors=True)
            for kind in KINDS:
                (self._root / name / kind).mkdir(parents=True)
                tantivy.Index(build_schema(kind), path=str(self._root / name / kind))
            write_whole(self._root / name / "dictionary.txt", dictionary.to_text())
            about = {
                "created_at": datetime.now(UTC).isoformat(),
                "dictionary_sha256": dictionary.sha256,
                "format": INDEX_FORMAT,
            }
            write_whole(self._root / name / "index.json", json.dumps(about))

    def add(self, index: str, versions: Iterable[VersionEntry]) -> int:
        segmenter = self.segmenter(index)
        total = 0
        for batch in split_batches(versions, BATCH_VERSIONS):
            # Cutting words takes most of the time, and needs no lock.
            prepared = [_prepare(segmenter, version) for version in batch]
            self._replace(index, [version.version_id for version in batch], prepared)
            total += len(batch)
        return total

    def delete_versions(self, index: str, version_ids: Iterable[int]) -> None:
        self._replace(index, list(version_ids), [])

    def count(self, index: str) -> IndexCounts:
        readers = self._open(index).readers
        return IndexCounts(readers["versions"].searcher().num_docs, readers["passages"].searcher().num_docs)

    def scan_fingerprints(self, index: str) -> Iterator[IndexedVersion]:
        readers = self._open(index).readers
        passages = Counter(readers["passages"].list_version_ids())
        fingerprints = readers["versions"].read_fingerprints()
        for version_id in sorted(passages.keys() | fingerprints.keys()):
            yield IndexedVersion(version_id, fingerprints.get(version_id, ""), passages[version_id])

    def list_indexes(self) -> list[IndexInfo]:
        try:
            live = self.live_index()
        except IndexMissing:
            live = ""
        found = [
            IndexInfo(path.parent.name, path.parent.name == live, about["dictionary_sha256"], about["created_at"])
            for path in self._root.glob("*/index.json")
            for about in [json.loads(path.read_text(encoding="utf-8"))]
        ]
        return sorted(found, key=lambda info: (info.created_at, info.name))

    def swap_alias(self, name: str) -> str | None:
        self._open(name)
        with self._write_lock():
            try:
                previous = self.live_index()
            except IndexMissing:
                previous = None
            write_whole(self._root / "alias", name)
        return previous

    def drop_index(self, name: str) -> None:
        with self._write_lock():
            if any(info.is_live and info.name == name for info in self.list_indexes()):
                raise IndexInUse(f"{name} is live")
            with self._opening:
                self._opened.pop(name, None)
            if NAME.fullmatch(name):
                # First the mark, so that a half-removed folder is no index.
                (self._root / name / "index.json").unlink(missing_ok=True)
                shutil.rmtree(self._root / name, ignore_errors=True)

    def _replace(self, index: str, version_ids: Sequence[int], prepared: Sequence[Prepared]) -> None:
        self._open(index)
        with self._write_lock(), ExitStack() as stack:
            # Left in reverse: passages are committed before the fingerprints that vouch for them.
            versions = stack.enter_context(open_writer(self._root / index / "versions"))
            passages = stack.enter_context(open_writer(self._root / index / "passages"))
            for version_id in version_ids:
                versions.delete_documents_by_term("version_id", version_id)
                passages.delete_documents_by_term("version_id", version_id)
            for whole, parts in prepared:
                versions.add_document(whole)
                for part in parts:
                    passages.add_document(part)

    def _open(self, index: str) -> _OpenIndex:
        """The index, opened once; opened again where it was made anew under its name."""
        mark = self._root / index / "index.json"
        with self._opening:
            try:
                stamp = mark.stat().st_mtime_ns
                opened = self._opened.get(index)
                if opened is None or opened.stamp != stamp:
                    opened = self._opened[index] = self._read_index(index, stamp)
            except FileNotFoundError as error:
                self._opened.pop(index, None)
                raise IndexMissing(f"no index {index}") from error
            except (OSError, ValueError) as error:
                raise SearchEngineUnavailable(f"{index}: {error}") from error
        return opened

    def _read_index(self, index: str, stamp: int) -> _OpenIndex:
        folder = self._root / index
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if about.get("format") != INDEX_FORMAT:
            raise IndexMissing(f"{index} was built by another version of the program; build it again")
        dictionary = SegmentationDictionary.from_text((folder / "dictionary.txt").read_text(encoding="utf-8"))
        return _OpenIndex(stamp, {kind: IndexReader(folder / kind) for kind in KINDS}, get_segmenter(dictionary))

    def _write_lock(self) -> WriteLock:
        self._root.mkdir(parents=True, exist_ok=True)
        return WriteLock(self._root / "write.lock", self._lock_seconds)


def _prepare(segmenter: Segmenter, version: VersionEntry) -> Prepared:
    whole = build_document(version, 0, tokenize_version(segmenter, version))
    parts = [
        build_document(version, passage.passage_id, tokenize_passage(segmenter, version, passage))
        for passage in version.passages
    ]
    return whole, parts
