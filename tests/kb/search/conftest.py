"""Both engines, each with room of its own that is cleaned up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb.search.embedded import EmbeddedEngine
from kb.search.types import SearchEngine
from kb.segmentation import SegmentationDictionary
from tests.kb.search.samples import SAMPLE, EngineMaker, make_elastic_engines

ENGINES = ["embedded", pytest.param("elasticsearch", marks=pytest.mark.service)]


@pytest.fixture
def dictionary() -> SegmentationDictionary:
    return SegmentationDictionary.build(["一老一小", "加装电梯"], ["怎么办", "吗"])


@pytest.fixture(params=ENGINES)
def make_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineMaker]:
    """Makes engines on the same indexes, as different processes would have them."""
    if request.param == "embedded":
        yield lambda: EmbeddedEngine(tmp_path / "index")
        return
    yield from make_elastic_engines(request.getfixturevalue("elasticsearch_url"))


@pytest.fixture
def engine(make_engine: EngineMaker) -> SearchEngine:
    return make_engine()


@pytest.fixture
def filled(engine: SearchEngine, dictionary: SegmentationDictionary) -> SearchEngine:
    """An engine whose live index `first` holds the sample versions."""
    engine.create_index("first", dictionary)
    engine.add("first", SAMPLE)
    engine.swap_alias("first")
    return engine
