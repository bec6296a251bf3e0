"""Fingerprints are made once, shared between workers, stopped and resumed, and the store follows the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from kb import fingerprints, indexing
from kb.embedding import EmbeddingFailed, Vectors, embedded_text
from kb.engine import get_vector_store
from kb.fingerprints import build_fingerprints, list_missing, pack_rows, prune_spaces, reconcile_vectors, unpack_rows
from kb.models import DocumentVersion, PolicyDocument, SemanticFingerprint
from kb.search.types import SearchEngine, SearchFilter
from kb.semantic_search import rank_by_meaning
from kb.services.versions import correct_metadata, repeal_version, withdraw_version
from kb.tasks import reconcile_index
from tests.embedders import FakeEmbedder, embed_characters
from tests.policies import LEAK, publish_policy, publish_samples

pytestmark = pytest.mark.django_db
ANY = SearchFilter()


@pytest.fixture
def policies(engine: SearchEngine) -> dict[str, DocumentVersion]:
    return publish_samples()


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


def find(embedder: FakeEmbedder, question: str, search_filter: SearchFilter = ANY) -> list[int]:
    """Versions by meaning, best first."""
    return list(dict.fromkeys(hit.version_id for hit in rank_by_meaning(embedder, question, search_filter).hits))


def test_every_searchable_passage_is_embedded_with_its_title(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    outcome = build_fingerprints(embedder)

    expected = {
        embedded_text(version.title, passage.searchable_text)
        for version in policies.values()
        for passage in version.passages.all()
    }
    assert set(embedder.texts) == expected
    assert len(embedder.texts) == len(expected) == outcome.progress.passages
    assert outcome.progress.done == outcome.progress.total == 3
    assert find(embedder, "楼上漏水的，物业服务人到场维修")[0] == policies["leak"].pk


def test_what_is_done_is_not_done_again(policies: dict[str, DocumentVersion], embedder: FakeEmbedder) -> None:
    build_fingerprints(embedder)
    new = publish_policy("云岚市养犬条例", "第一条 养犬应当登记。\n")

    again = FakeEmbedder()
    outcome = build_fingerprints(again)

    assert again.texts == [embedded_text(new.title, new.passages.get().searchable_text)]
    assert outcome.repaired.missing == (new.pk,)
    assert new.pk in find(embedder, "养犬登记")


def test_failed_build_keeps_what_it_has_and_goes_on(
    policies: dict[str, DocumentVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "BATCH_PASSAGES", 1)
    failing = FakeEmbedder(fail_after=2)
    with pytest.raises(EmbeddingFailed):
        build_fingerprints(failing)
    assert len(list_missing(failing.space)) == 1

    rest = FakeEmbedder()
    build_fingerprints(rest)

    assert len(rest.texts) == 1
    assert list_missing(rest.space) == []
    assert len(find(rest, "云岚市")) == 3


def test_what_another_worker_is_at_is_left_to_it(policies: dict[str, DocumentVersion], embedder: FakeEmbedder) -> None:
    theirs = SemanticFingerprint.objects.create(
        version=policies["leak"],
        embedder_revision=embedder.space.revision,
        lease_holder="another",
        lease_expires_at=timezone.now() + timedelta(minutes=1),
    )

    outcome = build_fingerprints(embedder)
    assert outcome.left == 1
    assert not any("漏水" in text for text in embedder.texts)

    theirs.lease_expires_at = timezone.now() - timedelta(seconds=1)
    theirs.save()
    assert build_fingerprints(embedder).left == 0
    assert list_missing(embedder.space) == []


def test_slow_worker_that_lost_its_lease_overwrites_nothing(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    expected = fingerprints._expected_keys()
    slow = fingerprints._claim([policies["leak"].pk], embedder.space, expected)
    SemanticFingerprint.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    build_fingerprints(embedder)
    before = bytes(SemanticFingerprint.objects.get(version=policies["leak"]).vectors or b"")

    fingerprints._embed_claimed(FakeEmbedder(), embedder.space, slow)

    row = SemanticFingerprint.objects.get(version=policies["leak"])
    assert bytes(row.vectors or b"") == before
    assert row.lease_holder == ""


def test_leases_are_renewed_while_much_is_embedded(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "BATCH_PASSAGES", 1)
    expected = fingerprints._expected_keys()
    claims = fingerprints._claim([version.pk for version in policies.values()], embedder.space, expected)
    nearly_over = timezone.now() + timedelta(seconds=1)
    SemanticFingerprint.objects.update(lease_expires_at=nearly_over)
    seen: list[set[datetime | None]] = []
    embed = embedder.embed_passages

    def look(texts: Sequence[str]) -> Vectors:
        seen.append(set(SemanticFingerprint.objects.values_list("lease_expires_at", flat=True)))
        return embed(texts)

    monkeypatch.setattr(embedder, "embed_passages", look)
    assert fingerprints._embed_claimed(embedder, embedder.space, claims) == len(seen) > 1

    assert seen[0] == {nearly_over}
    assert all(moment and moment > nearly_over for moments in seen[1:] for moment in moments)
    assert list_missing(embedder.space) == []


def test_vectors_of_another_model_are_not_stored(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FakeEmbedder("fake-embedder-2")
    monkeypatch.setattr(embedder, "embed_passages", other.embed_passages)

    with pytest.raises(EmbeddingFailed, match="fake-embedder-2"):
        build_fingerprints(embedder)

    assert not SemanticFingerprint.objects.filter(vectors__isnull=False).exists()
    assert not SemanticFingerprint.objects.exclude(lease_expires_at=None).exists()


def test_slice_ends_when_its_time_is_up(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "BATCH_PASSAGES", 1)
    clock = iter([0.0, 0.0, 21.0])
    monkeypatch.setattr(fingerprints, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    outcome = build_fingerprints(embedder, seconds=20.0)

    assert outcome.is_cut_short
    assert outcome.progress.done == 1
    assert len(list_missing(embedder.space)) == 2


def test_corrected_title_is_embedded_anew_and_until_then_not_found(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    build_fingerprints(embedder)
    correct_metadata(version=policies["leak"], changes={"title": "云岚市物业服务条例"}, by=None)
    indexing.sync_document(policies["leak"].document_id)
    assert policies["leak"].pk not in find(embedder, "漏水")

    again = FakeEmbedder()
    build_fingerprints(again)

    assert {text.partition("\n")[0] for text in again.texts} == {"云岚市物业服务条例"}
    assert policies["leak"].pk in find(embedder, "漏水")


def test_publishing_one_policy_reads_that_policy_alone(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder, django_assert_max_num_queries: Any
) -> None:
    build_fingerprints(embedder)
    with django_assert_max_num_queries(8) as captured:
        fingerprints.sync_documents([policies["leak"].document_id])

    reads = [query["sql"] for query in captured.captured_queries if query["sql"].startswith("SELECT")]
    assert reads
    assert [sql for sql in reads if " IN (" not in sql] == []


def test_building_reads_the_whole_corpus_twice_at_most(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder, django_assert_max_num_queries: Any
) -> None:
    build_fingerprints(embedder)
    with django_assert_max_num_queries(20) as captured:  # what is wanted, and at the end what the store should hold
        build_fingerprints(embedder)

    scans = [query["sql"] for query in captured.captured_queries if 'FROM "kb_documentversion"' in query["sql"]]
    assert len([sql for sql in scans if " IN (" not in sql]) == 2


def test_repealed_policy_is_filtered_without_being_embedded_again(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    build_fingerprints(embedder)
    embedded = len(embedder.texts)
    today = timezone.localdate()
    repeal_version(version=policies["leak"], on=today, reason="云府发〔2026〕1号", by=None)
    indexing.sync_document(policies["leak"].document_id)

    assert policies["leak"].pk not in find(embedder, "漏水", SearchFilter(as_of=today))
    assert policies["leak"].pk in find(embedder, "漏水", SearchFilter(as_of=today - timedelta(days=1)))
    assert len(embedder.texts) == embedded


def test_withdrawn_policy_vanishes(policies: dict[str, DocumentVersion], embedder: FakeEmbedder) -> None:
    build_fingerprints(embedder)
    withdraw_version(version=policies["leak"], by=None)
    indexing.sync_document(policies["leak"].document_id)

    assert policies["leak"].pk not in find(embedder, "漏水")


def test_reconciling_repairs_what_no_message_announced(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    build_fingerprints(embedder)
    store = get_vector_store(embedder.space)
    store.delete_versions([policies["lift"].pk])
    DocumentVersion.objects.filter(pk=policies["leak"].pk).update(state=DocumentVersion.State.WITHDRAWN)
    DocumentVersion.objects.filter(pk=policies["rent"].pk).update(region="别处")

    reconcile_index()

    assert set(find(embedder, "云岚市")) == {policies["lift"].pk, policies["rent"].pk}
    assert find(embedder, "租金", SearchFilter(regions=("别处",))) == [policies["rent"].pk]
    assert reconcile_vectors(embedder.space).is_empty


def test_deleted_document_takes_its_fingerprints_along(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    build_fingerprints(embedder)
    document = PolicyDocument.objects.get(pk=policies["leak"].document_id)
    document.versions.all().delete()

    assert reconcile_vectors(embedder.space).surplus == (policies["leak"].pk,)
    assert policies["leak"].pk not in find(embedder, "漏水")


def test_store_is_filled_again_from_the_database(policies: dict[str, DocumentVersion], embedder: FakeEmbedder) -> None:
    build_fingerprints(embedder)
    get_vector_store(embedder.space).drop()

    again = FakeEmbedder()
    build_fingerprints(again)

    assert again.texts == []
    assert len(find(embedder, "云岚市")) == 3


def test_embedders_are_kept_apart_and_the_old_ones_pruned(
    policies: dict[str, DocumentVersion], embedder: FakeEmbedder
) -> None:
    build_fingerprints(embedder)
    other = FakeEmbedder("fake-embedder-2")
    build_fingerprints(other)
    assert len(other.texts) == len(embedder.texts)

    assert prune_spaces(other.space) == [embedder.space]

    assert list(get_vector_store(embedder.space).scan_fingerprints()) == []
    assert len(find(other, "云岚市")) == 3


def test_version_with_many_passages_keeps_their_order(engine: SearchEngine, embedder: FakeEmbedder) -> None:
    text = "\n".join(f"第{number}条 {LEAK * 6}" for number in range(1, 9))
    version = publish_policy("云岚市长条例", text)
    build_fingerprints(embedder)

    row = SemanticFingerprint.objects.get(version=version)
    expected = [embedded_text(version.title, passage.searchable_text) for passage in version.passages.all()]
    assert len(expected) > 3
    np.testing.assert_allclose(
        unpack_rows(bytes(row.vectors or b""), row.dimension), embed_characters(expected), atol=2e-3
    )


def test_packed_rows_come_back_of_length_one() -> None:
    rows = embed_characters(["楼上漏水", "居住证"])

    back = unpack_rows(pack_rows(rows), rows.shape[1])

    np.testing.assert_allclose(back, rows, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, atol=1e-6)
