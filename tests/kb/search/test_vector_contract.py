"""What every vector store keeps to: run on FAISS and on Elasticsearch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from kb.search.types import IndexedVersion, IndexMissing, PassageHit, SearchFilter, VersionEntry
from kb.search.vectors import VectorSpace, VectorStore, VersionVectors
from kb.search.vectors_faiss import FaissVectorStore
from tests.kb.search.conftest import ENGINES
from tests.kb.search.samples import SAMPLE, delete_indexes, make_version

ANY = SearchFilter()
SPACE = VectorSpace("embedder-1", 64)
StoreMaker = Callable[..., VectorStore]


@pytest.fixture(params=ENGINES)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreMaker]:
    """Makes stores on the same vectors, as different processes would have them."""
    if request.param == "embedded":
        yield lambda space=SPACE: FaissVectorStore(tmp_path / "vectors", space)
        return
    # Here, because it needs Django's settings.
    from kb.search.vectors_elastic import ElasticVectorStore

    url, prefix = request.getfixturevalue("elasticsearch_url"), f"test-{tmp_path.name[:40].lower().replace('[', '-')}"
    prefix = "".join(letter for letter in prefix if letter.isalnum() or letter == "-")
    yield lambda space=SPACE: ElasticVectorStore(url, prefix, space, timeout_seconds=30.0)
    delete_indexes(url, prefix)


@pytest.fixture
def store(make_store: StoreMaker) -> VectorStore:
    return make_store()


@pytest.fixture
def filled(store: VectorStore) -> VectorStore:
    store.add(map(embed, SAMPLE))
    return store


def vector_of(text: str, dimension: int = SPACE.dimension) -> np.ndarray:
    """As good as random, the same for the same text, of length 1."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    row = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return row / np.linalg.norm(row)


def embed(entry: VersionEntry) -> VersionVectors:
    rows = [vector_of(passage.text) for passage in entry.passages]
    return VersionVectors(entry, np.array(rows, dtype=np.float32).reshape(len(rows), SPACE.dimension))


def find(store: VectorStore, text: str, search_filter: SearchFilter = ANY, *, limit: int = 50) -> list[PassageHit]:
    return store.search(vector_of(text)[None, :], search_filter, limit=limit)[0]


def list_versions(hits: list[PassageHit]) -> set[int]:
    return {hit.version_id for hit in hits}


def test_nearest_passage_comes_first_with_its_ids(filled: VectorStore) -> None:
    first, second, *_ = find(filled, "电梯日常维护由业主负责。")

    assert first[:3] == (101, 1, 1001)
    assert first.score == pytest.approx(1, abs=2e-3)
    assert second.score < 0.9


def test_scores_are_inner_products_in_order(filled: VectorStore) -> None:
    query = vector_of("漏水")
    passages = {passage.passage_id: passage.text for version in SAMPLE for passage in version.passages}

    hits = find(filled, "漏水")

    expected = sorted((float(query @ vector_of(text)) for text in passages.values()), reverse=True)
    assert [hit.score for hit in hits] == pytest.approx(expected, abs=2e-3)


def test_answers_come_in_the_order_of_the_queries_and_limit_is_kept(filled: VectorStore) -> None:
    texts = [version.passages[0].text for version in SAMPLE]

    answers = filled.search(np.array([vector_of(text) for text in texts]), ANY, limit=2)

    assert [hits[0].version_id for hits in answers] == [version.version_id for version in SAMPLE]
    assert {len(hits) for hits in answers} == {2}
    assert filled.search(np.empty((0, SPACE.dimension), dtype=np.float32), ANY, limit=2) == []


@pytest.mark.parametrize(
    ("search_filter", "expected"),
    [
        (ANY, {1, 2, 3, 4, 5, 6}),
        (SearchFilter(regions=("云岚市",)), {1, 4}),
        (SearchFilter(regions=("云岚市", "东湖区")), {1, 2, 4}),
        (SearchFilter(levels=("district",)), {2}),
        (SearchFilter(categories=("物业",)), {2, 3}),
        (SearchFilter(departments=()), {1, 2, 3, 6}),
        (SearchFilter(departments=("minzheng",)), {1, 2, 3, 4, 6}),
        (SearchFilter(departments=("chengguan", "minzheng")), {1, 2, 3, 4, 5, 6}),
        (SearchFilter(as_of=date.fromordinal(738999)), {1, 2, 3, 4, 6}),
        (SearchFilter(as_of=date.fromordinal(739000)), {1, 2, 3, 4, 5}),
        (SearchFilter(as_of=date.fromordinal(729999)), {1, 2, 3, 4}),
        (SearchFilter(as_of=date.min), {1, 2, 3, 4}),
        (SearchFilter(as_of=date.max), {1, 2, 3, 4, 5}),
        (SearchFilter(as_of=date.fromordinal(739000), categories=("物业",), regions=("东湖区",), departments=()), {2}),
        (SearchFilter(regions=("没有这个地区",)), set()),
    ],
)
def test_filter_leaves_what_it_allows(filled: VectorStore, search_filter: SearchFilter, expected: set[int]) -> None:
    assert list_versions(find(filled, "漏水", search_filter)) == expected


def test_filter_is_applied_before_the_limit(store: VectorStore) -> None:
    """The only permitted passage is found, however many nearer ones there are."""
    near = [replace(make_version(n, "相同的条文。"), region="别处") for n in range(10, 310)]
    store.add(map(embed, [*near, *SAMPLE]))

    hits = find(store, "相同的条文。", SearchFilter(regions=("东湖区",)), limit=3)

    assert [hit.version_id for hit in hits] == [2]


def test_filter_changes_no_score(filled: VectorStore) -> None:
    plain = {hit[:3]: hit.score for hit in find(filled, "漏水")}

    for hit in find(filled, "漏水", SearchFilter(as_of=date.fromordinal(739000), departments=("minzheng",))):
        assert hit.score == pytest.approx(plain[hit[:3]], abs=1e-5)


def test_adding_again_replaces(filled: VectorStore) -> None:
    before = find(filled, "漏水")

    assert filled.add(map(embed, SAMPLE)) == len(SAMPLE)
    assert filled.count().versions == len(SAMPLE)
    assert filled.count().passages == sum(len(version.passages) for version in SAMPLE)
    assert [hit[:3] for hit in find(filled, "漏水")] == [hit[:3] for hit in before]


def test_replaced_version_loses_passages_that_it_no_longer_has(filled: VectorStore) -> None:
    filled.add([embed(make_version(3, "改为使用公共收益。"))])

    assert find(filled, "改为使用公共收益。")[0].passage_id == 300
    assert 301 not in {hit.passage_id for hit in find(filled, "维修资金由业主大会决定。")}
    assert IndexedVersion(3, "3-1", 1) in list(filled.scan_fingerprints())


def test_changed_filter_values_take_effect(filled: VectorStore) -> None:
    filled.add([embed(replace(SAMPLE[1], in_force_until=739000))])

    assert 2 not in list_versions(find(filled, "漏水", SearchFilter(as_of=date.fromordinal(739000))))
    assert 2 in list_versions(find(filled, "漏水", SearchFilter(as_of=date.fromordinal(738999))))


def test_deleted_versions_are_gone_and_unknown_ones_ignored(filled: VectorStore) -> None:
    filled.delete_versions([1, 3, 99])
    filled.delete_versions([1])
    filled.delete_versions([])

    assert list_versions(find(filled, "漏水")) == {2, 4, 5, 6}
    assert filled.count().versions == 4
    assert [item.version_id for item in filled.scan_fingerprints()] == [2, 4, 5, 6]


def test_scan_gives_every_version_in_order_and_those_without_passages(filled: VectorStore) -> None:
    filled.add([embed(make_version(8))])

    assert list(filled.scan_fingerprints()) == [
        *(IndexedVersion(version.version_id, version.fingerprint, len(version.passages)) for version in SAMPLE),
        IndexedVersion(8, "8-0", 0),
    ]


def test_what_one_process_writes_the_next_search_of_another_sees(filled: VectorStore, make_store: StoreMaker) -> None:
    reader = make_store()
    assert 7 not in list_versions(find(reader, "漏水新规。"))

    filled.add([embed(make_version(7, "漏水新规。"))])
    assert find(reader, "漏水新规。")[0].version_id == 7

    filled.delete_versions([7])
    assert 7 not in list_versions(find(reader, "漏水新规。"))


def test_writers_at_the_same_time_lose_nothing(filled: VectorStore, make_store: StoreMaker) -> None:
    def write(first: int) -> int:
        versions = [make_version(number, f"同时写入的条款{number}。") for number in range(first, first + 30)]
        return make_store().add(map(embed, versions))

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(write, (100, 200, 300))) == [30, 30, 30]
    assert filled.count().versions == len(SAMPLE) + 90


def test_spaces_never_meet(filled: VectorStore, make_store: StoreMaker) -> None:
    other = make_store(VectorSpace("embedder-2", SPACE.dimension))
    with pytest.raises(IndexMissing):
        find(other, "漏水")
    other.add([embed(make_version(7, "漏水新规。"))])

    assert list_versions(find(other, "漏水")) == {7}
    assert 7 not in list_versions(find(filled, "漏水"))


def test_dropped_space_is_missing_and_can_be_made_again(filled: VectorStore) -> None:
    filled.drop()
    filled.drop()
    with pytest.raises(IndexMissing):
        find(filled, "漏水")
    assert list(filled.scan_fingerprints()) == []

    filled.add([embed(SAMPLE[0])])
    assert list_versions(find(filled, "漏水")) == {1}


def test_space_without_vectors_is_missing(store: VectorStore) -> None:
    with pytest.raises(IndexMissing):
        find(store, "漏水")
    with pytest.raises(IndexMissing):
        store.count()
    store.delete_versions([1])
    assert list(store.scan_fingerprints()) == []


def test_vectors_of_another_size_are_refused(filled: VectorStore) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        filled.search(vector_of("漏水", 32)[None, :], ANY, limit=5)
    with pytest.raises(ValueError, match="do not fit"):
        filled.add([VersionVectors(SAMPLE[0], embed(SAMPLE[1]).rows)])
