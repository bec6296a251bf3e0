"""Keeping the search index equal to the database: sync a document, rebuild, reconcile, check.

The database is the truth. Every function may be stopped and run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from kb import fingerprints, tasks
from kb.engine import find_live_index, get_search_engine
from kb.errors import ReindexRunning
from kb.index_comparison import (
    Difference,
    build_entry,
    compare,
    expected_fingerprints,
    held_fingerprints,
    load_for_comparison,
)
from kb.index_gate import ask_gate, find_approved, hold_index, list_superseded
from kb.live_dictionaries import load_segmentation_dictionary
from kb.models import DocumentVersion, IndexVersion, PolicyDocument
from kb.search.types import IndexMissing, SearchEngine, VersionEntry
from kb.segmentation import SegmentationDictionary
from kb.selectors import searchable_versions

logger = logging.getLogger(__name__)

BATCH = 200
STOPPED_AFTER = timedelta(minutes=2)
LONGEST_REST = timedelta(minutes=30)  # after failures: 1, 2, 4 … minutes
State = IndexVersion.State
Progress = Callable[[IndexVersion], None]
Revisions = dict[int, int]


@dataclass(slots=True)
class RebuildOutcome:
    index: IndexVersion
    previous: str | None
    repaired: Difference = field(default_factory=Difference)


def sync_document(document_id: int) -> None:
    """Bring one document's versions in the live index up to date. Raises SearchEngineError."""
    sync_documents([document_id])


def sync_documents(document_ids: list[int]) -> None:
    """Many at once, one index commit a batch. Raises SearchEngineError."""
    engine = get_search_engine()
    ensure_index(engine)
    for batch in _split(document_ids):
        revisions = dict(PolicyDocument.objects.filter(pk__in=batch).values_list("pk", "revision"))
        index = engine.live_index()
        _put_documents(engine, index, batch)
        fingerprints.sync_documents(batch)  # before they count as indexed: what fails here is tried again
        if _is_live(engine, index):  # else the next sweep writes them into the index that is live now
            _mark_indexed(revisions)


def ensure_index(engine: SearchEngine) -> str:
    """The live index; an empty one is made where there is none yet."""
    try:
        return engine.live_index()
    except IndexMissing:
        index = _new_index(engine, load_segmentation_dictionary())
        _go_live(engine, index, {})
        return index.name


@transaction.atomic
def request_rebuild() -> IndexVersion:
    """Ask the worker for a rebuild; one that is asked for or under way with the same dictionary is given back.

    The row is what is asked; the message to the worker may be lost (see `is_rebuild_waiting`).
    """
    engine = get_search_engine()
    dictionary = load_segmentation_dictionary()
    building = IndexVersion.objects.filter(state=State.BUILDING, engine=engine.name).order_by("-id")
    index = building.filter(dictionary_sha256=dictionary.sha256).first()
    if index is None:
        index = _name_index(engine, dictionary)
        index.save()
    else:  # whoever asks has perhaps removed what made it fail
        IndexVersion.objects.filter(pk=index.pk).update(failures=0, failed_at=None)
    tasks.enqueue(tasks.reindex_all)
    return index


def is_rebuild_waiting() -> bool:
    """Whether a rebuild was asked for, or has stopped, and nobody is at it; what failed rests first."""
    building = IndexVersion.objects.filter(state=State.BUILDING, engine=get_search_engine().name)
    running = building.filter(heartbeat_at__gt=timezone.now() - STOPPED_AFTER)
    return any(not _rests(index) for index in building) and not running.exists()


def rebuild_index(
    *, dictionary: SegmentationDictionary | None = None, on_progress: Progress | None = None, override: str = ""
) -> RebuildOutcome:
    """A new index beside the live one, filled, compared with the database, then made live in one step.

    Where the gate says no it is held instead; `override` is the reason to make it live all the same. A rebuild that was
    stopped goes on where it was. Raises ReindexRunning, SearchEngineError.
    """
    engine = get_search_engine()
    dictionary = dictionary or load_segmentation_dictionary()
    index = _resume_or_start(engine, dictionary)
    try:
        _fill(engine, index, on_progress)
        revisions = _read_revisions()
        repaired = reconcile_index(name=index.name, on_batch=lambda: _beat(index))
        live = find_live_index(engine)
        if reason := ask_gate(index=index.name, live=live, override=override, on_beat=lambda: _beat(index)):
            hold_index(index, reason)
            return RebuildOutcome(index, live, repaired)
        previous = _go_live(engine, index, revisions)
        reconcile_index(name=index.name)  # what changed between the comparison and the swap
    except Exception as error:
        IndexVersion.objects.filter(pk=index.pk).update(
            error=str(error)[:2000], heartbeat_at=None, failures=F("failures") + 1, failed_at=timezone.now()
        )
        raise
    _retire_old(engine)
    return RebuildOutcome(index, previous, repaired)


def activate_approved() -> IndexVersion | None:
    """Bring the held index that was approved up to date and make it live. Raises SearchEngineError."""
    engine = get_search_engine()
    index = find_approved(engine.name)
    if index is None:
        return None
    if not _is_usable(engine, index.name):
        IndexVersion.objects.filter(pk=index.pk).update(state=State.FAILED, error="索引已不存在，请重新构建。")
        return None
    _bring_live(engine, index)
    _retire_old(engine)
    return index


def check_index(*, name: str | None = None) -> Difference:
    """Read only: how the index differs from the database. Raises SearchEngineError."""
    engine = get_search_engine()
    expected = dict(expected_fingerprints(load_for_comparison(searchable_versions())))
    return compare(expected, held_fingerprints(engine.scan_fingerprints(name or engine.live_index())))


def reconcile_index(*, name: str | None = None, on_batch: Callable[[], None] = lambda: None) -> Difference:
    """Repair the difference, whichever way it is; returns what was repaired. Raises SearchEngineError."""
    engine = get_search_engine()
    name = name or ensure_index(engine)
    revisions = _read_revisions()
    on_batch()
    difference = check_index(name=name)
    wanted = [*difference.missing, *difference.outdated]
    for batch in _split(wanted):
        engine.add(name, _load_entries(DocumentVersion.objects.filter(pk__in=batch)))
        on_batch()
    if difference.surplus:
        engine.delete_versions(name, difference.surplus)
    if _is_live(engine, name):
        _mark_indexed(revisions)
    if not difference.is_empty:
        logger.warning("index %s repaired: %s", name, _describe(difference))
    return difference


def rollback_index() -> IndexVersion:
    """Make the previous index live again and bring it up to date. Raises IndexMissing where none is kept."""
    engine = get_search_engine()
    previous = IndexVersion.objects.filter(state=State.PREVIOUS, engine=engine.name).order_by("-live_at").first()
    if previous is None:
        raise IndexMissing("没有可以退回的上一版索引。")
    _bring_live(engine, previous)
    return previous


def _bring_live(engine: SearchEngine, index: IndexVersion) -> None:
    revisions = _read_revisions()
    reconcile_index(name=index.name)
    _go_live(engine, index, revisions)
    reconcile_index(name=index.name)  # what changed between the comparison and the swap


def _rests(index: IndexVersion) -> bool:
    """Whether its rebuild has failed so lately, or so often, that it is not yet tried again."""
    rest = min(timedelta(minutes=2 ** min(max(index.failures - 1, 0), 10)), LONGEST_REST)
    return index.failed_at is not None and timezone.now() < index.failed_at + rest


def _put_documents(engine: SearchEngine, index: str, document_ids: list[int]) -> None:
    every = DocumentVersion.objects.filter(document_id__in=document_ids)
    searchable = searchable_versions().filter(document_id__in=document_ids)
    gone = set(every.values_list("pk", flat=True)) - set(searchable.values_list("pk", flat=True))
    engine.add(index, _load_entries(searchable))
    if gone:
        engine.delete_versions(index, gone)


def _load_entries(versions: QuerySet[DocumentVersion]) -> list[VersionEntry]:
    rows = versions.defer("text").prefetch_related("passages", "departments").order_by("pk")
    return [build_entry(version) for version in rows]


def _fill(engine: SearchEngine, index: IndexVersion, on_progress: Progress | None) -> None:
    documents = PolicyDocument.objects.order_by("pk")
    index.documents_total = documents.count()
    while ids := list(documents.filter(pk__gt=index.last_document_id).values_list("pk", flat=True)[:BATCH]):
        _put_documents(engine, index.name, ids)
        index.last_document_id = ids[-1]
        index.documents_done += len(ids)
        _beat(index)
        if on_progress:
            on_progress(index)


def _beat(index: IndexVersion) -> None:
    index.heartbeat_at = timezone.now()
    index.save(update_fields=["documents_total", "documents_done", "last_document_id", "heartbeat_at"])


def _resume_or_start(engine: SearchEngine, dictionary: SegmentationDictionary) -> IndexVersion:
    with transaction.atomic():
        building = list(
            IndexVersion.objects.select_for_update().filter(state=State.BUILDING, engine=engine.name).order_by("-id")
        )
        for index in building:
            if index.heartbeat_at and index.heartbeat_at > timezone.now() - STOPPED_AFTER:
                raise ReindexRunning(f"索引 {index.name} 正在构建（{index.progress:.0%}），请等它完成。")
        fitting = [index for index in building if index.dictionary_sha256 == dictionary.sha256]
        for index in building:
            if index not in fitting[:1]:
                _abandon(engine, index)
        if not fitting:
            return _new_index(engine, dictionary)
        _begin_again_unless_begun(engine, fitting[0], dictionary)
        _beat(fitting[0])
        return fitting[0]


def _begin_again_unless_begun(engine: SearchEngine, index: IndexVersion, dictionary: SegmentationDictionary) -> None:
    """A row may have been asked for without an index yet, have lost it, or have one that was made in part."""
    if _is_usable(engine, index.name):
        return
    engine.drop_index(index.name)
    engine.create_index(index.name, dictionary)
    index.last_document_id = index.documents_done = 0


def _new_index(engine: SearchEngine, dictionary: SegmentationDictionary) -> IndexVersion:
    index = _name_index(engine, dictionary)
    engine.create_index(index.name, dictionary)
    index.heartbeat_at = timezone.now()
    index.save()
    return index


def _name_index(engine: SearchEngine, dictionary: SegmentationDictionary) -> IndexVersion:
    name = f"{timezone.now():%Y%m%d%H%M%S%f}"
    return IndexVersion(name=name, engine=engine.name, dictionary_sha256=dictionary.sha256)


def _abandon(engine: SearchEngine, index: IndexVersion) -> None:
    engine.drop_index(index.name)
    index.state, index.error = State.FAILED, index.error or "词典在这期间有变化，改建新的索引。"
    index.save(update_fields=["state", "error"])


def _is_usable(engine: SearchEngine, name: str) -> bool:
    try:
        engine.segmenter(name)
    except IndexMissing:
        return False
    return True


def _is_live(engine: SearchEngine, name: str) -> bool:
    return find_live_index(engine) == name


def _go_live(engine: SearchEngine, index: IndexVersion, revisions: Revisions) -> str | None:
    """What is no longer at the revision that was compared is stale: a kill right after the swap loses no change."""
    counts = engine.count(index.name)
    previous = engine.swap_alias(index.name)
    with transaction.atomic():
        IndexVersion.objects.filter(state=State.LIVE, engine=engine.name).exclude(pk=index.pk).update(
            state=State.PREVIOUS
        )
        index.state, index.live_at, index.passages = State.LIVE, timezone.now(), counts.passages
        index.error = ""
        index.save()
        changed = [pk for pk, revision in _read_revisions().items() if revisions.get(pk) != revision]
        for batch in _split(changed):
            PolicyDocument.objects.filter(pk__in=batch).update(indexed_revision=0)
    return previous


def _retire_old(engine: SearchEngine) -> None:
    """The last index stays for a rollback; older ones go."""
    previous = IndexVersion.objects.filter(state=State.PREVIOUS, engine=engine.name).order_by("-live_at")
    live = IndexVersion.objects.filter(state=State.LIVE, engine=engine.name).first()
    for index in [*previous[1:], *(list_superseded(live) if live else [])]:
        engine.drop_index(index.name)
        index.state = State.RETIRED
        index.save(update_fields=["state"])


def _read_revisions() -> Revisions:
    return dict(PolicyDocument.objects.values_list("pk", "revision"))


def _mark_indexed(revisions: Revisions) -> None:
    """Never backwards: a document changed meanwhile is stale, also where another worker has indexed the change.

    What was written here may be older and have come last.
    """
    by_revision: dict[int, list[int]] = {}
    for pk, revision in revisions.items():
        by_revision.setdefault(revision, []).append(pk)
    for revision, ids in by_revision.items():
        for batch in _split(ids):
            documents = PolicyDocument.objects.filter(pk__in=batch)
            documents.filter(indexed_revision__lt=revision).update(indexed_revision=revision)
            documents.exclude(revision=revision).update(indexed_revision=0)


def _split(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _describe(difference: Difference) -> str:
    return (
        f"{len(difference.missing)} missing, {len(difference.outdated)} outdated, {len(difference.surplus)} surplus "
        f"of {difference.compared}"
    )
