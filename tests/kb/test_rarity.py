"""How rare bigrams are in the corpus that is searched."""

from __future__ import annotations

from pathlib import Path

from kb.query_understanding import Rules, understand
from kb.rarity import make_rarity
from kb.search.embedded import EmbeddedEngine
from kb.segmentation import load_default_dictionary
from tests.kb.search.samples import SAMPLE, make_version


def make_engine(folder: Path) -> EmbeddedEngine:
    engine = EmbeddedEngine(folder)
    engine.create_index("first", load_default_dictionary())
    common = [make_version(100 + number, "花坛里开了花，老人早上散步。") for number in range(40)]
    engine.add("first", [*SAMPLE, *common])
    engine.swap_alias("first")
    return engine


def test_what_few_passages_hold_weighs_more_and_what_none_holds_nothing(tmp_path: Path) -> None:
    weights = make_rarity(make_engine(tmp_path))(["电梯", "散步", "魑魅"])
    assert weights["电梯"] > weights["散步"] > weights["魑魅"] == 0.0


def test_without_an_index_nothing_is_known(tmp_path: Path) -> None:
    assert make_rarity(EmbeddedEngine(tmp_path))(["电梯"]) == {}


def test_corpus_decides_which_sentence_is_the_matter(tmp_path: Path) -> None:
    """Equal weights leave the first sentence the heaviest; in this corpus it says what every passage says."""
    idle, matter = "花坛里开了花，老人早上散步。", "既有住宅加装电梯的费用补贴。"
    text = (
        idle
        + matter
        + "孩子们放学后在空地玩耍。邻居相处得也很好。这条路晚上没有灯光照明。大家每天从这里经过上班。天气一直都很好。"
    )
    weighed = understand(text, Rules(), rarity=make_rarity(make_engine(tmp_path))).question_sentences
    assert max(weighed, key=lambda sentence: sentence.weight).text == matter
    alike = understand(text, Rules()).question_sentences
    assert max(alike, key=lambda sentence: sentence.weight).text == idle
