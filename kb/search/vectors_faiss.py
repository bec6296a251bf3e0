"""The embedded vector store: FAISS, exact inner products over float16, in folders under one root.

    root/SPACE/current                 name of the generation that is read
    root/SPACE/GENERATION/rows.faiss   the vectors
    root/SPACE/GENERATION/entries.json the versions in the order of their rows, with their filters

Any number of processes read; writers wait for each other on a file lock, write a whole new generation and make it
current in one step: a killed writer leaves the last one.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from kb.search.entries import order_hits, split_batches
from kb.search.files import WriteLock, write_whole
from kb.search.types import IndexCounts, IndexedVersion, IndexMissing, PassageHit, SearchEngineUnavailable, SearchFilter
from kb.search.vectors import Rows, VectorSpace, VersionVectors, check_shape

BATCH_VERSIONS = 2000


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as it lies in a generation; its rows follow those of the version before it."""

    version_id: int
    document_id: int
    passage_ids: tuple[int, ...]
    region: str
    level: str
    category: str
    departments: tuple[str, ...]
    in_force_from: int
    in_force_until: int
    fingerprint: str


class _Generation:
    """Vectors with their versions, not changed any more; columns are laid out for filtering."""

    def __init__(self, index: Any, versions: Sequence[StoredVersion]) -> None:
        self.index = index
        self.versions = tuple(versions)
        self._columns = {
            name: np.array([getattr(version, name) for version in versions])
            for name in ("region", "level", "category", "in_force_from", "in_force_until")
        }
        lengths = [len(version.passage_ids) for version in versions]
        self._version_of_row = np.repeat(np.arange(len(versions)), lengths)
        self._passage_of_row = [passage for version in versions for passage in version.passage_ids]

    def select(self, search_filter: SearchFilter) -> NDArray[np.bool_]:
        """Which rows a filter allows."""
        allowed = np.ones(len(self.versions), dtype=bool)
        if search_filter.as_of is not None:
            day = search_filter.as_of.toordinal()
            allowed &= (self._columns["in_force_from"] <= day) & (day < self._columns["in_force_until"])
        wanted = {"region": search_filter.regions, "level": search_filter.levels, "category": search_filter.categories}
        for name, values in wanted.items():
            if values:
                allowed &= np.isin(self._columns[name], values)
        if search_filter.departments is not None:
            permitted = set(search_filter.departments)
            allowed &= [not v.departments or not permitted.isdisjoint(v.departments) for v in self.versions]
        rows: NDArray[np.bool_] = allowed[self._version_of_row]
        return rows

    def search(self, rows: Rows, search_filter: SearchFilter, limit: int) -> list[list[PassageHit]]:
        allowed = self.select(search_filter) if self.versions else np.zeros(0, dtype=bool)
        if not allowed.any() or not len(rows):
            return [[] for _ in rows]
        parameters = None
        if not allowed.all():
            bits = np.packbits(allowed, bitorder="little")  # must outlive the search
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        scores, places = self.index.search(np.ascontiguousarray(rows), min(limit, len(allowed)), params=parameters)
        return [order_hits(list(self._list_hits(*found)), limit) for found in zip(places, scores, strict=True)]

    def _list_hits(self, places: Iterable[int], scores: Iterable[float]) -> Iterator[PassageHit]:
        for row, score in zip(places, scores, strict=True):
            if row >= 0:  # FAISS fills up with -1
                version = self.versions[self._version_of_row[row]]
                yield PassageHit(self._passage_of_row[row], version.version_id, version.document_id, float(score))

    def without(self, version_ids: set[int]) -> _Generation:
        """A copy less some versions, with vectors of its own."""
        kept = np.array([version.version_id not in version_ids for version in self.versions], dtype=bool)
        index = faiss.clone_index(self.index)
        if index.ntotal and not kept.all():
            gone = ~kept[self._version_of_row]
            bits = np.packbits(gone, bitorder="little")
            index.remove_ids(faiss.IDSelectorBitmap(bits))
        return _Generation(index, [version for version, stays in zip(self.versions, kept, strict=True) if stays])

    def with_added(self, versions: Sequence[VersionVectors]) -> _Generation:
        """Takes this generation's vectors over."""
        for version in versions:
            if len(version.rows):
                self.index.add(np.ascontiguousarray(version.rows))
        return _Generation(self.index, [*self.versions, *map(_store_version, versions)])


class FaissVectorStore:
    """VectorStore on local files, to be shared by the threads of a process. A writer waits `lock_seconds` at most."""

    name = "faiss"

    def __init__(self, root: Path, space: VectorSpace, *, lock_seconds: float = 60.0) -> None:
        self.space = space
        self._folder = root / space.name
        self._lock_seconds = lock_seconds
        self._read: tuple[str, _Generation] | None = None
        self._reading = threading.Lock()

    def search(self, rows: Rows, search_filter: SearchFilter, *, limit: int) -> list[list[PassageHit]]:
        check_shape(rows, self.space)
        return self._open().search(rows, search_filter, limit)

    def count(self) -> IndexCounts:
        generation = self._open()
        return IndexCounts(len(generation.versions), generation.index.ntotal)

    def scan_fingerprints(self) -> Iterator[IndexedVersion]:
        try:
            versions = self._open().versions
        except IndexMissing:
            return
        for version in sorted(versions, key=lambda item: item.version_id):
            yield IndexedVersion(version.version_id, version.fingerprint, len(version.passage_ids))

    def add(self, versions: Iterable[VersionVectors]) -> int:
        total = 0
        for batch in split_batches(versions, BATCH_VERSIONS):
            for version in batch:
                check_shape(version.rows, self.space, len(version.entry.passages))
            self._write({version.entry.version_id for version in batch}, batch)
            total += len(batch)
        return total

    def delete_versions(self, version_ids: Iterable[int]) -> None:
        gone = set(version_ids)
        held = {item.version_id for item in self.scan_fingerprints()}
        if gone & held:
            self._write(gone, [])

    def drop(self) -> None:
        if self._folder.exists():
            with self._write_lock():
                (self._folder / "current").unlink(missing_ok=True)
                shutil.rmtree(self._folder, ignore_errors=True)
        self._read = None

    def _write(self, replaced: set[int], added: Sequence[VersionVectors]) -> None:
        with self._write_lock():
            try:
                before = self._open()
            except IndexMissing:
                before = _Generation(_new_index(self.space.dimension), [])
            after = before.without(replaced).with_added(added)
            name = uuid.uuid4().hex
            _save(self._folder / name, after)
            write_whole(self._folder / "current", name)
            self._remove_others(name)

    def _remove_others(self, current: str) -> None:
        """A reader that had just begun on one of them reads the new one instead."""
        for path in self._folder.iterdir():
            if path.is_dir() and path.name != current:
                shutil.rmtree(path, ignore_errors=True)

    def _open(self) -> _Generation:
        with self._reading:
            for is_last in (False, False, True):
                try:
                    name = (self._folder / "current").read_text(encoding="utf-8")
                    if self._read is None or self._read[0] != name:
                        self._read = (name, _load(self._folder / name))
                    return self._read[1]
                except (
                    OSError,
                    RuntimeError,
                    ValueError,
                ) as error:  # FAISS raises RuntimeError for what it cannot read
                    if not (self._folder / "current").exists():
                        self._read = None
                        raise IndexMissing(f"no vectors of {self.space.revision}") from error
                    if is_last:
                        raise SearchEngineUnavailable(f"vectors of {self.space.revision}: {error}") from error
        raise AssertionError  # the last try returns or raises

    def _write_lock(self) -> WriteLock:
        self._folder.mkdir(parents=True, exist_ok=True)
        return WriteLock(self._folder.with_suffix(".lock"), self._lock_seconds)


def _new_index(dimension: int) -> Any:
    """Exact, half a float a number: 34,000 passages of 1,024 numbers are 70 MB."""
    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def _store_version(version: VersionVectors) -> StoredVersion:
    entry = version.entry
    return StoredVersion(
        version_id=entry.version_id,
        document_id=entry.document_id,
        passage_ids=tuple(passage.passage_id for passage in entry.passages),
        region=entry.region,
        level=entry.level,
        category=entry.category,
        departments=entry.departments,
        in_force_from=entry.in_force_from,
        in_force_until=entry.in_force_until,
        fingerprint=entry.fingerprint,
    )


def _save(folder: Path, generation: _Generation) -> None:
    folder.mkdir(parents=True)
    faiss.write_index(generation.index, str(folder / "rows.faiss"))
    with (folder / "rows.faiss").open("rb") as file:
        os.fsync(file.fileno())
    write_whole(
        folder / "entries.json", json.dumps([asdict(version) for version in generation.versions], ensure_ascii=False)
    )


def _load(folder: Path) -> _Generation:
    rows = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
    versions = [
        StoredVersion(**{**row, "passage_ids": tuple(row["passage_ids"]), "departments": tuple(row["departments"])})
        for row in rows
    ]
    return _Generation(faiss.read_index(str(folder / "rows.faiss")), versions)
