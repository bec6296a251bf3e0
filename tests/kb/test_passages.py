"""Passages: every character once, sentences whole, headings with what follows, tables with their header."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.passages import heading_path_at, split_passages
from kb.passages.headings import chinese_numeral

SENTENCE = st.text(alphabet="云岚市居民办理住房，补贴（）“”0123第条章", min_size=1, max_size=90).map(
    lambda body: body + "。"
)
SEPARATOR = st.sampled_from(["", "\n", " ", "　", "\r\n", "\n\n　　"])
HEADING = st.sampled_from(
    [
        "第一章 总则\n",
        "第三条 ",
        "第十二条　",
        "一、支持对象\n",
        "（二）",
        "1.",
        "附件1\n",
        "| 甲 | 乙 |\n| --- | --- |\n",
    ]
)
POLICY = st.lists(st.tuples(st.one_of(st.just(""), HEADING), SENTENCE, SEPARATOR).map("".join), max_size=40).map(
    "".join
)
ANY_TEXT = st.one_of(POLICY, st.text(max_size=2000))


def covered(text: str, size: int = 300) -> str:
    return "".join(span.body(text) for span in split_passages(text, size=size))


def squeeze(text: str) -> str:
    return "".join(text.split())


@given(ANY_TEXT, st.integers(1, 400))
def test_passages_cover_all_that_is_not_space_exactly_once(text: str, size: int) -> None:
    spans = split_passages(text, size=size)
    assert squeeze(covered(text, size)) == squeeze(text)
    assert [span.ordinal for span in spans] == list(range(len(spans)))
    assert all(span.start < span.end for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))


@given(POLICY)
def test_passages_never_cut_a_sentence_within_the_limit(text: str) -> None:
    for before, after in pairwise(split_passages(text)):
        between = text[before.end : after.start]
        ends_sentence = text[: before.end].rstrip('”’」』）)》】〉"')[-1:] in tuple("。！？；")
        assert ends_sentence or "\n" in between or "\r" in between or split_at_mark(text, after.start)


def split_at_mark(text: str, offset: int) -> bool:
    return text.startswith(("第", "（", "1.", "一、"), offset)


@given(ANY_TEXT, st.integers(20, 400))
def test_passages_stay_within_twice_the_size(text: str, size: int) -> None:
    assert all(span.end - span.start <= 2 * size for span in split_passages(text, size=size))


@given(ANY_TEXT)
def test_passages_are_the_same_each_time(text: str) -> None:
    assert split_passages(text) == split_passages(text)


@pytest.mark.parametrize("size", [0, -1])
def test_split_passages_refuses_a_size_that_is_not_positive(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        split_passages("云岚市。", size=size)


def test_heading_path_at_names_the_article_of_a_later_sentence() -> None:
    text = "第一章 总则\n第一条 为了便民。\n第二条 本市居民适用。\n另有规定的从其规定。\n（一）老人；\n（二）儿童。"
    assert heading_path_at(text, text.index("本市")) == ("第一章 总则", "第二条")
    assert heading_path_at(text, text.index("另有")) == ("第一章 总则", "第二条", "第二款")
    assert heading_path_at(text, text.index("儿童")) == ("第一章 总则", "第二条", "第二款", "（二）儿童")


LONG = "本市居民符合条件的，可以按照规定申请住房补贴，具体标准由市住房主管部门公布。"


def test_split_passages_keeps_an_article_whole_where_it_fits() -> None:
    articles = [f"第{number}条　" + LONG * 5 for number in "一二三四"]
    spans = split_passages("\n".join(articles))
    assert [span.heading_path for span in spans] == [("第一条",), ("第二条",), ("第三条",), ("第四条",)]


def test_split_passages_merges_small_articles() -> None:
    text = "\n".join(f"第{number}条　{LONG}" for number in "一二三四五六七八九十")
    sizes = [span.end - span.start for span in split_passages(text)]
    assert len(sizes) == 2
    assert min(sizes) > 150


def test_split_passages_keeps_a_heading_with_what_follows() -> None:
    text = LONG * 7 + "\n第二章 申请\n第五条　" + LONG * 4
    spans = split_passages(text)
    assert spans[-1].heading_path == ("第二章 申请", "第五条")
    assert spans[-1].body(text).startswith("第二章 申请\n第五条")


def test_split_passages_finds_articles_in_text_without_line_breaks() -> None:
    text = "云岚市住房办法 第一章 总 则 第一条 " + LONG * 5 + " 第二条 依照第一条 规定的，" + LONG * 5
    spans = split_passages(text)
    assert spans[-1].heading_path == ("第一章 总则", "第二条")
    assert "第二条 依照第一条 规定的，" in spans[-1].body(text)


def test_split_passages_finds_articles_whose_space_was_lost() -> None:
    text = "第一条为了便民，制定本办法。\n第二条本市居民适用本办法。\n第一条规定的除外。"
    assert heading_path_at(text, text.index("本市")) == ("第二条",)
    assert heading_path_at(text, text.index("规定的")) == ("第二条", "第二款")


def test_split_passages_repeats_a_table_header_on_later_passages() -> None:
    rows = "\n".join(f"| {number} 级 | {LONG} |" for number in range(20))
    text = f"补贴标准如下：\n| 等级 | 标准 |\n| --- | --- |\n{rows}\n附表完。"
    first, *others = split_passages(text)
    assert first.header == ""
    assert first.body(text).startswith("补贴标准如下：\n| 等级 | 标准 |")
    assert {span.header for span in others} == {"| 等级 | 标准 |\n| --- | --- |"}
    assert others[0].indexed_text(text).startswith("| 等级 | 标准 |\n| --- | --- |\n| ")
    assert all(span.body(text).endswith(("|", "附表完。")) for span in split_passages(text))


def test_split_passages_cuts_a_row_longer_than_the_limit_and_repeats_the_header() -> None:
    text = "| 甲 | 乙 |\n| --- | --- |\n| 一 | " + "补贴，" * 400 + " |"
    spans = split_passages(text)
    assert len(spans) > 2
    assert all(span.header for span in spans[1:])


def test_split_passages_knows_the_page_on_which_each_passage_begins() -> None:
    text = "\n".join([LONG * 6] * 3)
    starts = [0, len(LONG) * 6 + 1, 2 * (len(LONG) * 6 + 1)]
    assert [span.page for span in split_passages(text, page_starts=starts)] == [1, 2, 3]
    assert {span.page for span in split_passages(text)} == {None}


def test_split_passages_cuts_an_endless_sentence_at_a_comma() -> None:
    text = "居民可以申请补贴，" * 100
    assert all(span.body(text).endswith("，") for span in split_passages(text))


def test_split_passages_cuts_at_the_limit_where_there_is_no_mark() -> None:
    assert [span.end - span.start for span in split_passages("岚" * 1000)] == [600, 400]


@pytest.mark.parametrize("text", ["", "\n", " \u3000\r\n"])
def test_split_passages_of_nothing_is_nothing(text: str) -> None:
    assert split_passages(text) == []


def test_heading_path_follows_items_numbers_and_attachments() -> None:
    text = "一、支持对象\n（一）企业。符合条件的。\n1.小微企业。\n（1）认定。\n附件1\n申请表。"
    assert heading_path_at(text, text.index("认定")) == ("一、支持对象", "（一）企业", "1.小微企业", "（1）")
    assert heading_path_at(text, text.index("申请表")) == ("附件1",)
    assert heading_path_at("申请表。", 0) == ()


@pytest.mark.parametrize(
    ("number", "numeral"), [(1, "一"), (10, "十"), (11, "十一"), (20, "二十"), (99, "九十九"), (100, "100")]
)
def test_chinese_numeral(number: int, numeral: str) -> None:
    assert chinese_numeral(number) == numeral


def test_heading_path_does_not_count_table_rows_as_paragraphs() -> None:
    text = "第一条 标准如下：\n| 甲 | 乙 |\n| --- | --- |\n| 1 | 2 |\n另行规定。"
    assert heading_path_at(text, text.index("另行")) == ("第一条", "第二款")
