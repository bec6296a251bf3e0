"""The marks that number the parts of a Chinese policy text: 第一章, 第三条, 一、（一） 1. ① 附件."""

import re
from dataclasses import dataclass
from enum import IntEnum

_NUMERAL = r"[一二三四五六七八九十百千零〇○两\d]{1,9}"
_MARKER = re.compile(
    rf"""
      (?P<part>第{_NUMERAL}[编篇]|附\s?件\s?(?:{_NUMERAL})?(?=\s|[:：]|$))(?=[\s:：]|$)
    | (?P<chapter>第{_NUMERAL}章)(?=\s|$|[^，。；、的])
    | (?P<section>第{_NUMERAL}节)(?=\s|$|[^，。；、的])
    | (?P<enumerated>[一二三四五六七八九十]{{1,3}}、)
    | (?P<article>第{_NUMERAL}条(?:之{_NUMERAL})?)(?=[\s【:：]|$)
    | (?P<item>[（(][一二三四五六七八九十]{{1,3}}[）)])
    | (?P<number>\d{{1,2}}[.．、](?!\d))
    | (?P<subnumber>[（(]\d{{1,2}}[）)]|[①-⑳])
    """,
    re.VERBOSE,
)
_ARTICLE_WITHOUT_SPACE = re.compile(
    rf"第{_NUMERAL}条(?:之{_NUMERAL})?(?![、，。；第款项规的和至与及中之以或所》〉）)])"
)
_NESTED = re.compile(
    rf"\s+(?=第{_NUMERAL}[章节条]\s|[一二三四五六七八九十]{{1,3}}、|[（(][一二三四五六七八九十]{{1,3}}[）)]|1[.．、](?!\d))"
)
_INLINE_CHAPTER = re.compile(rf"\s+(?=第{_NUMERAL}章\s)")
_HEADING_TEXT = re.compile(r"[^。！？；，：\s]{0,30}(?=[。：\s]|$)")
_TITLE_TEXT = re.compile(r"\s*[^。！？；，\s]{0,30}")
_LONGEST_TITLE_LINE = 50
STOPS = "。！？；"
"""What ends a sentence; no heading ends with one."""


class Level(IntEnum):
    """How deep a part lies; smaller is higher. 一、 stands over 条, as in judicial interpretations."""

    PART = 0
    CHAPTER = 1
    SECTION = 2
    ENUMERATED = 3
    ARTICLE = 4
    PARAGRAPH = 5
    ITEM = 6
    NUMBER = 7
    SUBNUMBER = 8


@dataclass(frozen=True, slots=True)
class Marker:
    """A mark and the name under which its part is cited: 第一章 总则; 第三条; 一、支持对象."""

    level: Level
    label: str


def find_marker(text: str, start: int, end: int, *, starts_line: bool) -> Marker | None:
    """The mark that `text[start:end]` begins with, if any. Web pages lose the space after 第三条: at the start of a
    line (`starts_line`) it is not needed.
    """
    match = _MARKER.match(text, start, end)
    if match is None and starts_line and (article := _ARTICLE_WITHOUT_SPACE.match(text, start, end)):
        return Marker(Level.ARTICLE, article.group())
    if match is None or match.lastgroup is None:
        return None
    level = Level[match.lastgroup.upper()]
    return Marker(level, _label(text, level, match, end))


def nested_marker_offset(text: str, start: int, end: int) -> int | None:
    """Where a lower mark begins in a line that runs on: `第一章 总则 第一条 …` gives the offset of 第一条."""
    if _MARKER.match(text, start, end) is None:
        chapter = _INLINE_CHAPTER.search(text, start, end)
        return chapter.end() if chapter else None
    match = _NESTED.search(text, start, min(end, start + 50))
    if match is None or ("，" in text[start : match.start()] and text[match.end()] != "第"):
        return None
    return match.end()


def _label(text: str, level: Level, match: re.Match[str], end: int) -> str:
    mark = match.group()
    if level in (Level.ARTICLE, Level.SUBNUMBER):
        return mark
    if level <= Level.SECTION:
        if end - match.start() <= _LONGEST_TITLE_LINE and text[end - 1] not in STOPS:
            title = text[match.end() : end]
        else:
            found = _TITLE_TEXT.match(text, match.end(), end)
            title = found.group() if found else ""
        return f"{mark} {''.join(title.split())}".strip()
    heading = _HEADING_TEXT.match(text, match.end(), end)
    return mark + (heading.group().strip() if heading else "")
