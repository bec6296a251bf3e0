"""发文字号 in its many spellings, brought to one: 云府办规〔2025〕8号."""

from __future__ import annotations

import re

_YEAR_NUMBER = re.compile(
    r"(?P<organ>[A-Za-z\u4e00-\u9fff][\u4e00-\u9fffA-Za-z\d\-、 ]{0,24}?)\s*"
    r"[〔﹝\[（(【［]\s*(?P<year>(?:19|20)\d{2})\s*[〕﹞\]）)】］]\s*"
    r"(?:第\s*)?(?P<number>\d{1,5})\s*号"
)
_ORDER = re.compile(
    r"(?P<organ>(?:中华人民共和国)?[\u4e00-\u9fff]{0,20}(?:令|公告|通告))\s*[（(]?\s*"
    r"(?P<number>(?:(?:19|20)\d{2}\s*年\s*)?第\s*[\d一二三四五六七八九十百〇零○]{1,6}\s*号)\s*[）)]?"
)
_BARE_ORDER = re.compile(r"^(?P<number>(?:19|20)\d{2}\s*年\s*第\s*\d{1,4}\s*号)$")
_RUNNING_NUMBER = re.compile(
    r"(?:^|(?<=\s))[^\s，。；：《（(]+\s?[〔﹝\[（(【［]\s?(?:19|20)\d{2}\s?.\s?第?\s?\d+\s?号(?=\s|$)"
)
_WORDS_OF_TITLE = re.compile("关于|通知|意见|办法")
_HEAD = 1500
_FIRST_LINES = 25
_SPACE = re.compile(r"\s+")


def find_document_number(text: str) -> str:
    """The document's own number, or ''. Numbers in brackets after a 《title》 are those of other documents."""
    lines = [line.strip() for line in text[:_HEAD].split("\n") if line.strip()][:_FIRST_LINES]
    for line in lines:
        if number := _number_line(line):
            return number
    return _first_in_running_text(lines[0]) if lines else ""


def is_document_number(line: str) -> bool:
    """Whether the line holds nothing else (but perhaps its label or the signatory)."""
    return bool(_number_line(line))


def normalise_document_number(text: str) -> str:
    """One spelling for what a column or label states; unknown forms are kept as they are, without spaces."""
    match = _YEAR_NUMBER.search(text)
    if match and match.start() == 0:
        return _spell(match)
    return _SPACE.sub("", text)


def _number_line(line: str) -> str:
    """The number of a line that holds nothing else (but perhaps its label or the signatory)."""
    stripped = re.sub(r"^(?:发文字号|文号|发文号|文件编号)\s*[:：]?\s*", "", line)
    stripped = re.sub(r"\s*签发人.*$", "", stripped).strip("（）() 　★")
    if match := _YEAR_NUMBER.fullmatch(stripped.removesuffix("）")):
        return _spell(match)
    if match := _YEAR_NUMBER.fullmatch(f"{stripped}"):
        return _spell(match)
    if match := _ORDER.fullmatch(stripped):
        return _SPACE.sub("", match.group("organ") + match.group("number"))
    if match := _BARE_ORDER.match(stripped):
        return _SPACE.sub("", match.group("number"))
    return ""


def _first_in_running_text(line: str) -> str:
    """Text without line breaks begins with its number: `怀政函〔2020〕17号 怀化市人民政府 关于…`."""
    for word in _RUNNING_NUMBER.finditer(line[:300]):
        if match := _YEAR_NUMBER.fullmatch(word.group().strip()):
            return _spell(match)
    return ""


def _spell(match: re.Match[str]) -> str:
    organ = match.group("organ")
    if _WORDS_OF_TITLE.search(organ):  # a title that runs into its number
        organ = organ.split()[-1]
    organ = _SPACE.sub("", organ).rstrip("、-")
    return f"{organ}〔{match.group('year')}〕{int(match.group('number'))}号"
