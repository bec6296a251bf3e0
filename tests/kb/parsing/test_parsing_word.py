"""DOCX made by python-docx, and DOC, WPS and RTF through LibreOffice where it is installed."""

from __future__ import annotations

import io
import os
import shutil
import stat
from pathlib import Path

import docx
import pytest
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from kb.parsing import ParseLimits, ParseRefused, parse_file
from kb.parsing.word import read_body
from kb.parsing.word_numbering import chinese_numeral, format_number
from tests.kb.parsing.made_files import SAMPLE_DOC

needs_libreoffice = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")


def parse_document(document: Document) -> list[str]:
    buffer = io.BytesIO()
    document.save(buffer)
    return parse_file("a.docx", buffer.getvalue()).documents[0].text.split("\n")


def append_xml(document: Document, xml: str) -> None:
    document.element.body.insert(-1, parse_xml(xml.replace("<w:p>", f"<w:p {nsdecls('w')}>", 1)))


def test_docx_keeps_the_order_of_paragraphs_and_tables() -> None:
    document = docx.Document()
    document.add_paragraph("第一条　标准如下：")
    table = document.add_table(rows=3, cols=3)
    for row, cells in enumerate([["对象", "金额", ""], ["老人", "100", "200"], ["", "50", "60|甲\n乙"]]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    document.add_paragraph("第二条　自发布之日起施行。")
    assert parse_document(document) == [
        "第一条　标准如下：",
        "| 对象 | 金额 |  |",
        "| --- | --- | --- |",
        "| 老人 | 100 | 200 |",
        "| 老人 | 50 | 60｜甲 乙 |",
        "第二条　自发布之日起施行。",
    ]


def test_docx_table_of_one_column_is_a_frame_around_text() -> None:
    document = docx.Document()
    document.add_table(rows=2, cols=1).cell(0, 0).text = "甲。\n乙。"
    assert parse_document(document) == ["甲。", "乙。"]


def test_docx_table_inside_a_cell_is_read_once() -> None:
    document = docx.Document()
    outer = document.add_table(rows=1, cols=2)
    outer.cell(0, 0).text = "甲"
    outer.cell(0, 1).add_table(rows=1, cols=2).cell(0, 0).text = "乙"
    assert parse_document(document) == ["| 甲 | ｜ 乙 ｜ |"]


def test_docx_reads_insertions_and_links_but_not_what_was_deleted() -> None:
    document = docx.Document()
    append_xml(
        document,
        "<w:p><w:r><w:t>申请</w:t></w:r><w:ins w:id='1'><w:r><w:t>租房</w:t></w:r></w:ins>"
        "<w:del w:id='2'><w:r><w:delText>购房</w:delText></w:r></w:del>"
        "<w:hyperlink><w:r><w:t>补贴</w:t></w:r></w:hyperlink>"
        "<w:r><w:tab/><w:t>12</w:t><w:noBreakHyphen/><w:t>345</w:t><w:br/><w:t>另起。</w:t></w:r></w:p>",
    )
    assert parse_document(document) == ["申请租房补贴 12-345", "另起。"]


def test_docx_reads_content_controls_in_their_place() -> None:
    document = docx.Document()
    document.add_paragraph("甲。")
    control = f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>乙。</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    document.element.body.insert(-1, parse_xml(control))
    document.add_paragraph("丙。")
    assert parse_document(document) == ["甲。", "乙。", "丙。"]


def test_docx_style_title_is_the_title() -> None:
    document = docx.Document()
    document.add_paragraph("云府〔2025〕1号")
    document.add_paragraph("居民看这里", style="Title")
    buffer = io.BytesIO()
    document.save(buffer)
    assert parse_file("a.docx", buffer.getvalue()).documents[0].title == "居民看这里"


LEVELS = (
    ("chineseCounting", "第%1条", 1),
    ("japaneseCounting", "（%2）", 1),
    ("decimal", "%2.%3", 4),
    ("bullet", "·", 1),
)


def numbered_document(*paragraphs: tuple[int, str]) -> Document:
    """Paragraphs (level, text) under one numbering; level -1 for none."""
    document = docx.Document()
    numbering = document.part.numbering_part.element
    levels = "".join(
        f'<w:lvl w:ilvl="{index}"><w:start w:val="{start}"/><w:numFmt w:val="{name}"/>'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for index, (name, text, start) in enumerate(LEVELS)
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="99">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="99"><w:abstractNumId w:val="99"/></w:num>'))
    for level, text in paragraphs:
        properties = document.add_paragraph(text)._p.get_or_add_pPr()
        if level >= 0:
            reference = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="99"/></w:numPr>'
            properties.append(parse_xml(reference))
    return document


def test_docx_numbers_that_word_makes_are_written_out() -> None:
    document = numbered_document(
        (0, "甲。"),
        (1, "乙；"),
        (1, "丙。"),
        (2, "丁。"),
        (2, "戊。"),
        (-1, "己。"),
        (0, "庚。"),
        (1, "辛。"),
        (3, "壬。"),
    )
    assert parse_document(document) == [
        "第一条 甲。",
        "（一）乙；",
        "（二）丙。",
        "二.4 丁。",
        "二.5 戊。",
        "己。",
        "第二条 庚。",
        "（一）辛。",
        "壬。",
    ]


def test_docx_numbering_of_a_style_counts_too() -> None:
    document = numbered_document((0, "甲。"))
    style = document.styles["Heading 1"].element.get_or_add_pPr()
    style.append(parse_xml(f'<w:numPr {nsdecls("w")}><w:numId w:val="99"/></w:numPr>'))
    document.add_paragraph("乙。", style="Heading 1")
    assert read_body(document).split("\n") == ["第一条 甲。", "第二条 乙。"]


@pytest.mark.parametrize(
    ("number", "numeral"),
    [
        (1, "一"),
        (10, "十"),
        (15, "十五"),
        (20, "二十"),
        (103, "一百零三"),
        (110, "一百一十"),
        (1005, "一千零五"),
        (0, "0"),
    ],
)
def test_chinese_numeral(number: int, numeral: str) -> None:
    assert chinese_numeral(number) == numeral


@pytest.mark.parametrize(
    ("number", "name", "shown"),
    [(2, "upperLetter", "B"), (27, "lowerLetter", "27"), (3, "decimalEnclosedCircle", "③"), (4, "decimal", "4")],
)
def test_format_number(number: int, name: str, shown: str) -> None:
    assert format_number(number, name) == shown


@needs_libreoffice
@pytest.mark.parametrize(("name", "expected"), [("a.doc", "doc"), ("a.wps", "wps")])
def test_doc_is_read_through_libreoffice(name: str, expected: str) -> None:
    parsed = parse_file(name, SAMPLE_DOC.read_bytes())
    document = parsed.documents[0]
    assert parsed.format == expected
    assert document.title == "云岚市灵活就业人员社会保险补贴办法"
    assert document.metadata.document_number == "云人社规〔2022〕2号"
    assert document.text.endswith("有效期五年。")


@needs_libreoffice
def test_rtf_is_read_through_libreoffice() -> None:
    body = "".join(f"\\u{ord(char)}?" for char in "云岚市租房补贴办法")
    parsed = parse_file("a.doc", rf"{{\rtf1\ansi {body}\par}}".encode())
    assert (parsed.format, parsed.documents[0].text) == ("rtf", "云岚市租房补贴办法")


def test_doc_without_libreoffice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.doc", SAMPLE_DOC.read_bytes())
    assert refusal.value.code == "converter_missing"


@pytest.mark.parametrize(("script", "seconds"), [("exit 0", 20), ("sleep 60", 1)], ids=["gives nothing", "hangs"])
def test_doc_that_libreoffice_cannot_convert_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, seconds: int
) -> None:
    program = tmp_path / "soffice"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.doc", SAMPLE_DOC.read_bytes(), limits=ParseLimits(converter_seconds=seconds))
    assert refusal.value.code == "converter_failed"
