"""The FAISS store alone: killed writers, damaged files, locks."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from kb.search.types import SearchEngineUnavailable
from kb.search.vectors_faiss import FaissVectorStore
from tests.kb.search.samples import SAMPLE, make_version
from tests.kb.search.test_vector_contract import SPACE, embed, find, list_versions


@pytest.fixture
def root(tmp_path: Path) -> Path:
    FaissVectorStore(tmp_path, SPACE).add(map(embed, SAMPLE))
    return tmp_path


def generations(root: Path) -> list[Path]:
    return [path for path in (root / SPACE.name).iterdir() if path.is_dir()]


def test_writer_killed_before_its_last_step_leaves_what_was_there(root: Path) -> None:
    """A generation that never became current, half-written."""
    (root / SPACE.name / "dead").mkdir()
    (root / SPACE.name / "dead" / "rows.faiss").write_bytes(b"half")
    store = FaissVectorStore(root, SPACE)
    assert len(list_versions(find(store, "漏水"))) == len(SAMPLE)

    store.add([embed(make_version(7, "漏水新规。"))])

    assert len(generations(root)) == 1
    assert len(list_versions(find(store, "漏水"))) == len(SAMPLE) + 1


def test_reader_whose_generation_is_removed_reads_the_new_one(root: Path) -> None:
    reader = FaissVectorStore(root, SPACE)
    assert len(list_versions(find(reader, "漏水"))) == len(SAMPLE)

    FaissVectorStore(root, SPACE).delete_versions([1, 2])

    assert list_versions(find(reader, "漏水")) == {3, 4, 5, 6}


def test_damaged_vectors_are_unavailable_and_not_empty(root: Path) -> None:
    (folder,) = generations(root)
    (folder / "rows.faiss").write_bytes(b"damaged")
    with pytest.raises(SearchEngineUnavailable):
        find(FaissVectorStore(root, SPACE), "漏水")


def test_dropping_clears_a_damaged_store_for_a_new_one(root: Path) -> None:
    (folder,) = generations(root)
    (folder / "entries.json").write_text("{", encoding="utf-8")
    store = FaissVectorStore(root, SPACE)
    with pytest.raises(SearchEngineUnavailable):
        list(store.scan_fingerprints())

    store.drop()
    store.add(map(embed, SAMPLE))

    assert len(list_versions(find(store, "漏水"))) == len(SAMPLE)


def test_writer_waits_for_another_only_so_long(root: Path) -> None:
    impatient = FaissVectorStore(root, SPACE, lock_seconds=0.05)
    with FileLock(root / f"{SPACE.name}.lock"), pytest.raises(SearchEngineUnavailable, match="another process"):
        impatient.add([embed(SAMPLE[0])])
    assert len(list_versions(find(impatient, "漏水"))) == len(SAMPLE)
