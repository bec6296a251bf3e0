"""DOCX: the body in its order, tables, automatic numbering. Read from the XML: python-docx leaves out insertions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import docx
from docx.document import Document
from docx.oxml.ns import qn
from lxml.etree import _Element

from kb.parsing.archives import open_archive
from kb.parsing.cleaning import clean_line, clean_text
from kb.parsing.markdown_tables import render_table
from kb.parsing.types import Draft, Extracted, ParseRefused, Source
from kb.parsing.word_numbering import Numbering

_SKIPPED = {
    qn("w:del"),
    qn("w:moveFrom"),
    qn("w:txbxContent"),
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:instrText"),
    qn("w:pict"),
}
_BREAKS = {qn("w:br"), qn("w:cr")}
_CONTAINERS = {qn("w:sdt"), qn("w:sdtContent"), qn("w:customXml"), qn("w:ins"), qn("w:smartTag"), qn("w:moveTo")}
_TITLE_STYLE = re.compile(r"^(?:title|标题)$", re.IGNORECASE)


def parse_docx(source: Source) -> Extracted:
    """One policy. Raises ParseRefused: corrupt, encrypted, zip_bomb."""
    open_archive(source).close()
    try:
        document = docx.Document(BytesIO(source.data))
        text = read_body(document)
    except Exception as error:  # python-docx lets through KeyError, ValueError, XML and package errors alike
        raise ParseRefused("corrupt", "文件已损坏，无法打开，请重新保存后再上传。") from error
    return Extracted("docx", (Draft(text, _styled_title(document)),))


def read_body(document: Document) -> str:
    """The text of the body, one line a paragraph, tables as pipe rows."""
    numbering = Numbering(document)
    return clean_text("\n".join(_render_blocks(document.element.body, numbering)))


def _render_blocks(parent: _Element, numbering: Numbering) -> Iterator[str]:
    for child in parent:
        if child.tag == qn("w:p"):
            text = paragraph_text(child)
            if text.strip():
                yield numbering.label_of(child) + text
        elif child.tag == qn("w:tbl"):
            yield _render_table(child, numbering)
        elif child.tag in _CONTAINERS:
            yield from _render_blocks(child, numbering)


def paragraph_text(paragraph: _Element) -> str:
    """What is read in a paragraph: insertions and links too; not what is deleted, nor what floats in text boxes."""
    return "".join(_runs(paragraph))


def _runs(element: _Element) -> Iterator[str]:
    for child in element:
        if child.tag in _SKIPPED:
            continue
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag == qn("w:tab"):
            yield " "
        elif child.tag in _BREAKS:
            yield "\n"
        elif child.tag == qn("w:noBreakHyphen"):
            yield "-"
        elif isinstance(child.tag, str):
            yield from _runs(child)


def _render_table(table: _Element, numbering: Numbering) -> str:
    """A cell merged downwards is repeated in each row, one merged to the right stands in its first column. A table
    of one column only frames text: its text is given as it is.
    """
    rows = [row for row in table.iter(qn("w:tr")) if _owner(row, qn("w:tbl")) is table]
    grid: list[list[str]] = []
    above: list[str] = []
    for row in rows:
        cells: list[str] = []
        for cell in (cell for cell in row.iter(qn("w:tc")) if _owner(cell, qn("w:tr")) is row):
            text = "\n".join(_render_blocks(cell, numbering))
            if _continues_merge(cell):
                text = above[len(cells)] if len(cells) < len(above) else ""
            cells += [text] + [""] * (_grid_span(cell) - 1)
        grid.append(cells)
        above = cells
    if max((len(row) for row in grid), default=0) < 2:
        return "\n".join(cell for row in grid for cell in row)
    return render_table(grid)


def _owner(element: _Element, tag: str) -> _Element | None:
    return next(element.iterancestors(tag), None)


def _continues_merge(cell: _Element) -> bool:
    merge = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
    return merge is not None and merge.get(qn("w:val"), "continue") == "continue"


def _grid_span(cell: _Element) -> int:
    span = cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
    value = span.get(qn("w:val"), "1") if span is not None else "1"
    return min(max(int(value), 1), 100) if value.isdecimal() else 1


def _styled_title(document: Document) -> str:
    """What stands in the paragraphs of style Title, if any."""
    lines = [
        clean_line(paragraph.text)
        for paragraph in document.paragraphs[:30]
        if paragraph.style is not None and _TITLE_STYLE.match(paragraph.style.name or "")
    ]
    return clean_line("".join(lines))
