"""The heading path of every unit: (第一章 总则, 第三条, 第二款, （一）)."""

from collections.abc import Iterator, Sequence

from kb.passages.markers import Level, Marker, find_marker
from kb.passages.sentences import Unit, split_units

_DIGITS = "零一二三四五六七八九"
_UNIT_LIMIT = 600


def walk_headings(text: str, units: Sequence[Unit]) -> Iterator[tuple[Marker | None, tuple[str, ...]]]:
    """For each unit, the mark it begins with (if any) and the heading path that it lies under, itself included."""
    path: dict[Level, str] = {}
    paragraph = 1
    for unit in units:
        marker = (
            None
            if unit.continues or unit.is_row
            else find_marker(text, unit.start, unit.end, starts_line=unit.starts_line)
        )
        if marker is not None:
            for level in [level for level in path if level >= marker.level]:
                del path[level]
            path[marker.level] = marker.label
            paragraph = 1 if marker.level <= Level.ARTICLE else paragraph
        elif unit.starts_line and not (unit.continues or unit.is_row) and Level.ARTICLE in path:
            paragraph += 1
            for level in [level for level in path if level >= Level.PARAGRAPH]:
                del path[level]
            path[Level.PARAGRAPH] = f"第{chinese_numeral(paragraph)}款"
        yield marker, tuple(path[level] for level in sorted(path))


def heading_path_at(text: str, offset: int) -> tuple[str, ...]:
    """The heading path of the sentence at `offset`, for citing it exactly; empty before the first heading."""
    units = split_units(text, limit=_UNIT_LIMIT)
    found: tuple[str, ...] = ()
    for unit, (_, path) in zip(units, walk_headings(text, units), strict=True):
        if unit.start > offset:
            break
        found = path
    return found


def chinese_numeral(number: int) -> str:
    """1 to 99 in Chinese numerals; larger numbers in digits."""
    if not 0 < number < 100:
        return str(number)
    tens, ones = divmod(number, 10)
    tens_text = "" if tens == 0 else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return tens_text + (_DIGITS[ones] if ones else "")
