"""What an entry of each dictionary holds, and what is refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from openpyxl import load_workbook

from kb.dictionary_files import HEADER, list_entry_rows, read_entry_rows
from kb.dictionary_kinds import KINDS, EntryValues, build_rules, build_segmentation, clean_values
from kb.errors import KnowledgeError
from kb.models.dictionaries import EntryFields
from kb.parsing import ParseLimits
from kb.query_understanding import load_default_rules
from kb.query_understanding.rules import RuleError
from kb.segmentation import load_default_dictionary
from kb.services.builtin_dictionaries import read_builtin_entries
from kb.tables import read_table, write_table
from kb.web import send_table


def test_the_database_knows_the_same_kinds() -> None:
    assert list(KINDS) == list(EntryFields.Kind.values)


def test_the_rows_of_the_product_make_the_rules_of_the_files() -> None:
    entries = list(read_builtin_entries())

    assert build_rules(entries) == load_default_rules()
    assert build_segmentation(entries) == load_default_dictionary()
    assert all(clean_values(entry._asdict()) == entry for entry in entries)
    assert len({entry.key for entry in entries}) == len(entries)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "synonym", "text": "漏水", "other": ""}, "没有填写“另一种说法”"),
        ({"kind": "synonym", "text": "漏水", "other": "渗漏", "weight": "2"}, "权重不在 0 与 1 之间"),
        ({"kind": "synonym", "text": "漏水", "other": "渗漏", "weight": "高"}, "权重“高”不是数"),
        ({"kind": "synonym", "text": "漏水", "other": "渗漏", "both": "也许"}, "应写“是”或“否”"),
        ({"kind": "spoken", "text": "不给办", "other": "办理"}, "否定或数字不同"),
        ({"kind": "filler", "text": "三天", "label": "句首"}, "含有否定或数字"),
        ({"kind": "filler", "text": "嗯", "label": "哪里"}, "位置不是句首、任意处、句末、单独成句之一"),
        ({"kind": "place", "text": "青溪区", "label": ""}, "没有填写“级别”"),
        ({"kind": "term", "text": "，。"}, "里没有文字"),
        ({"kind": "term", "text": "一网通办", "frequency": "0"}, "词频“0”不是"),
        ({"kind": "term", "text": " "}, "“词”没有填写"),
        ({"kind": "term", "text": "长" * 101}, "超过 100 个字"),
        ({"kind": "sentence", "text": "漏水"}, "没有这种词典"),
    ],
)
def test_unusable_values_are_refused_with_a_reason(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        clean_values(values)


def test_values_are_cleaned_and_what_the_kind_has_no_use_for_is_dropped() -> None:
    entry = clean_values({"kind": "filler", "text": " 麻烦\u200b您 ", "label": "句首", "other": "x", "weight": "0.3"})

    assert entry == EntryValues("filler", "麻烦您", label="start")


def test_an_unusable_row_is_left_out_and_takes_no_other_down() -> None:
    rules = build_rules([EntryValues("spoken", "不给办", "办理"), EntryValues("spoken", "我家", "本户")], release=3)

    assert [row.text for row in rules.spoken] == ["我家"]
    assert rules.prepare().versions["release"] == "3"


@pytest.mark.parametrize("format_name", ["csv", "xlsx"])
def test_what_is_exported_is_read_again(format_name: str) -> None:
    entries = [
        EntryValues("synonym", "漏水", "渗漏", weight=0.9, both=True),
        EntryValues("place", "青溪区", "云岚市", "district"),
        EntryValues("term", "一网通办", label="政务", frequency=30),
        EntryValues("common_word", "=1+1"),
    ]
    data = write_table(format_name, HEADER, list_entry_rows(entries))
    rows = read_entry_rows(read_table(f"词典.{format_name}", data))

    assert [clean_values(values) for _, values in rows] == entries
    assert [line for line, _ in rows] == [2, 3, 4, 5]
    assert b",=1+1" not in data


def test_a_sheet_has_its_own_title() -> None:
    response = send_table("xlsx", "golden-questions", ("问题",), [("漏水怎么办",)])

    assert response["Content-Disposition"] == 'attachment; filename="golden-questions.xlsx"'
    assert load_workbook(BytesIO(response.content)).sheetnames == ["golden-questions"]


def test_a_table_in_the_headings_of_one_dictionary_is_read_in_gb18030() -> None:
    table = read_table("同义词.csv", "说法,另一种说法,权重\r\n漏水,渗漏,0.8\r\n,,\r\n".encode("gb18030"))

    assert read_entry_rows(table, kind="synonym") == [
        (2, {"kind": "synonym", "text": "漏水", "other": "渗漏", "weight": "0.8"})
    ]


@pytest.mark.parametrize(("text", "code"), [("甲,乙\n1,2\n", "no_header"), ("词,对应\n漏水,渗漏\n", "no_kind")])
def test_a_table_that_says_too_little_is_refused(text: str, code: str) -> None:
    with pytest.raises(KnowledgeError) as refused:
        read_entry_rows(read_table("词典.csv", text.encode()))

    assert refused.value.code == code


def test_a_file_that_is_no_table_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="请上传"):
        read_table("词典.html", b"<html><body>x</body></html>")
    with pytest.raises(KnowledgeError, match="超过 1 MB"):
        read_table("词典.csv", "词\n".encode() * 300_000, limits=ParseLimits(max_bytes=1024 * 1024))
    with pytest.raises(KnowledgeError, match="空文件"):
        read_table("词典.csv", b" ")
