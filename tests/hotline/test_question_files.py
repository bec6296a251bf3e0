"""Files of questions, as people have them."""

from __future__ import annotations

from io import BytesIO

import pytest
from openpyxl import Workbook

from hotline.question_files import AskedRow, QuestionFileError, read_questions, split_answers

LINES = [f"第{number}个问题，怎么办？" for number in range(1, 61)]


def make_workbook(rows: list[list[object]]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]
    data = BytesIO()
    book.save(data)
    return data.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_holds_a_question_a_line(encoding: str) -> None:
    rows = read_questions("问题.txt", "\n\n".join(LINES).encode(encoding))

    assert rows == [AskedRow(line) for line in LINES]  # the commas inside stay


def test_right_policies_follow_a_tab() -> None:
    rows = read_questions("问题.txt", "\n".join([*LINES, "漏水找谁\t《物业管理条例》；12"]).encode())

    assert rows[-1] == AskedRow("漏水找谁", ("物业管理条例", "12"))


@pytest.mark.parametrize(
    ("header", "answers"),
    [
        ("question,doc_ids", ("p1", "p2")),
        ("序号,市民问题,发文字号,备注", ("云府办规〔2025〕8号",)),
        ("标题,问题", ("物业管理条例",)),
    ],
)
def test_columns_are_known_by_their_names(header: str, answers: tuple[str, ...]) -> None:
    cells = {"question": "问", "市民问题": "问", "问题": "问", "doc_ids": "p1|p2", "序号": "1", "备注": "x"}
    cells |= {"发文字号": "云府办规〔2025〕8号", "标题": "《物业管理条例》"}
    row = ",".join(cells[name] for name in header.split(","))
    rows = read_questions("问题.csv", "\n".join([header, *[row] * 50]).encode("gb18030"))

    assert rows == [AskedRow("问", answers, note="x" if "备注" in header else "")] * 50


def test_line_of_business_is_read_by_name_or_code() -> None:
    data = "问题,正确政策,业务类型,备注\n甲,1,投诉举报,急\n乙,2,complaint,\n丙,3,别的,\n".encode()
    rows = read_questions("a.csv", data, fewest=1)

    assert [(row.category, row.note) for row in rows] == [("complaint", "急"), ("complaint", ""), ("", "")]


def test_table_without_header_begins_with_questions() -> None:
    rows = read_questions("问题.csv", "\n".join(f"问{number},p{number}" for number in range(50)).encode())

    assert rows[0] == AskedRow("问0", ("p0",))
    assert len(rows) == 50


def test_workbook_is_read_and_blank_rows_are_left_out() -> None:
    data = make_workbook([["问题", "编号"], *[["问", 12], [None, None]] * 50])

    assert read_questions("问题.xlsx", data) == [AskedRow("问", ("12",))] * 50


def test_fewer_or_more_than_allowed_are_refused() -> None:
    with pytest.raises(QuestionFileError, match="有 49 个问题"):
        read_questions("问题.txt", "\n".join(LINES[:49]).encode())
    with pytest.raises(QuestionFileError, match="有 10001 个问题"):
        read_questions("问题.txt", "\n".join(["问"] * 10_001).encode())


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("问题.csv", b" ", "空文件"),
        ("问题.xlsx", b"PK\x03\x04 broken", "损坏|不支持"),
        ("问题.pdf", b"%PDF-1.7", "CSV"),
        ("问题.txt", bytes(range(16)) * 64, "不是文字"),
        ("问题.txt", "\n".join([*LINES, "问" * 5001]).encode(), "第 61 个问题超过 5000 字"),
    ],
)
def test_unusable_file_is_refused_in_chinese(name: str, data: bytes, said: str) -> None:
    with pytest.raises(QuestionFileError, match=said):
        read_questions(name, data)


def test_characters_that_cannot_be_stored_are_dropped() -> None:
    data = "\n".join([*LINES, "楼上\0漏水\t云府办规\0[2025]8号"]).encode()

    last = read_questions("问题.txt", data)[-1]
    assert (last.question, last.answers) == ("楼上漏水", ("云府办规[2025]8号",))


def test_answers_are_parted_once_each() -> None:
    assert split_answers(" 《甲》；乙|乙\n丙 ") == ("甲", "乙", "丙")
