"""From text to units: sentences, or rows of a table, with their offsets. A passage is a run of whole units."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kb.passages.markers import STOPS, find_marker, nested_marker_offset

_LINE = re.compile(r"[^\r\n]+")
_SENTENCE = re.compile(r"[^。！？；]*[。！？；]+[”’」』）)》】〉\"]*|[^。！？；]+")
_TABLE_ROW = re.compile(r"\s*\|.*\|\s*")
_SEPARATOR_ROW = re.compile(r"\s*\|(?:\s*:?-{3,}:?\s*\|)+\s*")
_LAST_RESORT = ("，、：,:|", " \t\u3000\u2002\xa0")


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or a table row: `text[start:end]`, without white space at its ends.

    `starts_line` and `ends_line` say whether a line break (or the text's end) lies beside it; `continues` marks the
    later pieces of a sentence that was too long to stay whole; `header` is the table header that a row lies under
    (empty for the header itself and outside tables); `is_header` marks the header rows.
    """

    start: int
    end: int
    starts_line: bool
    ends_line: bool
    continues: bool = False
    header: str = ""
    is_header: bool = False
    is_row: bool = False


def split_units(text: str, *, limit: int) -> list[Unit]:
    """The units of `text` in order, none longer than `limit` characters; together they hold all that is not space."""
    units: list[Unit] = []
    table: list[tuple[int, int]] = []
    for match in _LINE.finditer(text):
        start, end = _trim(text, match.start(), match.end())
        if start == end:
            continue
        if _TABLE_ROW.fullmatch(text, start, end):
            table.append((start, end))
            continue
        units.extend(_table_units(text, table, limit))
        table = []
        units.extend(_line_units(text, start, end, limit))
    units.extend(_table_units(text, table, limit))
    return units


def _line_units(text: str, line_start: int, line_end: int, limit: int) -> Iterator[Unit]:
    pieces = list(_sentence_offsets(text, line_start, line_end))
    for start, end in pieces:
        first, last = start == line_start, end == line_end
        if end - start <= limit:
            yield Unit(start, end, first, last)
        else:
            yield from _cut_unit(text, Unit(start, end, first, last), limit)


def _sentence_offsets(text: str, line_start: int, line_end: int) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE.finditer(text, line_start, line_end):
        start, end = _trim(text, match.start(), match.end())
        while start < end and (nested := nested_marker_offset(text, start, end)) is not None:
            yield _trim(text, start, nested)
            start = nested
        if start < end:
            yield start, end


def _table_units(text: str, rows: list[tuple[int, int]], limit: int) -> Iterator[Unit]:
    """Rows stay whole. A first row followed by a `| --- |` row is the header, and is repeated on later passages."""
    if not rows:
        return
    header = ""
    if len(rows) > 1 and _SEPARATOR_ROW.fullmatch(text, *rows[1]):
        start, end = rows[0][0], rows[1][1]
        repeated = text[start:end]
        yield from _cut_unit(text, Unit(start, end, True, True, is_header=True, is_row=True), limit)
        header = repeated if len(repeated) <= limit // 4 else ""
        rows = rows[2:]
    for start, end in rows:
        yield from _cut_unit(text, Unit(start, end, True, True, header=header, is_row=True), limit)


def _cut_unit(text: str, unit: Unit, limit: int) -> Iterator[Unit]:
    """Last resort for what is longer than `limit`: at a comma or colon, else at a space, else at the limit."""
    start = unit.start
    while unit.end - start > limit:
        cut = _last_resort_cut(text, start, start + limit)
        yield _piece(unit, start, _trim(text, start, cut)[1], last=False)
        start = _trim(text, cut, unit.end)[0]
    yield _piece(unit, start, unit.end, last=True)


def _piece(unit: Unit, start: int, end: int, *, last: bool) -> Unit:
    first = start == unit.start
    return Unit(
        start,
        end,
        first and unit.starts_line,
        last and unit.ends_line,
        not first,
        unit.header,
        unit.is_header,
        unit.is_row,
    )


def _last_resort_cut(text: str, start: int, end: int) -> int:
    for marks in _LAST_RESORT:
        cut = max(text.rfind(mark, start, end) for mark in marks)
        if cut > start + (end - start) // 3:
            return cut + 1
    return end


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def is_bare_heading(text: str, unit: Unit) -> bool:
    """A heading with nothing after it (第一章 总则; 一、支持对象): it must stay with what follows."""
    if unit.is_header:
        return True
    if unit.is_row or unit.end - unit.start > 60 or text[unit.end - 1] in STOPS:
        return False
    marker = find_marker(text, unit.start, unit.end, starts_line=unit.starts_line)
    return marker is not None or text[unit.end - 1] in "：:"
