"""From the lines of pages to paragraphs: page numbers and running headers out, broken lines joined, over pages too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from kb.parsing.pdf_lines import Line

_PAGE_NUMBER = re.compile(
    r"^[—–\-－_·•~\s]*(?:第\s*)?(?:\d{1,4}|[IVXivx]{1,6})\s*(?:页)?(?:\s*(?:[/／,，]|共)\s*(?:共\s*)?\d{1,4}\s*页?)?[—–\-－_·•~\s]*$"
)
_STARTS_PARAGRAPH = re.compile(
    r"^(?:第[一二三四五六七八九十百千零〇\d]{1,9}[编章节条][\s　]|[一二三四五六七八九十]{1,3}、|"
    r"[（(][一二三四五六七八九十\d]{1,3}[）)]|\d{1,2}[.．、](?!\d)|[①-⑳]|附\s*件)"
)
_ENDS_SENTENCE = re.compile(r"[。！？；：][”’」』）)》]*$")
_LATIN_END = re.compile(r"[A-Za-z0-9,;]$")
_LATIN_START = re.compile(r"^[A-Za-z0-9]")
_EDGE_LINES = 3
_SAME_HEIGHT = 6.0  # points
_SHORT = 1.8  # characters left free at the right: the paragraph ends here
_INDENT = 1.2  # characters further right than the margin: a paragraph begins here


def remove_furniture(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Without page numbers, and without lines at the top or bottom that return at the same height, but for their
    numbers, on most pages.
    """
    tops: dict[str, list[float]] = {}
    for lines in pages:
        for line in _edges(lines):
            tops.setdefault(_key(line), []).append(line.top)
    often = max(3, len(pages) // 2)
    running = {key: median(found) for key, found in tops.items() if len(found) >= often}
    kept = []
    for lines in pages:
        edges = {id(line) for line in _edges(lines)}
        kept.append([line for line in lines if not (id(line) in edges and _is_furniture(line, running))])
    return kept


def join_pages(pages: Sequence[Sequence[Line]]) -> list[list[str]]:
    """For each page the pieces of text to be put together: a piece that begins a paragraph begins with a line break."""
    joined: list[list[str]] = []
    margins = _margins([line for lines in pages for line in lines])
    before: Line | None = None
    for lines in pages:
        own = _margins(lines) if len(lines) >= 8 else margins
        pieces = []
        for line in lines:
            pieces.append(_separator(before, line, own) + line.text)
            before = line
        joined.append(pieces)
    return joined


def _separator(before: Line | None, line: Line, margins: tuple[float, float]) -> str:
    if before is None or not _continues(before, line, margins):
        return "\n"
    both_latin = _LATIN_END.search(before.text) and _LATIN_START.match(line.text)
    return " " if both_latin else ""


def _continues(before: Line, line: Line, margins: tuple[float, float]) -> bool:
    """Whether `line` goes on where `before` was broken off by the right margin."""
    left, right = margins
    if before.is_table or line.is_table or _STARTS_PARAGRAPH.match(line.text):
        return False
    if abs(before.size - line.size) > 0.2 * max(before.size, line.size):
        return False
    if before.x1 < right - _SHORT * before.size or line.x0 > left + _INDENT * line.size:
        return False
    return not (_ENDS_SENTENCE.search(before.text) and before.x1 < right - 0.6 * before.size)


def _margins(lines: Sequence[Line]) -> tuple[float, float]:
    """Left: where most lines begin; right: how far nine of ten full lines reach at most."""
    text = [line for line in lines if not line.is_table]
    if not text:
        return 0.0, float("inf")
    starts = Counter(round(line.x0) for line in text)
    most = max(starts.values())
    left = min(start for start, count in starts.items() if count >= max(2, most // 3) or count == most)
    ends = sorted(line.x1 for line in text)
    return float(left), ends[int(0.9 * (len(ends) - 1))]


def _edges(lines: Sequence[Line]) -> list[Line]:
    text = [line for line in lines if not line.is_table]
    near = [line for line in text if line.top < 0.12 * line.height or line.bottom > 0.86 * line.height]
    return [line for line in near if line in text[:_EDGE_LINES] or line in text[-_EDGE_LINES:]]


def _is_furniture(line: Line, running: Mapping[str, float]) -> bool:
    """The title on the first page may be worded as the running header, but stands lower."""
    if _PAGE_NUMBER.match(line.text):
        return True
    top = running.get(_key(line))
    return top is not None and abs(line.top - top) < _SAME_HEIGHT


def _key(line: Line) -> str:
    """A running line without its changing numbers, and whether it stands at the top or at the bottom."""
    return f"{line.top < line.height / 2}{re.sub(r'[0-9]+', '#', line.text)}"
