"""Dates as Chinese documents and spreadsheets write them."""

from __future__ import annotations

import re
from datetime import date, datetime

_DIGITS = {char: str(index) for index, char in enumerate("零一二三四五六七八九")} | {
    "〇": "0",
    "○": "0",
    "Ｏ": "0",
    "O": "0",
    "两": "2",
}
_CHINESE_YEAR = "[零〇○ＯO一二三四五六七八九]{4}"
_CHINESE_NUMBER = "[一二三四五六七八九十]{1,3}"
DATE = re.compile(
    rf"(?P<year>(?:19|20)\d{{2}}|{_CHINESE_YEAR})\s*年\s*(?P<month>\d{{1,2}}|{_CHINESE_NUMBER})\s*月\s*(?P<day>\d{{1,2}}|{_CHINESE_NUMBER})\s*日"
)
_NUMERIC = re.compile(r"(?P<year>(?:19|20)\d{2})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})(?!\d)")
_COMPACT = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})$")


def read_date(value: object) -> date | None:
    """The day that a cell, a label or a meta tag names; None where it names none."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value or "").strip()
    match = DATE.search(text) or _NUMERIC.search(text) or _COMPACT.match(text)
    return date_of(match) if match else None


def date_of(match: re.Match[str]) -> date | None:
    """The day of a match with groups year, month and day; None for a 30 February."""
    try:
        return date(_year(match["year"]), chinese_number(match["month"]), chinese_number(match["day"]))
    except ValueError:
        return None


def chinese_number(text: str) -> int:
    """A number up to 99 in digits or Chinese numerals. Raises ValueError for anything else."""
    if text.isdecimal():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return int("".join(_DIGITS.get(char, char) for char in text))
    return int(_DIGITS.get(tens or "一", tens)) * 10 + int(_DIGITS.get(ones or "零", ones))


def add_years(day: date, years: int, months: int = 0) -> date:
    """The same day later; 29 February becomes the 28th."""
    month = day.month - 1 + months
    year, month = day.year + years + month // 12, month % 12 + 1
    for candidate in (day.day, 30, 29, 28):
        try:
            return date(year, month, min(candidate, day.day))
        except ValueError:
            continue
    raise ValueError(f"no such day: {year}-{month}")  # pragma: no cover


def _year(text: str) -> int:
    return int(text) if text.isdecimal() else int("".join(_DIGITS[char] for char in text))
