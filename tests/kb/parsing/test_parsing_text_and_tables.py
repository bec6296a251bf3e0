"""TXT, Markdown, CSV, TSV, XLSX, XLS and JSONL, made here in the spellings in which they come."""

from __future__ import annotations

import io
import json
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.parsing import ParsedFile, ParseRefused, parse_file
from kb.parsing.decoding import decode_text
from kb.parsing.markdown_tables import render_table
from kb.parsing.rows import cell_text, find_columns, read_rows
from tests.kb.parsing.made_files import make_xls, make_xlsx

LINES = [
    "云岚市租房补贴办法",
    "云府规〔2025〕8号",
    "第一条　符合条件的居民可以申请补贴。",
    "第二条　本办法自2025年5月1日起施行。",
]
TEXT = "\n".join(LINES)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gb2312", "utf-16"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_text_is_read_in_any_encoding(encoding: str, line_break: str) -> None:
    data = line_break.join([*LINES[:2], "", *LINES[2:]]).encode(encoding)
    parsed = parse_file("租房.txt", data)
    assert parsed.format == "txt"
    assert parsed.documents[0].text == TEXT
    assert parsed.documents[0].title == "云岚市租房补贴办法"


def test_text_in_traditional_encoding_is_guessed() -> None:
    assert decode_text(
        "臺灣居民居住證申領辦法，自發布之日起施行。".encode("utf-16-le"), declared="utf-16-le"
    ).startswith("臺灣")


def test_text_of_no_encoding_is_refused() -> None:
    with pytest.raises(ParseRefused) as refusal:
        decode_text(bytes([0xFF, 0x00, 0xFE, 0x01, 0x81, 0x02, 0xFF]) * 30)
    assert refusal.value.code == "unknown_encoding"


def test_text_with_a_wrong_declaration_is_read_all_the_same() -> None:
    assert decode_text(TEXT.encode("gb18030"), declared="no-such-encoding") == TEXT
    assert decode_text(TEXT.encode(), declared="gb2312") == TEXT


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_text_with_a_damaged_byte_is_read(encoding: str) -> None:
    data = bytearray((TEXT * 50).encode(encoding))
    data[1000] = 0xFF
    text = decode_text(bytes(data))
    assert text.endswith("自2025年5月1日起施行。")
    assert 1 <= text.count("\ufffd") <= 3


def test_text_loses_indents_and_unseen_characters_only() -> None:
    data = "\ufeff　　云岚市\u200b租房补贴办法  \n\n\n　　第一条　居民可以申请\u00a0补贴。\n".encode()
    assert parse_file("a.txt", data).documents[0].text == "云岚市租房补贴办法\n第一条　居民可以申请 补贴。"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=300))
def test_no_letter_of_a_text_is_lost(text: str) -> None:
    letters = [char for char in text if char.isalnum()]
    if letters and "<" not in text:
        parsed = parse_file("a.txt", text.encode(errors="ignore"))
        assert [char for char in parsed.documents[0].text if char.isalnum()] == letters


MARKDOWN = """---
title: 云岚市养犬管理条例
发文字号: 云岚市人民代表大会常务委员会公告第5号
effective_on: 2022-12-01
---
# 云岚市养犬管理条例

<!-- 内部说明 -->
## 第一章 总则

**第一条** 为规范养犬，制定[本条例](https://example.org)。

> 引用

| 犬只 | 费用 |
| --- | --- |
| 小型 | 100 |
"""


def test_markdown_gives_up_its_marks_and_keeps_its_tables() -> None:
    parsed = parse_file("a.md", MARKDOWN.encode())
    document = parsed.documents[0]
    assert (parsed.format, document.title) == ("markdown", "云岚市养犬管理条例")
    assert document.text.split("\n") == [
        "云岚市养犬管理条例",
        "第一章 总则",
        "第一条 为规范养犬，制定本条例。",
        "引用",
        "| 犬只 | 费用 |",
        "| --- | --- |",
        "| 小型 | 100 |",
    ]
    assert document.metadata.document_number == "云岚市人民代表大会常务委员会公告第5号"
    assert document.metadata.effective_on == date(2022, 12, 1)


HEADER = ["编号", "标题", "发文字号", "发布机构", "施行日期", "正文", "咨询电话", "备注"]
ROWS = [
    [
        "P1",
        "租房补贴办法",
        "云府规[2025] 8 号",
        "云岚市人民政府",
        "2025-05-01",
        "第一条 甲。\n第二条 乙。",
        "12345",
        "内部",
    ],
    ["P2", "购房补贴办法", "", "", "2025年6月1日", '丙，"丁"。', "", ""],
]


def csv_text(delimiter: str) -> str:
    def quote(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in f'"\n{delimiter}') else cell

    return "\r\n".join(delimiter.join(map(quote, row)) for row in [HEADER, *ROWS])


def check_rows(parsed: ParsedFile) -> None:
    first, second = parsed.documents
    assert (first.external_id, first.title, first.source_row) == ("P1", "租房补贴办法", 2)
    assert first.text == "第一条 甲。\n第二条 乙。\n咨询电话：12345"
    assert first.metadata.document_number == "云府规〔2025〕8号"
    assert first.metadata.issuer == "云岚市人民政府"
    assert (first.metadata.level, first.metadata.region) == ("city", "云岚市")
    assert first.metadata.effective_on == date(2025, 5, 1)
    assert (second.external_id, second.source_row, second.text) == ("P2", 3, '丙，"丁"。')
    assert second.metadata.effective_on == date(2025, 6, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";"), ("a.csv", "\t")])
def test_delimited_rows_are_policies(name: str, delimiter: str, encoding: str) -> None:
    parsed = parse_file(name, csv_text(delimiter).encode(encoding))
    assert parsed.format == name[2:]
    check_rows(parsed)


def test_csv_without_known_columns_is_one_policy_with_a_table() -> None:
    parsed = parse_file("补贴标准.csv", "对象,金额\n老人,100\n儿童,50\n".encode())
    assert [document.title for document in parsed.documents] == ["补贴标准"]
    assert parsed.documents[0].text == "| 对象 | 金额 |\n| --- | --- |\n| 老人 | 100 |\n| 儿童 | 50 |"


def test_csv_rows_without_text_are_left_out_and_named() -> None:
    parsed = parse_file("a.csv", "标题,正文\n甲办法,乙。\n丙办法,\n".encode())
    assert [document.title for document in parsed.documents] == ["甲办法"]
    assert parsed.warnings == ("第 3 行没有正文，未采用。",)


def test_csv_names_a_date_that_is_none() -> None:
    parsed = parse_file("a.csv", "标题,正文,失效日期\n甲办法,乙。,长期\n".encode())
    assert parsed.documents[0].metadata.expires_on is None
    assert parsed.documents[0].warnings == ("失效日期“长期”无法识别，请核对。",)


def test_xlsx_rows_are_policies_in_every_sheet() -> None:
    rows = [HEADER, *ROWS]
    check_rows(parse_file("a.xlsx", make_xlsx({"政策": rows, "空": []})))
    parsed = parse_file("a.xlsx", make_xlsx({"一": [["政策汇编"], [], *rows], "二": rows}))
    assert [document.source_row for document in parsed.documents] == [4, 5, 2, 3]


def test_xlsx_cells_are_read_as_they_are_shown() -> None:
    rows = [["title", "content", "date", "id"], ["甲办法", "乙。", datetime(2025, 3, 1, 9, 30), 12.0]]  # noqa: DTZ001 - cells have no zone
    document = parse_file("a.xlsx", make_xlsx({"a": rows})).documents[0]
    assert document.external_id == "12"
    assert document.metadata.issued_on == date(2025, 3, 1)


def test_xlsx_keeps_the_last_value_of_a_formula() -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["标题", "正文"])
    book.worksheets[0].append(["甲办法", '="乙"&"。"'])
    buffer = io.BytesIO()
    book.save(buffer)
    with pytest.raises(ParseRefused) as refusal:  # never calculated: there is no value to read
        parse_file("a.xlsx", buffer.getvalue())
    assert refusal.value.code == "empty"


def test_xls_rows_are_policies() -> None:
    parsed = parse_file("a.xls", make_xls([HEADER, *ROWS]))
    assert parsed.format == "xls"
    check_rows(parsed)


def test_xls_numbers_and_days_are_read_as_they_are_shown() -> None:
    rows = [["标题", "正文", "成文日期", "编号"], ["甲办法", "乙。", date(2025, 3, 1), 12]]
    document = parse_file("a.xls", make_xls(rows)).documents[0]
    assert (document.external_id, document.metadata.issued_on) == ("12", date(2025, 3, 1))


def test_jsonl_lines_are_policies() -> None:
    records = [
        {
            "id": "d1",
            "title": "甲办法",
            "content": "第一条\r\n乙。",
            "doc_no": "云府〔2025〕1号",
            "level": "市级",
            "x": [1],
        },
        {"编号": 7, "标题": "丙办法", "正文": "丁。", "成文日期": "2025-01-02"},
    ]
    data = "\n\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode("utf-8-sig")
    first, second = parse_file("a.jsonl", data).documents
    assert (first.external_id, first.title, first.text, first.source_row) == ("d1", "甲办法", "第一条\n乙。", 1)
    assert (first.metadata.document_number, first.metadata.level) == ("云府〔2025〕1号", "city")
    assert (second.external_id, second.source_row, second.metadata.issued_on) == ("7", 3, date(2025, 1, 2))


def test_find_columns_is_not_misled_by_a_sentence_that_holds_a_column_name() -> None:
    assert find_columns([["内容", None], ["甲", "乙"]]) is None
    assert find_columns([["对象", "金额"], ["老人", 1]]) is None
    columns = find_columns([["说明"], ["标 题", "Content（正文）", "办理地点"]])
    assert columns is not None
    assert (columns.header_row, columns.fields, columns.shown) == (1, {"title": 0, "content": 1}, {"办理地点": 2})


def test_read_rows_finds_titles_in_texts_where_no_column_has_them() -> None:
    rows = [["正文", "类别"], ["云岚市租房补贴办法\n第一条 甲。", "住房"], ["请拨打电话。", "其他"]]
    drafts, warnings = read_rows(rows, name="汇编")
    assert [draft.title for draft in drafts] == ["云岚市租房补贴办法", "汇编（第 3 行）"]
    assert warnings == []


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(None, ""), (3.0, "3"), (3.5, "3.5"), (datetime(2025, 1, 2), "2025-01-02"), ("a\r\n b", "a\nb"), (True, "True")],  # noqa: DTZ001
)
def test_cell_text(cell: object, shown: str) -> None:
    assert cell_text(cell) == shown


def test_render_table_drops_what_is_empty_and_escapes_what_parts_cells() -> None:
    assert render_table([["a|b", "", " c\nd "], ["", "", ""], ["1"]]) == "| a｜b | c d |\n| --- | --- |\n| 1 |  |"
    assert render_table([]) == render_table([["", " "]]) == ""
