"""The embedded engine alone: processes, kills, locks and damaged files."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from kb.search.embedded import EmbeddedEngine
from kb.search.types import FieldQuery, IndexInUse, IndexMissing, SearchEngineUnavailable, SearchFilter
from kb.segmentation import SegmentationDictionary
from tests.kb.search.samples import SAMPLE, make_version

WRITER = """
import sys
from pathlib import Path
from kb.search.embedded import EmbeddedEngine
from tests.kb.search.samples import make_version

engine = EmbeddedEngine(Path(sys.argv[1]))
if sys.argv[2] == "once":
    engine.add("first", [make_version(70, "另一个进程写入的新规。")])
else:
    number = 1000
    while True:
        number += 1
        engine.add("first", [make_version(number, *["漏水维修" * 50] * 20)])
        print(number, flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def engine(root: Path) -> EmbeddedEngine:
    engine = EmbeddedEngine(root)
    engine.create_index("first", SegmentationDictionary())
    engine.add("first", SAMPLE)
    engine.swap_alias("first")
    return engine


def start_writer(root: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), how],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": ".", "PYTHONWARNINGS": "ignore"},
    )


def count_hits(engine: EmbeddedEngine, *tokens: str) -> int:
    [hits] = engine.search_many("first", [FieldQuery("bigrams", tokens)], SearchFilter(), limit=10_000)
    return len(hits)


def test_reader_sees_what_another_process_wrote(engine: EmbeddedEngine, root: Path) -> None:
    assert count_hits(engine, "新规") == 0
    with start_writer(root, "once") as writer:
        assert writer.wait(60) == 0
    assert count_hits(engine, "新规") == 1


def test_killed_writer_leaves_the_last_commit_and_the_next_writer_goes_on(engine: EmbeddedEngine, root: Path) -> None:
    with start_writer(root, "forever") as writer:
        assert writer.stdout is not None
        first = int(writer.stdout.readline())
        for _ in range(3):
            assert count_hits(engine, "漏水") >= 20
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
    fresh = EmbeddedEngine(root, lock_seconds=5)
    counts = {item.version_id: item.passage_count for item in fresh.scan_fingerprints("first")}
    assert all(counts[number] == 20 for number in range(first, last + 1))
    assert fresh.add("first", [make_version(80, "接着写。")]) == 1
    assert count_hits(engine, "着写") == 1


def test_writer_that_fails_leaves_the_index_as_it_was(engine: EmbeddedEngine) -> None:
    with pytest.raises(OverflowError):
        engine.add("first", [make_version(7, "新规。"), make_version(2**70, "新规。")])
    assert count_hits(engine, "新规") == 0
    assert engine.add("first", [make_version(7, "新规。")]) == 1
    assert count_hits(engine, "新规") == 1


def test_waiting_writer_gives_up_when_another_process_keeps_the_lock(engine: EmbeddedEngine, root: Path) -> None:
    impatient = EmbeddedEngine(root, lock_seconds=0.05)
    with FileLock(root / "write.lock"):
        with pytest.raises(SearchEngineUnavailable):
            impatient.add("first", SAMPLE)
        with pytest.raises(SearchEngineUnavailable):
            impatient.swap_alias("first")
        assert count_hits(impatient, "漏水") > 0
    assert impatient.add("first", SAMPLE) == len(SAMPLE)


@pytest.mark.parametrize("name", ["", "../elsewhere", "A", "a/b", ".hidden"])
def test_name_that_is_no_plain_name_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no index name"):
        EmbeddedEngine(root).create_index(name, SegmentationDictionary())


def test_damaged_index_is_unavailable_not_empty(engine: EmbeddedEngine, root: Path) -> None:
    (root / "first" / "passages" / "meta.json").write_text("{", encoding="utf-8")
    fresh = EmbeddedEngine(root)
    with pytest.raises(SearchEngineUnavailable):
        count_hits(fresh, "漏水")
    health = fresh.health()
    assert not health.is_available
    assert "无法读取" in health.detail


def test_half_made_index_does_not_count_and_can_be_made_again(engine: EmbeddedEngine, root: Path) -> None:
    (root / "half" / "passages").mkdir(parents=True)
    assert [info.name for info in engine.list_indexes()] == ["first"]
    with pytest.raises(IndexMissing):
        engine.segmenter("half")
    engine.create_index("half", SegmentationDictionary())
    assert engine.count("half").passages == 0


def test_alias_to_an_index_that_is_gone_says_so(engine: EmbeddedEngine, root: Path) -> None:
    (root / "alias").write_text("gone", encoding="utf-8")
    assert not engine.health().is_available
    with pytest.raises(IndexMissing):
        engine.segmenter(engine.live_index())


def test_dropped_index_leaves_no_files(engine: EmbeddedEngine, root: Path) -> None:
    engine.create_index("second", SegmentationDictionary())
    engine.swap_alias("second")
    engine.drop_index("first")
    assert not (root / "first").exists()
    with pytest.raises(IndexInUse):
        engine.drop_index("second")
    assert sorted(path.name for path in root.iterdir()) == ["alias", "second", "write.lock"]


def test_many_small_writes_are_merged(engine: EmbeddedEngine, root: Path) -> None:
    for number in range(100, 140):
        engine.add("first", [make_version(number, "漏水。")])
    segments = {path.stem for path in (root / "first" / "passages").glob("*.idx")}
    assert count_hits(engine, "漏水") >= 40
    assert len(segments) < 20


def test_search_as_of_a_day_gives_scores_as_without(engine: EmbeddedEngine) -> None:
    queries = [FieldQuery("bigrams", ("电梯", "补贴"))]
    [plain] = engine.search_many("first", queries, SearchFilter(), limit=5)
    [dated] = engine.search_many("first", queries, SearchFilter(as_of=date(2026, 1, 1)), limit=5)
    assert dated == plain
