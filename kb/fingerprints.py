"""Semantic fingerprints (语义指纹): the vectors of all searchable passages, kept in the database, searched in a store.

Making them is costly and done once for a text and embedder, in batches that any number of workers claim with a lease.
The store is filled from the database and can be thrown away. Every function may be stopped and run again.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from kb.embedding import Embedder, EmbeddingFailed, embedded_text
from kb.engine import get_vector_store
from kb.index_comparison import (
    Difference,
    build_entry,
    compare,
    expected_fingerprints,
    held_fingerprints,
    load_for_comparison,
)
from kb.models import DocumentVersion, Passage, SemanticFingerprint
from kb.search.types import VersionEntry
from kb.search.vectors import Rows, VectorSpace, VectorStore, VersionVectors
from kb.selectors import searchable_versions

logger = logging.getLogger(__name__)

BATCH_PASSAGES = 64  # embedded at once; what a killed worker loses at most is this, or one version that has more
BATCH_VERSIONS = 200  # read at once on their way from the database to the store
LEASE = timedelta(minutes=5)  # renewed after each batch, which takes a minute or so on the slowest processor


@dataclass(slots=True)
class Progress:
    """`done` of `total` versions need nothing more; `passages` were embedded here."""

    total: int
    done: int = 0
    passages: int = 0


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """`left`: versions that other workers were at. `repaired`: what the store was given or lost.

    `is_cut_short`: time was up before everything had its turn.
    """

    space: VectorSpace
    progress: Progress
    left: int
    is_cut_short: bool
    repaired: Difference


OnProgress = Callable[[Progress], None]
Claim = tuple[DocumentVersion, SemanticFingerprint, str]


def build_fingerprints(
    embedder: Embedder, *, on_progress: OnProgress = lambda progress: None, seconds: float | None = None
) -> BuildOutcome:
    """Embed what is missing and bring the store up to date. After `seconds` no further batch is begun.

    Raises EmbeddingFailed, SearchEngineError.
    """
    began = time.monotonic()
    space = embedder.space
    expected = _expected_keys()
    missing = list_missing(space, expected)
    progress = Progress(total=len(expected), done=len(expected) - len(missing))
    on_progress(progress)
    left, is_cut_short = 0, False
    for batch in _split_by_passages(missing):
        if is_cut_short := seconds is not None and time.monotonic() - began > seconds:
            break
        claims = _claim(batch, space, {pk: expected[pk] for pk in batch})
        left += len(batch) - len(claims)
        progress.passages += _embed_claimed(embedder, space, claims)
        progress.done += len(claims)
        on_progress(progress)
    return BuildOutcome(space, progress, left, is_cut_short, reconcile_vectors(space))


def list_missing(space: VectorSpace, expected: dict[int, str] | None = None) -> list[int]:
    """Searchable versions with passages that have no vectors of their present content, by id."""
    expected = _expected_keys() if expected is None else expected
    done = _finished(space).values_list("version_id", "content_key")
    return sorted(expected.keys() - {pk for pk, key in done if expected.get(pk) == key})


def list_spaces(version_ids: Sequence[int] | None = None) -> list[VectorSpace]:
    """Spaces of which the database has vectors, of these versions where they are given."""
    found = SemanticFingerprint.objects.filter(vectors__isnull=False)
    if version_ids is not None:
        found = found.filter(version_id__in=version_ids)
    pairs = found.order_by().values_list("embedder_revision", "dimension").distinct()
    return [VectorSpace(revision, dimension) for revision, dimension in sorted(pairs)]


def sync_documents(document_ids: Sequence[int]) -> None:
    """Bring some documents' versions in all stores up to date. Embeds nothing. Raises SearchEngineError."""
    every = list(DocumentVersion.objects.filter(document_id__in=document_ids).values_list("pk", flat=True))
    for space in list_spaces(every):
        store = get_vector_store(space)
        found = list(_load_vectors(space, every))
        store.add(found)
        store.delete_versions(set(every) - {item.entry.version_id for item in found})


def reconcile_vectors(space: VectorSpace) -> Difference:
    """Make the store hold what the database has vectors for; gives what was repaired. Raises SearchEngineError."""
    store = get_vector_store(space)
    expected = dict(expected_fingerprints(_embedded_versions(space)))
    difference = compare(expected, held_fingerprints(store.scan_fingerprints()))
    store.add(_load_vectors(space, [*difference.missing, *difference.outdated]))
    store.delete_versions(difference.surplus)
    if not difference.is_empty:
        logger.warning(
            "vectors of %s repaired: %d missing, %d outdated, %d surplus",
            space.revision,
            len(difference.missing),
            len(difference.outdated),
            len(difference.surplus),
        )
    return difference


def prune_spaces(keep: VectorSpace) -> list[VectorSpace]:
    """Take away the vectors and stores of all other embedders; gives them."""
    others = [space for space in list_spaces() if space != keep]
    for space in others:
        get_vector_store(space).drop()
        _finished(space).delete()
    return others


def embed_entries(
    embedder: Embedder,
    store: VectorStore,
    entries: Sequence[VersionEntry],
    *,
    on_progress: OnProgress = lambda progress: None,
    store_passages: int = 2000,
) -> Progress:
    """Put entries that need no database into a store: those it lacks, `store_passages` at once.

    A store's space must be the embedder's. Raises EmbeddingFailed, SearchEngineError.
    """
    held = {item.version_id: item.fingerprint for item in store.scan_fingerprints()}
    missing = [entry for entry in entries if held.get(entry.version_id) != entry.fingerprint]
    progress = Progress(total=len(entries), done=len(entries) - len(missing))
    on_progress(progress)
    sizes = [len(entry.passages) for entry in missing]
    for places in _split_by_size(range(len(missing)), sizes, store_passages):
        batch = [missing[place] for place in places]
        texts = [embedded_text(entry.title, passage.text) for entry in batch for passage in entry.passages]
        rows = _embed(embedder, store.space, texts)
        bounds = np.cumsum([len(entry.passages) for entry in batch])[:-1]
        parts = np.split(rows, bounds)
        store.add(VersionVectors(entry, part) for entry, part in zip(batch, parts, strict=True))
        progress.done += len(batch)
        progress.passages += len(texts)
        on_progress(progress)
    store.delete_versions(held.keys() - {entry.version_id for entry in entries})
    return progress


def _expected_keys(version_ids: Sequence[int] | None = None) -> dict[int, str]:
    """Version id to the key of what is to be embedded of it; of these versions where they are given."""
    versions = searchable_versions() if version_ids is None else searchable_versions().filter(pk__in=version_ids)
    counted = versions.annotate(passage_count=Count("passages")).filter(passage_count__gt=0)
    rows = counted.values_list("pk", "title", "text_sha256", "passage_scheme", "passage_count")
    return {pk: _make_key(title, text, scheme, count) for pk, title, text, scheme, count in rows.order_by("pk")}


def _make_key(title: str, text_sha256: str, passage_scheme: int, passage_count: int) -> str:
    """Title and passages: dates, regions and departments may change without being embedded anew."""
    parts = (title, text_sha256, str(passage_scheme), str(passage_count))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _finished(space: VectorSpace) -> QuerySet[SemanticFingerprint]:
    return SemanticFingerprint.objects.filter(
        embedder_revision=space.revision, dimension=space.dimension, vectors__isnull=False
    )


def _split_by_passages(version_ids: Sequence[int]) -> Iterator[list[int]]:
    """Their passages are counted as the batches are asked for."""
    for start in range(0, len(version_ids), BATCH_VERSIONS):
        ids = version_ids[start : start + BATCH_VERSIONS]
        passages = Passage.objects.filter(version_id__in=ids).order_by().values_list("version_id")
        counts = dict(passages.annotate(count=Count("pk")))
        yield from _split_by_size(ids, [counts.get(pk, 0) for pk in ids], BATCH_PASSAGES)


def _split_by_size(items: Sequence[int], sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Neighbours whose sizes add up to `most` at most; a larger one is alone."""
    batch: list[int] = []
    total = 0
    for item, size in zip(items, sizes, strict=True):
        if batch and total + size > most:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def _claim(version_ids: Sequence[int], space: VectorSpace, keys: dict[int, str]) -> list[Claim]:
    """Those of the versions that no other worker has finished or is at."""
    holder, claims = uuid.uuid4().hex, []
    versions = DocumentVersion.objects.filter(pk__in=version_ids).defer("text", "page_starts")
    for version in versions.prefetch_related("passages").order_by("pk"):
        lease = {"lease_holder": holder, "lease_expires_at": timezone.now() + LEASE}
        row, is_new = SemanticFingerprint.objects.get_or_create(
            version=version,
            embedder_revision=space.revision,
            defaults={**lease, "content_key": keys[version.pk], "dimension": space.dimension},
        )
        free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=timezone.now())
        wanted = SemanticFingerprint.objects.filter(free, pk=row.pk).exclude(
            content_key=keys[version.pk], vectors__isnull=False, dimension=space.dimension
        )
        if is_new or wanted.update(**lease):
            row.lease_holder = holder
            claims.append((version, row, keys[version.pk]))
    return claims


def _embed_claimed(embedder: Embedder, space: VectorSpace, claims: Sequence[Claim]) -> int:
    """Gives the number of passages. What fails or is stopped is free again at once; the leases last meanwhile."""
    if not claims:
        return 0
    texts = [
        embedded_text(version.title, passage.searchable_text)
        for version, _, _ in claims
        for passage in version.passages.all()
    ]
    parts: list[Rows] = []
    try:
        for start in range(0, len(texts), BATCH_PASSAGES):
            parts.append(_embed(embedder, space, texts[start : start + BATCH_PASSAGES]))
            for _, row, _ in claims:
                _held(row).update(lease_expires_at=timezone.now() + LEASE)
    except BaseException:
        for _, row, _ in claims:
            _held(row).update(lease_holder="", lease_expires_at=None)
        raise
    bounds = np.cumsum([len(version.passages.all()) for version, _, _ in claims])[:-1]
    for (_, row, key), part in zip(claims, np.split(np.concatenate(parts), bounds), strict=True):
        _held(row).update(
            vectors=pack_rows(part),
            dimension=space.dimension,
            content_key=key,
            computed_at=timezone.now(),
            lease_holder="",
            lease_expires_at=None,
        )
    return len(texts)


def _embed(embedder: Embedder, space: VectorSpace, texts: Sequence[str]) -> Rows:
    """Raises EmbeddingFailed, too where another model answers meanwhile: its vectors belong to another space."""
    found = embedder.embed_passages(texts)
    if found.space != space:
        raise EmbeddingFailed(f"{space} was asked for, {found.space} answered")
    return found.rows


def _held(row: SemanticFingerprint) -> QuerySet[SemanticFingerprint]:
    return SemanticFingerprint.objects.filter(pk=row.pk, lease_holder=row.lease_holder)


def pack_rows(rows: Rows) -> bytes:
    return rows.astype("<f2").tobytes()


def unpack_rows(data: bytes | memoryview, dimension: int) -> Rows:
    """Float32 [passages, dimension], of length 1 again after the rounding."""
    rows = np.frombuffer(bytes(data), dtype="<f2").reshape(-1, dimension).astype(np.float32)
    scaled: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def _embedded_versions(space: VectorSpace) -> Iterator[DocumentVersion]:
    """Those that the store should hold: searchable, with vectors of their present content."""
    done = dict(_finished(space).values_list("version_id", "content_key"))
    for version in load_for_comparison(searchable_versions()):
        count: int = version.passage_count  # type: ignore[attr-defined]  # annotated
        if done.get(version.pk) == _make_key(version.title, version.text_sha256, version.passage_scheme, count):
            yield version


def _load_vectors(space: VectorSpace, version_ids: Iterable[int]) -> Iterator[VersionVectors]:
    """Those of the versions that are searchable and embedded as they are now. Reads nothing of other versions."""
    wanted = list(version_ids)
    for start in range(0, len(wanted), BATCH_VERSIONS):
        batch = wanted[start : start + BATCH_VERSIONS]
        keys = _expected_keys(batch)
        rows = _finished(space).filter(version_id__in=batch).values_list("version_id", "content_key", "vectors")
        stored = {pk: vectors for pk, key, vectors in rows if keys.get(pk) == key}
        versions = searchable_versions().filter(pk__in=stored).defer("text")
        for version in versions.prefetch_related("passages", "departments").order_by("pk"):
            vectors = unpack_rows(stored[version.pk] or b"", space.dimension)
            if len(vectors) == len(version.passages.all()):
                yield VersionVectors(build_entry(version), vectors)
