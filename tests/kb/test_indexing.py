"""Index and database stay equal: sync, rebuild, reconcile, check, rollback; stopped and run again."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from kb import indexing, selectors, tasks
from kb.errors import ReindexRunning
from kb.models import DocumentVersion, IndexVersion, PolicyDocument
from kb.parsing import ParsedDocument, PolicyMetadata
from kb.retrieval import retrieve
from kb.search.types import SearchEngine, SearchFilter, VersionEntry
from kb.segmentation import load_default_dictionary
from kb.services.versions import correct_metadata, publish_versions, repeal_version, store_draft, withdraw_version

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 21)


def publish(title: str, text: str, **metadata: object) -> DocumentVersion:
    parsed = ParsedDocument(title=title, text=text, metadata=PolicyMetadata(**metadata))  # type: ignore[arg-type]
    version = store_draft(upload=None, document=parsed)
    publish_versions(versions=[version], by=None)
    version.refresh_from_db()
    return version


def find(engine: SearchEngine, question: str, *, as_of: date | None = DAY) -> list[int]:
    return [hit.version_id for hit in retrieve(engine, question, SearchFilter(as_of=as_of)).documents]


@pytest.fixture
def lift() -> DocumentVersion:
    return publish("加装电梯办法", "第一条 既有住宅可以加装电梯，每台补贴十万元。")


def test_sync_makes_a_published_version_findable(engine: SearchEngine, lift: DocumentVersion) -> None:
    assert selectors.stale_document_ids() == [lift.document_id]
    indexing.sync_document(lift.document_id)

    assert find(engine, "电梯补贴多少") == [lift.pk]
    assert selectors.stale_document_ids() == []


def test_draft_is_never_found(engine: SearchEngine, lift: DocumentVersion) -> None:
    draft = store_draft(upload=None, document=ParsedDocument(title="草稿", text="电梯补贴草稿。"))
    indexing.sync_documents([lift.document_id, draft.document_id])

    assert find(engine, "电梯补贴") == [lift.pk]


def test_withdrawn_version_leaves_the_index(engine: SearchEngine, lift: DocumentVersion) -> None:
    indexing.sync_document(lift.document_id)
    withdraw_version(version=lift, by=None)
    indexing.sync_document(lift.document_id)

    assert find(engine, "电梯补贴", as_of=None) == []


def test_repealed_version_is_found_only_before_its_repeal(engine: SearchEngine, lift: DocumentVersion) -> None:
    repeal_version(version=lift, on=DAY, reason="新办法", by=None)
    indexing.sync_document(lift.document_id)

    assert find(engine, "电梯补贴") == []
    assert find(engine, "电梯补贴", as_of=DAY - timedelta(days=1)) == [lift.pk]
    assert find(engine, "电梯补贴", as_of=None) == [lift.pk]


def test_index_holds_what_the_rule_says(engine: SearchEngine, lift: DocumentVersion) -> None:
    publish("物业条例", "第一条 物业服务人应当及时维修漏水。\n" * 40)
    store_draft(upload=None, document=ParsedDocument(title="草稿", text="草稿。"))
    indexing.rebuild_index()

    assert engine.count(engine.live_index()).passages == selectors.searchable_passages().count() > 2


def test_reconcile_repairs_whatever_differs(engine: SearchEngine, lift: DocumentVersion) -> None:
    surplus = publish("多余", "多余的文字。")
    indexing.rebuild_index()
    missing = publish("缺少", "缺少的文字。")
    correct_metadata(version=lift, changes={"region": "青溪区"}, by=None)
    DocumentVersion.objects.filter(pk=surplus.pk).update(state="withdrawn")

    difference = indexing.check_index()
    assert (difference.missing, difference.outdated, difference.surplus) == ((missing.pk,), (lift.pk,), (surplus.pk,))

    indexing.reconcile_index()
    assert indexing.check_index().is_empty
    assert selectors.stale_document_ids() == []


def test_check_command_fails_on_a_difference(engine: SearchEngine, lift: DocumentVersion) -> None:
    indexing.rebuild_index()
    publish("缺少", "缺少的文字。")
    with pytest.raises(SystemExit):
        call_command("reindex", "--check")
    call_command("reindex", "--reconcile")
    call_command("reindex", "--check")


def test_rebuild_swaps_and_keeps_the_last_for_a_rollback(engine: SearchEngine, lift: DocumentVersion) -> None:
    first = indexing.rebuild_index().index
    second = indexing.rebuild_index()
    assert (second.previous, engine.live_index()) == (first.name, second.index.name)

    changed = publish("其后", "其后发布的文字。")
    indexing.rollback_index()
    assert engine.live_index() == first.name
    assert changed.pk in find(engine, "其后发布")

    indexing.rebuild_index()
    indexing.rebuild_index()
    assert len(engine.list_indexes()) == 2
    assert IndexVersion.objects.filter(state="live").count() == 1


def test_stopped_rebuild_goes_on_where_it_was(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        publish(f"办法{number}", f"第{number}号办法的内容。")
    monkeypatch.setattr(indexing, "BATCH", 2)
    put = indexing._put_documents

    def die_on_third(engine_: SearchEngine, index: str, ids: list[int]) -> None:
        if IndexVersion.objects.get(name=index).documents_done >= 4:
            raise KeyboardInterrupt
        put(engine_, index, ids)

    monkeypatch.setattr(indexing, "_put_documents", die_on_third)
    with pytest.raises(KeyboardInterrupt):
        indexing.rebuild_index()
    with pytest.raises(ReindexRunning):
        indexing.rebuild_index()

    monkeypatch.setattr(indexing, "_put_documents", put)
    IndexVersion.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    outcome = indexing.rebuild_index()
    assert IndexVersion.objects.count() == 1
    assert outcome.index.documents_done == PolicyDocument.objects.count()
    assert indexing.check_index().is_empty


def test_new_dictionary_begins_a_new_index(engine: SearchEngine, lift: DocumentVersion) -> None:
    from kb.segmentation import SegmentationDictionary

    indexing.rebuild_index()
    own = SegmentationDictionary.build(["加装电梯办法"])
    indexing.rebuild_index(dictionary=own)

    assert engine.segmenter(engine.live_index()).dictionary.sha256 == own.sha256 != load_default_dictionary().sha256
    assert find(engine, "电梯") == [lift.pk]


def test_change_during_sync_stays_stale(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = indexing._put_documents

    def change_meanwhile(*args: object) -> None:
        put(*args)  # type: ignore[arg-type]
        correct_metadata(version=lift, changes={"region": "望江区"}, by=None)

    indexing.ensure_index(engine)
    monkeypatch.setattr(indexing, "_put_documents", change_meanwhile)
    indexing.sync_document(lift.document_id)

    assert selectors.stale_document_ids() == [lift.document_id]


def test_sync_that_ends_after_a_newer_one_is_done_again(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = indexing._load_entries

    def be_overtaken(*args: object) -> list[VersionEntry]:
        entries = load(*args)  # type: ignore[arg-type]
        monkeypatch.undo()
        withdraw_version(version=lift, by=None)
        indexing.sync_document(lift.document_id)
        return entries

    indexing.ensure_index(engine)
    monkeypatch.setattr(indexing, "_load_entries", be_overtaken)
    indexing.sync_document(lift.document_id)
    assert find(engine, "电梯补贴") == [lift.pk]

    indexing.sync_documents(selectors.stale_document_ids())
    assert find(engine, "电梯补贴", as_of=None) == []


def test_rebuild_asked_for_without_a_broker_is_done_by_the_sweep(
    engine: SearchEngine,
    lift: DocumentVersion,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def be_away(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(tasks.reindex_all, "apply_async", be_away)
        asked = indexing.request_rebuild()
        assert indexing.request_rebuild() == asked
    assert indexing.is_rebuild_waiting()

    tasks.reindex_all()
    assert engine.live_index() == asked.name
    assert find(engine, "电梯补贴") == [lift.pk]
    assert not indexing.is_rebuild_waiting()


def test_rebuild_that_fails_is_tried_ever_less_often_until_somebody_asks(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("disk full")

    asked = indexing.request_rebuild()
    rests = []
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "_fill", fail)
        for _ in range(7):
            with pytest.raises(RuntimeError):
                tasks.reindex_all()
            assert not indexing.is_rebuild_waiting()
            failed_at = timezone.now()
            minutes = next(
                count for count in range(100) if _waits_after(asked, failed_at - timedelta(minutes=count, seconds=1))
            )
            rests.append(minutes)

    assert rests == [1, 2, 4, 8, 16, 30, 30]
    IndexVersion.objects.filter(pk=asked.pk).update(failed_at=timezone.now())
    assert not indexing.is_rebuild_waiting()
    indexing.request_rebuild()
    assert indexing.is_rebuild_waiting()
    tasks.reindex_all()
    assert engine.live_index() == asked.name


def _waits_after(index: IndexVersion, failed_at: object) -> bool:
    IndexVersion.objects.filter(pk=index.pk).update(failed_at=failed_at)
    return indexing.is_rebuild_waiting()


def test_sweep_builds_nothing_that_nobody_asked_for(engine: SearchEngine, lift: DocumentVersion) -> None:
    tasks.reindex_all()
    assert not IndexVersion.objects.exists()

    indexing.request_rebuild()
    IndexVersion.objects.update(heartbeat_at=timezone.now())
    tasks.reindex_all()
    assert IndexVersion.objects.get().state == "building"

    IndexVersion.objects.update(heartbeat_at=timezone.now() - indexing.STOPPED_AFTER)
    tasks.reindex_all()
    assert IndexVersion.objects.get().state == "live"


def test_sweep_of_rebuilds_is_scheduled_for_the_index_queue(settings: Settings) -> None:
    entry = settings.CELERY_BEAT_SCHEDULE["sweep-rebuilds"]

    assert (entry["task"], entry["schedule"]) == (tasks.reindex_all.name, 60.0)
    assert tasks.reindex_all.app.amqp.router.route({}, entry["task"])["queue"].name == "index"


def test_index_that_was_lost_while_it_was_built_is_begun_again(engine: SearchEngine, lift: DocumentVersion) -> None:
    asked = indexing.request_rebuild()
    IndexVersion.objects.update(last_document_id=lift.document_id, documents_done=1)

    outcome = indexing.rebuild_index()

    assert (outcome.index.pk, outcome.index.documents_done) == (asked.pk, 1)
    assert outcome.repaired.is_empty
    assert find(engine, "电梯补贴") == [lift.pk]


class Killed(BaseException):
    """As if by SIGKILL: nothing handles it."""


def change_before_swap(monkeypatch: pytest.MonkeyPatch, version: DocumentVersion) -> None:
    """After the comparison and before the swap, a correction is written into the index that is still live."""
    go_live = indexing._go_live

    def be_late(*args: object) -> str | None:
        correct_metadata(version=version, changes={"region": "望江区"}, by=None)
        indexing.sync_document(version.document_id)
        assert selectors.stale_document_ids() == []
        return go_live(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(indexing, "_go_live", be_late)


def test_kill_after_the_swap_loses_no_change(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = publish("物业条例", "物业服务人应当及时维修。")
    indexing.rebuild_index()
    reconcile, compared = indexing.reconcile_index, []

    def die_on_second(**options: object) -> indexing.Difference:
        if compared:
            raise Killed
        compared.append(options)
        return reconcile(**options)  # type: ignore[arg-type]

    change_before_swap(monkeypatch, lift)
    monkeypatch.setattr(indexing, "reconcile_index", die_on_second)
    with pytest.raises(Killed):
        indexing.rebuild_index()

    assert indexing.check_index().outdated == (lift.pk,)
    assert selectors.stale_document_ids() == [lift.document_id] != [other.document_id]
    tasks.sync_stale_documents()
    assert indexing.check_index().is_empty


def test_rollback_misses_no_change(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexing.rebuild_index()
    indexing.rebuild_index()
    change_before_swap(monkeypatch, lift)

    indexing.rollback_index()

    assert indexing.check_index().is_empty
    assert selectors.stale_document_ids() == []


def test_sync_into_an_index_that_was_replaced_meanwhile_is_done_again(
    engine: SearchEngine, lift: DocumentVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexing.rebuild_index()
    correct_metadata(version=lift, changes={"region": "望江区"}, by=None)
    put = indexing._put_documents

    def be_replaced(*args: object) -> None:
        put(*args)  # type: ignore[arg-type]
        engine.create_index("newer", load_default_dictionary())
        engine.swap_alias("newer")

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "_put_documents", be_replaced)
        indexing.sync_document(lift.document_id)
    assert selectors.stale_document_ids() == [lift.document_id]

    tasks.sync_stale_documents()
    assert find(engine, "电梯补贴") == [lift.pk]


def test_empty_index_in_place_of_a_lost_one_is_filled_by_the_sweep(
    engine: SearchEngine, lift: DocumentVersion, tmp_path: Path
) -> None:
    other = publish("物业条例", "物业服务人应当及时维修。")
    indexing.rebuild_index()
    with override_settings(SEARCH_URL=f"file://{tmp_path / 'other'}"):
        indexing.sync_document(lift.document_id)

    assert selectors.stale_document_ids() == [other.document_id]
