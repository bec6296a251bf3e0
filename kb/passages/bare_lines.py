"""Lines of a policy text that say nothing by themselves: what is no heading's text, no table's row and no sentence."""

import re
from collections.abc import Iterator, Sequence

from kb.parsing.document_numbers import is_document_number
from kb.parsing.issuers import find_signature_lines
from kb.passages.markers import STOPS, Level, Marker, find_marker
from kb.passages.sentences import Unit, split_units

_UNIT_LIMIT = 600
_SHORTEST_TITLE = 5
_SALUTATIONS = ("各", "广大", "尊敬的", "亲爱的")
_CONTENTS = re.compile(r"目\s*录|.*(?:\.{4,}|…{2,}|·{4,})\s*\d+")
_SPACE = re.compile(r"\s+")


def find_bare_lines(text: str, *, title: str = "") -> list[tuple[int, int]]:
    """Spans, in order, of what says nothing by itself; none ends with one of STOPS.

    These are headings without text, salutations, lines of a table of contents, the document's number, its `title`
    repeated, and its signature. A short numbered line among others of its kind is an item of a list and says something.
    """
    units = split_units(text, limit=_UNIT_LIMIT)
    marks = [_bare_mark(text, unit) for unit in units]
    signatures = set(_find_signatures(text, units))
    return [
        (unit.start, unit.end)
        for index, unit in enumerate(units)
        if index in signatures
        or _is_heading(marks, index)
        or (_is_line(unit) and _is_formal(text[unit.start : unit.end], _close(title)))
    ]


def _is_line(unit: Unit) -> bool:
    return unit.starts_line and unit.ends_line and not unit.is_row


def _bare_mark(text: str, unit: Unit) -> Marker | None:
    """The mark of a unit that holds its label and no more."""
    if unit.is_row or unit.continues:
        return None
    mark = find_marker(text, unit.start, unit.end, starts_line=unit.starts_line)
    is_bare = mark is not None and _close(text[unit.start : unit.end]).rstrip("：:") == _close(mark.label)
    return mark if is_bare else None


def _is_heading(marks: Sequence[Marker | None], index: int) -> bool:
    """编, 章, 节 always; others where neither neighbour is a bare mark of the same level."""
    mark = marks[index]
    if mark is None or mark.level <= Level.SECTION:
        return mark is not None
    neighbours = [*marks[max(0, index - 1) : index], *marks[index + 1 : index + 2]]
    return all(other is None or other.level != mark.level for other in neighbours)


def _is_formal(line: str, title: str) -> bool:
    """`title` comes without spaces."""
    if line[-1] in STOPS:
        return False
    closed = _close(line)
    return (
        (len(closed) >= _SHORTEST_TITLE and closed in title)
        or (closed.startswith(_SALUTATIONS) and closed.endswith(("：", ":")))
        or _CONTENTS.fullmatch(line) is not None
        or is_document_number(line)
    )


def _find_signatures(text: str, units: Sequence[Unit]) -> Iterator[int]:
    """Where among the units the lines of signature stand."""
    places = [index for index, unit in enumerate(units) if _is_line(unit)]
    lines = [text[units[index].start : units[index].end] for index in places]
    return (places[number] for number in find_signature_lines(lines))


def _close(text: str) -> str:
    return _SPACE.sub("", text)
