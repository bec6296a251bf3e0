"""Which engine an address gives."""

import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from kb.search.embedded import EmbeddedEngine
from kb.search.factory import make_engine


def test_file_address_gives_the_embedded_engine_in_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "索引 1"
    engine = make_engine(folder.as_uri(), index_prefix="p")
    assert isinstance(engine, EmbeddedEngine)
    assert make_engine(folder.as_uri(), index_prefix="p") is engine
    assert engine.list_indexes() == []


def test_http_address_gives_elasticsearch() -> None:
    assert make_engine("http://127.0.0.1:9", index_prefix="p").name == "elasticsearch"


@pytest.mark.parametrize("url", ["", "redis://localhost", "file://", "127.0.0.1:9200"])
def test_unknown_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="SEARCH_URL"):
        make_engine(url, index_prefix="p")


def test_forked_process_gets_an_engine_of_its_own(tmp_path: Path) -> None:
    url = tmp_path.as_uri()
    engine = make_engine(url, index_prefix="p")
    read, write = os.pipe()
    child = get_context("fork").Process(
        target=lambda: os.write(write, b"1" if make_engine(url, index_prefix="p") is engine else b"0")
    )
    child.start()
    child.join(30)
    assert os.read(read, 1) == b"0"
