"""Marked runs, the laid-out document, bars, status labels, citations."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotline.presentation import (
    MAX_WHOLE_TEXT,
    compose_answer,
    describe_dates,
    describe_status,
    drop_table_rules,
    excerpt_runs,
    is_heading,
    layout_document,
    locate_marks,
    make_bars,
    merge_spans,
    split_runs,
)
from kb.status import ValidityDates

DAY = date(2026, 11, 21)
SPANS = st.lists(st.tuples(st.integers(-5, 60), st.integers(-5, 60)))


@given(st.text(max_size=50), SPANS)
def test_runs_put_together_give_the_text_back(text: str, spans: list[tuple[int, int]]) -> None:
    runs = split_runs(text, spans)

    assert "".join(run.text for run in runs) == text
    assert all(run.text for run in runs)


@given(st.text(min_size=1, max_size=50), SPANS)
def test_exactly_what_lies_in_a_span_is_marked(text: str, spans: list[tuple[int, int]]) -> None:
    marked = [run.is_marked for run in split_runs(text, spans) for _ in run.text]

    assert marked == [any(start <= index < end for start, end in spans) for index in range(len(text))]


def test_touching_spans_become_one() -> None:
    assert merge_spans([(3, 5), (0, 3), (8, 99), (7, 7), (1,)], 10) == [(0, 5), (8, 10)]


@given(st.text(alphabet="第一条。，甲\n", max_size=400), SPANS)
def test_an_excerpt_is_part_of_the_text_and_keeps_marks_whole(text: str, spans: list[tuple[int, int]]) -> None:
    runs = excerpt_runs(text, spans, before=10, limit=30)
    shown = "".join(run.text for run in runs if run.text != "…")

    assert shown in text
    whole = {text[a:b] for a, b in merge_spans(spans, len(text))}
    assert all(
        run.text in whole or run.text.strip() in {item.strip() for item in whole} for run in runs if run.is_marked
    )


@given(
    breaks=st.dictionaries(st.integers(0, 79), st.sampled_from("。\n"), max_size=6),
    spans=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=5),
)
@example(breaks={}, spans=[(34, 5), (15, 3)])  # the first mark is near the beginning, the best just out of reach
@example(breaks={32: "。"}, spans=[(40, 5), (18, 20)])  # a sentence ends in the mark before the best
@example(breaks={39: "。", 40: "\n"}, spans=[(40, 5)])  # the best begins with white space
def test_an_excerpt_shows_the_best_mark_and_cuts_none(breaks: dict[int, str], spans: list[tuple[int, int]]) -> None:
    text = "".join(breaks.get(index, chr(ord("一") + index)) for index in range(80))
    marks = [(start, start + length) for start, length in spans]

    runs = [run for run in excerpt_runs(text, marks, before=10, limit=30) if run.text != "…"]
    shown = "".join(run.text for run in runs)
    start = text.index(shown)
    end = start + len(shown)

    assert start <= marks[0][0]
    assert marks[0][1] <= end
    for first, last in merge_spans(marks, len(text)):
        assert last <= start or first >= end or start <= first < last <= end
    is_marked = [run.is_marked for run in runs for _ in run.text]
    assert is_marked == [any(a <= index < b for a, b in marks) for index in range(start, end)]


def test_an_excerpt_begins_at_a_sentence_before_the_mark() -> None:
    text = "甲" * 100 + "。\n第九条 应当报修。" + "应当到场维修。" + "乙" * 300
    at = text.index("应当到场")

    runs = excerpt_runs(text, [(at, at + 7)])

    assert runs[0].text == "…"
    assert runs[1].text == "第九条 应当报修。"
    assert runs[2] == ("应当到场维修。", True)
    assert runs[-1].text == "…"


def test_an_excerpt_begins_near_the_best_mark_where_the_first_is_too_far() -> None:
    text = "甲甲甲。" * 60 + "每台补贴20万元。其他事项另行通知。"
    at = text.index("每台")
    best, other = [at, at + 9], [0, 4]

    shown = excerpt_runs(text, [best, other])
    assert [run.text for run in shown if run.is_marked] == ["每台补贴20万元。"]
    assert shown[0].text == "…"
    near = excerpt_runs(text, [[16, 20], other])
    assert [run.text for run in near if run.is_marked] == ["甲甲甲。", "甲甲甲。"]


def test_a_document_opens_at_its_passage_with_the_mark_in_it() -> None:
    text = "第一章 总则\n第一条 甲。\n\n第二条 乙丙丁。\n第三条 戊。"
    start = text.index("第二条")

    laid_out = layout_document(text, passage=(start, start + 8), spans=[(start + 4, start + 6)])

    assert [paragraph.is_in_passage for paragraph in laid_out.paragraphs] == [False, False, True, False]
    target = laid_out.paragraphs[2]
    assert target.is_target
    assert [run.text for run in target.runs if run.is_marked] == ["乙丙"]
    assert laid_out.paragraphs[0].is_heading
    assert (laid_out.cut_before, laid_out.cut_after) == (0, 0)


def test_a_mark_over_two_lines_is_marked_in_both() -> None:
    laid_out = layout_document("甲乙\n丙丁", passage=(0, 5), spans=[(1, 4)])

    assert [[run.text for run in paragraph.runs if run.is_marked] for paragraph in laid_out.paragraphs] == [
        ["乙"],
        ["丙"],
    ]
    assert [paragraph.is_target for paragraph in laid_out.paragraphs] == [True, False]


def test_of_a_very_long_text_the_surroundings_of_the_passage_are_shown() -> None:
    text = "甲乙丙丁。\n" * MAX_WHOLE_TEXT
    middle = len(text) // 2

    laid_out = layout_document(text, passage=(middle, middle + 5))

    shown = sum(len(run.text) for paragraph in laid_out.paragraphs for run in paragraph.runs)
    assert shown < MAX_WHOLE_TEXT
    assert laid_out.cut_before > 0
    assert laid_out.cut_after > 0
    assert any(paragraph.is_target for paragraph in laid_out.paragraphs)


def test_a_table_is_laid_out_in_cells_without_its_rule() -> None:
    text = "标准如下：\n| 类别 | 元 |\n| --- | --- |\n| 博士 | 3000 |"
    at = text.index("3000")

    laid_out = layout_document(text, passage=(0, len(text)), spans=[(at, at + 4)])

    rows = [["".join(run.text for run in cell).strip() for cell in row.cells] for row in laid_out.paragraphs]
    assert rows == [[], ["类别", "元"], ["博士", "3000"]]
    assert [run.text for run in laid_out.paragraphs[2].cells[1] if run.is_marked] == ["3000"]


def test_table_rules_are_dropped_from_passages() -> None:
    assert drop_table_rules("| 甲 | 乙 |\n| --- | :---: |\n| 1 | 2 |") == "| 甲 | 乙 |\n| 1 | 2 |"
    assert drop_table_rules("| 甲 | --- |") == "| 甲 | --- |"


@pytest.mark.parametrize("line", ["第一章 总则", "一、适用范围", "第二节 申请"])
def test_headings_are_known(line: str) -> None:
    assert is_heading(line)


@pytest.mark.parametrize("line", ["", "第一条 为规范服务，制定本条例。", "一、申请人应当提交材料。", "普通的一行"])
def test_other_lines_are_no_headings(line: str) -> None:
    assert not is_heading(line)


@pytest.mark.parametrize(
    ("dates", "tone", "text", "note"),
    [
        ({}, "ok", "现行有效", ""),
        ({"expires_on": date(2026, 12, 1)}, "doubt", "现行有效", "还有 10 天失效"),
        ({"expires_on": DAY}, "doubt", "现行有效", "今天是最后一天"),
        ({"expires_on": date(2028, 1, 1)}, "ok", "现行有效", ""),
        ({"starts_on": date(2027, 1, 1)}, "doubt", "尚未施行", ""),
        ({"is_published": False}, "plain", "草稿", ""),
        ({"repealed_on": date(2026, 1, 1)}, "danger", "已废止", ""),
        ({"superseded_on": date(2026, 1, 1)}, "danger", "已被新版取代", ""),
        ({"expires_on": date(2026, 1, 1)}, "danger", "已过有效期", ""),
    ],
)
def test_status_says_what_may_be_cited(dates: dict[str, date], tone: str, text: str, note: str) -> None:
    label = describe_status(ValidityDates(**{"is_published": True, **dates}), DAY)

    assert (label.tone, label.text, label.note) == (tone, text, note)


def test_a_withdrawn_version_may_not_be_cited() -> None:
    assert describe_status(ValidityDates(is_published=False), DAY, is_withdrawn=True).tone == "danger"


def test_dates_name_what_they_are() -> None:
    line = describe_dates(
        issued_on=date(2025, 1, 2),
        effective_on=date(2025, 3, 1),
        expires_on=date(2027, 2, 28),
        repealed_on=None,
        superseded_on=None,
    )

    assert line == "2025-03-01 施行 · 2027-02-28 失效"


def test_without_calibration_no_probability_is_shown() -> None:
    bars = make_bars(relevance=[0.97, 0.5], log_odds=[2.0, 1.0], first_stage=[1, 1], calibrated=False)

    assert [bar.label for bar in bars] == ["相对得分", "相对得分"]
    assert [(bar.width, bar.value) for bar in bars] == [(100, "100"), (37, "37")]
    assert all(bar.is_relative for bar in bars)


def test_with_calibration_the_bar_is_the_probability() -> None:
    bars = make_bars(relevance=[0.97, None], log_odds=[3.5, None], first_stage=[1, 1], calibrated=True)

    assert [(bar.width, bar.label, bar.value) for bar in bars] == [(97, "相关度", "0.97"), (0, "相关度", "—")]


def test_before_reranking_the_bar_is_the_first_stages() -> None:
    bars = make_bars(relevance=[None] * 3, log_odds=[None] * 3, first_stage=[0.2, 0.1, 0], calibrated=False)

    assert [(bar.width, bar.label) for bar in bars] == [
        (100, "初筛相对得分"),
        (50, "初筛相对得分"),
        (0, "初筛相对得分"),
    ]


def test_no_results_have_no_bars() -> None:
    assert make_bars(relevance=[], log_odds=[], first_stage=[], calibrated=True) == []


def test_extreme_scores_do_not_overflow() -> None:
    bars = make_bars(relevance=[1, 0], log_odds=[900.0, -900.0], first_stage=[1, 1], calibrated=False)

    assert [bar.width for bar in bars] == [100, 0]


def test_the_copied_answer_is_what_is_marked_with_its_source() -> None:
    text = "第九条 接到报修后，应当到场。应当维修。"

    answer = compose_answer(text=text, spans=[(4, 15)], citation="《条例》（一号）", location="第九条")

    assert answer == "接到报修后，应当到场。\n——《条例》（一号），第九条"


def test_without_a_mark_the_whole_passage_is_copied() -> None:
    assert compose_answer(text=" 全文。\n", spans=[], citation="《条例》", location="") == "全文。\n——《条例》"


def test_a_mark_under_a_later_article_is_cited_there() -> None:
    text = "第七条 甲。\n第三章 物业服务\n第九条 应当到场维修。"
    at = text.index("应当")

    assert locate_marks(text, ["第二章 业主", "第七条"], [(at, at + 7)]) == "第三章 物业服务 第九条"


def test_a_later_article_of_the_same_chapter_keeps_the_chapter() -> None:
    text = "第七条 甲。\n第八条 应当到场维修。"
    at = text.index("应当")

    assert locate_marks(text, ["第二章 业主", "第七条", "第二款"], [(at, at + 7)]) == "第二章 业主 第八条"


def test_a_paragraph_that_cannot_be_told_is_not_cited() -> None:
    text = "甲甲甲。\n应当到场维修。"

    assert locate_marks(text, ["第七条", "第二款"], [(0, 4)]) == "第七条 第二款"
    assert locate_marks(text, ["第七条", "第二款"], [(5, 12)]) == "第七条"


def test_marks_under_two_articles_are_cited_with_both() -> None:
    text = "第八条 报修。\n第九条 应当到场。"

    assert locate_marks(text, ["第三章 服务", "第八条"], [(0, 7), (8, 15)]) == "第三章 服务 第八条、第九条"


def test_without_a_mark_the_passages_own_place_is_cited() -> None:
    assert locate_marks("正文。", ["第三章 服务", "第八条"], []) == "第三章 服务 第八条"
    assert locate_marks("正文。", [], [(0, 2)]) == ""
