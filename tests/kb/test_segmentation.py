"""Tokens: the same for index and query, for as long as the dictionary is the same."""

import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.segmentation import (
    DictionaryError,
    SegmentationDictionary,
    Segmenter,
    Term,
    compact,
    get_segmenter,
    load_default_dictionary,
    normalize,
)

MIXED = st.text(alphabet="云岚市一老小补贴怎么办ＡbC１2．.〔〕，。 \n\t1%，𠮷", max_size=60)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return get_segmenter(SegmentationDictionary.build(["一老一小", "免申即享"], ["请问", "怎么", "怎么办", "吗"]))


def test_bigrams_overlap_inside_runs_and_stop_at_punctuation(segmenter: Segmenter) -> None:
    assert segmenter.analyze("加装电梯，补贴").bigrams == ("加装", "装电", "电梯", "补贴")


def test_skip_bigrams_leave_one_unit_out(segmenter: Segmenter) -> None:
    assert segmenter.analyze("加装电梯，补贴").skip_bigrams == ("加电", "装梯")


def test_latin_words_and_numbers_are_one_unit(segmenter: Segmenter) -> None:
    analysis = segmenter.analyze("用APP领3.5万元")
    assert analysis.unigrams == ("用", "app", "领", "3.5", "万", "元")
    assert "3.5万" in analysis.bigrams


def test_a_single_unit_is_its_own_bigram(segmenter: Segmenter) -> None:
    assert segmenter.analyze("水、电、ETC").bigrams == ("水", "电", "etc")


def test_full_width_and_upper_case_make_no_difference(segmenter: Segmenter) -> None:
    assert segmenter.analyze("ＥＴＣ办理１２３４５") == segmenter.analyze("etc办理12345")


def test_words_hold_a_domain_term_whole_and_its_parts(segmenter: Segmenter) -> None:
    assert "一老一小" in segmenter.cut_words("关于一老一小服务的通知")
    words = segmenter.cut_words("既有住宅加装电梯管理办法")
    assert {"住宅", "电梯"} <= set(words)


def test_terms_belong_to_one_dictionary_alone() -> None:
    with_term = get_segmenter(SegmentationDictionary.build(["岚卡通惠"]))
    without = get_segmenter(SegmentationDictionary.build(["别的词语"]))
    assert "岚卡通惠" in with_term.cut_words("领取岚卡通惠补贴")
    assert "岚卡通惠" not in without.cut_words("领取岚卡通惠补贴")


def test_given_frequency_is_used() -> None:
    rare = get_segmenter(SegmentationDictionary.build([Term("和尚", 1)]))
    frequent = get_segmenter(SegmentationDictionary.build([Term("和尚", 10_000_000)]))
    assert rare.cut_words("结婚的和尚未结婚的")[2:4] == ("和", "尚未")
    assert frequent.cut_words("结婚的和尚未结婚的")[2:4] == ("和尚", "未")


def test_query_is_stripped_of_the_longest_question_words(segmenter: Segmenter) -> None:
    analysis = segmenter.analyze_query("请问电梯坏了怎么办")
    assert analysis.stripped.bigrams == ("电梯", "梯坏", "坏了")
    assert analysis.full.bigrams == segmenter.analyze("请问电梯坏了怎么办").bigrams


def test_question_words_do_not_join_what_stands_around_them(segmenter: Segmenter) -> None:
    assert segmenter.analyze_query("电梯怎么修").stripped.bigrams == ("电梯", "修")


def test_single_character_is_a_question_word_only_where_it_stands_alone() -> None:
    segmenter = get_segmenter(SegmentationDictionary.build([], ["请", "会", "吗"]))
    assert "申请" in segmenter.analyze_query("请申请社会救助吗").stripped.bigrams
    assert "社会" in segmenter.analyze_query("请申请社会救助吗").stripped.bigrams
    assert "吗" not in segmenter.strip_question_words("请申请社会救助吗")


def test_query_of_question_words_alone_keeps_them(segmenter: Segmenter) -> None:
    analysis = segmenter.analyze_query("请问怎么办吗")
    assert analysis.stripped == analysis.full
    assert analysis.stripped.bigrams


@pytest.mark.parametrize("text", ["", "   ", "，。！？", "\n\t", "😀"])
def test_text_without_units_gives_no_tokens(segmenter: Segmenter, text: str) -> None:
    analysis = segmenter.analyze_query(text)
    assert analysis.full.bigrams == analysis.stripped.words == analysis.full.unigrams == ()


@given(MIXED)
def test_tokens_hold_no_space_and_nothing_that_is_not_in_the_text(text: str) -> None:
    analysis = get_segmenter(SegmentationDictionary.build(["一老一小"])).analyze(text)
    plain = compact(text)
    for token in (*analysis.bigrams, *analysis.words, *analysis.unigrams):
        assert token
        assert token == "".join(token.split()).lower()
        assert token in plain


@given(MIXED)
def test_unigrams_and_normalization_are_stable(text: str) -> None:
    segmenter = get_segmenter(SegmentationDictionary.build(["一老一小"]))
    assert "".join(segmenter.analyze(text).unigrams) == compact(text)
    assert segmenter.analyze(normalize(text)) == segmenter.analyze(text)


def test_long_latin_text_is_cut_to_tokens_that_every_engine_takes(segmenter: Segmenter) -> None:
    tokens = segmenter.analyze("x" * 1000).unigrams
    assert "".join(tokens) == "x" * 1000
    assert max(map(len, tokens)) <= 64


def test_dictionary_survives_its_text_form() -> None:
    dictionary = SegmentationDictionary.build(["一老一小", Term("跨省通办", 20)], ["请问"])
    again = SegmentationDictionary.from_text(dictionary.to_text())
    assert again == dictionary
    assert (again.terms, again.question_words) == (dictionary.terms, dictionary.question_words)


def test_dictionary_of_the_same_content_has_the_same_sha256_in_any_order() -> None:
    one = SegmentationDictionary.build(["一老一小", "跨省通办", "　跨省通办 "], ["吗", "请问"])
    other = SegmentationDictionary.build(["跨省通办", "一老一小"], ["请问", "吗"])
    assert one.sha256 == other.sha256
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "changed",
    [
        SegmentationDictionary.build(["一老一小", "免申即享"], ["请问"]),
        SegmentationDictionary.build([Term("一老一小", 7)], ["请问"]),
        SegmentationDictionary.build(["一老一小"], ["请问", "吗"]),
    ],
)
def test_any_change_of_a_dictionary_changes_its_sha256(changed: SegmentationDictionary) -> None:
    assert changed.sha256 != SegmentationDictionary.build(["一老一小"], ["请问"]).sha256


@pytest.mark.parametrize("text", ["一老一小\n[terms]\n", "[terms]\n一老一小\t很多\n[question_words]\n"])
def test_unreadable_dictionary_is_refused(text: str) -> None:
    with pytest.raises(DictionaryError):
        SegmentationDictionary.from_text(text)


def test_terms_without_a_word_are_dropped() -> None:
    assert SegmentationDictionary.build(["", "  ", "——"], ["？"]) == SegmentationDictionary()


def test_default_dictionary_is_whole_and_keeps_its_terms() -> None:
    dictionary = load_default_dictionary()
    assert len(dictionary.terms) >= 200
    assert {"怎么办", "请问"} <= set(dictionary.question_words)
    segmenter = get_segmenter(dictionary)
    lost = [term.text for term in dictionary.terms if term.text not in segmenter.cut_words(term.text)]
    assert lost == []


def test_segmenter_is_made_once_for_equal_dictionaries() -> None:
    dictionary = SegmentationDictionary.build(["只做一次"])
    assert get_segmenter(dictionary) is get_segmenter(SegmentationDictionary.build(["只做一次"]))


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hurried_threads")
def test_threads_cut_alike(segmenter: Segmenter) -> None:
    texts = [f"关于一老一小服务第{number}条免申即享补贴的通知" for number in range(50)]
    expected = [segmenter.analyze(text) for text in texts]
    start = threading.Barrier(4)

    def cut(seed: int) -> bool:
        order = random.Random(seed).sample(range(50), 50)
        start.wait()
        return all(segmenter.analyze(texts[number]) == expected[number] for number in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(cut, range(4)))
