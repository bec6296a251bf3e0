"""Sample policies as DOCX in the look of an official document: header, page numbers, tables and numbering."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Cm, Pt

BODY_FONT = "Noto Serif CJK SC"
TITLE_LINES = 4  # title, 发文字号, and what stands below them
# List numbers that Word computes: 第一条 and 1.
NUMBER_FORMATS = {"第一条": ("chineseCountingThousand", "第%1条 "), "1.": ("decimal", "%1.")}
ARTICLE = re.compile(r"^第[一二三四五六七八九十百]+条 ")
ITEM = re.compile(r"^(\d+)\.")


def write_docx(text: str, path: Path, *, numbered: bool = False) -> None:
    """Write a sample text. `numbered`: articles and `1.` items get list numbers instead of typed ones."""
    document: Any = Document()
    set_page(document, text.split("\n", 1)[0])
    writer = Writer(document, numbered)
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if line.startswith("|"):
            writer.add_table_line(line)
        elif line.strip():
            writer.add_line(line, is_head=index < TITLE_LINES and "：" not in line and not line.endswith("。"))
    document.save(path)


def set_page(document: Any, title: str) -> None:
    style = document.styles["Normal"]
    style.font.name, style.font.size = BODY_FONT, Pt(12)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), BODY_FONT)
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.header.paragraphs[0].text = title
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.add_run("— ")
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    footer._p.append(field)
    footer.add_run(" —")


class Writer:
    """Adds lines to a document; keeps the table that is being written and the list that is counting."""

    def __init__(self, document: Any, numbered: bool) -> None:
        self.document = document
        self.table: Any = None
        self.numbered = numbered
        self.article_list = self.add_number_format("第一条") if numbered else 0
        self.item_list = 0

    def add_line(self, line: str, *, is_head: bool) -> None:
        self.table = None
        is_heading = is_head or re.match(r"^第[一二三四五六七八九十]+章 ", line)
        if self.numbered and ARTICLE.match(line):
            self.add_numbered(ARTICLE.sub("", line), self.article_list)
        elif self.numbered and (item := ITEM.match(line)):
            if item[1] == "1":
                self.item_list = self.add_number_format("1.")
            self.add_numbered(ITEM.sub("", line), self.item_list)
        else:
            paragraph = self.document.add_paragraph(line)
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER if is_heading else WD_ALIGN_PARAGRAPH.JUSTIFY
            paragraph.runs[0].bold = bool(is_heading)

    def add_table_line(self, line: str) -> None:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if set("".join(cells)) <= set("- "):
            return
        if self.table is None:
            self.table = self.document.add_table(rows=0, cols=len(cells), style="Table Grid")
        for cell, value in zip(self.table.add_row().cells, cells, strict=True):
            cell.text = value

    def add_numbered(self, line: str, list_id: int) -> None:
        properties = self.document.add_paragraph(line)._p.get_or_add_pPr().get_or_add_numPr()
        properties.get_or_add_ilvl().val = 0
        properties.get_or_add_numId().val = list_id

    def add_number_format(self, name: str) -> int:
        """Define a list that counts from one; returns its id."""
        number_format, text = NUMBER_FORMATS[name]
        numbering = self.document.part.numbering_part.numbering_definitions._numbering
        abstract_id = len(numbering.findall(qn("w:abstractNum"))) + 100
        abstract = (
            f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{abstract_id}"><w:lvl w:ilvl="0"><w:start w:val="1"/>'
            f'<w:numFmt w:val="{number_format}"/><w:suff w:val="nothing"/><w:lvlText w:val="{text}"/></w:lvl>'
            "</w:abstractNum>"
        )
        numbering.insert(0, parse_xml(abstract))
        return int(numbering.add_num(abstract_id).numId)
