"""A tree of HTML as lines of text: block elements are lines, data tables are pipe rows, merged cells are spread."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml.html import HtmlElement

from kb.parsing.cleaning import clean_text
from kb.parsing.markdown_tables import render_table

_BLOCKS = frozenset(
    {"address", "article", "blockquote", "body", "caption", "center", "dd", "div", "dl", "dt", "fieldset"}
    | {
        "figcaption",
        "figure",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
    }
    | {"table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"}
)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_LONGEST_CELL = 1500
_WIDEST_SPAN = 200


def render_blocks(root: HtmlElement) -> str:
    """The text of `root`, one line a block."""
    return clean_text("".join(_pieces(root)))


def _pieces(root: HtmlElement) -> Iterator[str]:
    """Walks without recursion: saved pages nest hundreds deep."""
    stack: list[tuple[HtmlElement, bool]] = [(root, False)]
    while stack:
        element, closing = stack.pop()
        is_block = element.tag in _BLOCKS
        if closing:
            yield "\n" if is_block else ""
        elif element.tag == "br":
            yield "\n"
        elif element.tag == "table" and is_data_table(element):
            yield f"\n{render_table(table_cells(element))}\n"
        else:
            yield ("\n" if is_block else "") + _inline(element, element.text)
            stack.append((element, True))
            stack.extend((child, False) for child in reversed(element) if isinstance(child.tag, str))
            continue
        if element is not root:
            yield _inline(element, element.tail)


def _inline(element: HtmlElement, text: str | None) -> str:
    if not text:
        return ""
    return text if _is_preformatted(element) else _SPACE.sub(" ", text)


def _is_preformatted(element: HtmlElement) -> bool:
    return element.tag == "pre" or (element.getparent() is not None and element.getparent().tag == "pre")


def is_data_table(table: HtmlElement) -> bool:
    """Not one that only lays the page out: it has two columns and rows, no table inside, and no cell of an article."""
    if next(table.iterdescendants("table"), None) is not None:
        return False
    rows = [[cell for cell in row if cell.tag in {"td", "th"}] for row in table.iter("tr")]
    if len(rows) < 2 or max(len(row) for row in rows) < 2:
        return False
    return all(len(cell.text_content()) <= _LONGEST_CELL for row in rows for cell in row)


def table_cells(table: HtmlElement) -> list[list[str]]:
    """The grid: a cell over several rows is repeated in each, one over several columns stands in its first."""
    grid: list[list[str]] = []
    carried: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, text
    for row in table.iter("tr"):
        cells: list[str] = []
        waiting = [cell for cell in row if cell.tag in {"td", "th"}]
        while waiting or any(column >= len(cells) for column in carried):
            column = len(cells)
            if column in carried:
                left, text = carried.pop(column)
                cells.append(text)
                if left > 1:
                    carried[column] = (left - 1, text)
            elif waiting:
                _place_cell(waiting.pop(0), cells, carried)
            else:
                cells.append("")
        grid.append(cells)
    return grid


def _place_cell(cell: HtmlElement, cells: list[str], carried: dict[int, tuple[int, str]]) -> None:
    text = " ".join(render_blocks(cell).split("\n"))
    rows, columns = _span(cell, "rowspan"), _span(cell, "colspan")
    for offset in range(columns):
        shown = text if offset == 0 else ""
        if rows > 1:
            carried[len(cells)] = (rows - 1, shown)
        cells.append(shown)


def _span(cell: HtmlElement, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return min(max(int(value), 1), _WIDEST_SPAN) if value.isdecimal() else 1
