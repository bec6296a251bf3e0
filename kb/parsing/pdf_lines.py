"""The lines of a PDF page from top to bottom, with their places; tables already rendered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pdfplumber.page import Page

from kb.parsing.cleaning import clean_line, close_spaces, unify_radicals
from kb.parsing.markdown_tables import render_table

_ARTICLE = re.compile(r"^(第[一二三四五六七八九十百千零〇\d]{1,9}[章节条])(?=[^\s，。、；：的规之至和第款项])")
_SOFT_HYPHEN = "\u00ad"
_SAME_LINE = 0.6  # of the character height: subscripts belong to their line, the next line does not
_MOST_RULES = 3000  # a drawing, not a table; finding tables in it would take minutes


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text or a whole table. Places in points from the page's left and top; `size` is the height of its
    characters, `height` that of the page.
    """

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    height: float
    is_table: bool = False


def page_lines(page: Page) -> list[Line]:
    """Text lines and tables in reading order. A table is rendered as pipe rows and counts as one line."""
    page = page.dedupe_chars(tolerance=1)
    ruled = len(page.rects) + len(page.lines) + len(page.curves)
    tables = [table for table in page.find_tables() if _is_table(table)] if ruled <= _MOST_RULES else []
    boxes = [table.bbox for table in tables]
    outside = page.filter(lambda item: not _inside(item, boxes)) if boxes else page
    lines = _text_lines(outside)
    for table in tables:
        x0, top, x1, bottom = table.bbox
        text = render_table([[_tidy(cell or "") for cell in row] for row in table.extract()])
        if text:
            lines.append(Line(text, x0, x1, top, bottom, 0.0, float(page.height), is_table=True))
    return sorted(lines, key=lambda line: line.top)


def _text_lines(page: Page) -> list[Line]:
    characters = [char for char in page.chars if not char["text"].isspace() and char.get("upright", True)]
    if not characters:
        return []
    size = median(char["size"] for char in characters)
    found: Sequence[dict[str, Any]] = page.extract_text_lines(y_tolerance=size * _SAME_LINE, return_chars=True)
    lines = []
    for item in found:
        text = _tidy(item["text"])
        if text:
            own = median(char["size"] for char in item["chars"])
            lines.append(Line(text, item["x0"], item["x1"], item["top"], item["bottom"], own, float(page.height)))
    return lines


def _tidy(text: str) -> str:
    text = close_spaces(clean_line(unify_radicals(text.replace(_SOFT_HYPHEN, "-"))))
    return _ARTICLE.sub(r"\1 ", text)


def _is_table(table: Any) -> bool:
    """Ruled boxes with two rows and two columns of text; a frame around a paragraph is none."""
    rows = table.extract()
    filled = [[cell for cell in row if cell and cell.strip()] for row in rows]
    return sum(1 for row in filled if row) >= 2 and max((len(row) for row in filled), default=0) >= 2


def _inside(item: dict[str, Any], boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    x, y = (item["x0"] + item["x1"]) / 2, (item["top"] + item["bottom"]) / 2
    return any(x0 <= x <= x1 and top <= y <= bottom for x0, top, x1, bottom in boxes)
