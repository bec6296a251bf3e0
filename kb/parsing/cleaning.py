"""Small repairs that every format needs. They touch white space and unseen characters only, never the wording."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_BLANK_LINES = re.compile(r"\n{2,}")
_RADICALS = re.compile("[\u2e80-\u2fdf\uf900-\ufaff]")
_SPACE_IN_CHINESE = re.compile(
    "(?<=[\u2e80-\u9fff\uf900-\ufaff\u3000-\u303f\uff00-\uffef—…“”‘’])[ \u00a0]+(?=\\S)"
    "|(?<=\\S)[ \u00a0]+(?=[\u2e80-\u9fff\uf900-\ufaff\u3000-\u303f\uff00-\uffef—…“”‘’])"
)


def clean_text(text: str) -> str:
    """Line breaks as `\\n`, no unseen characters, no white space at the ends of lines, no blank lines."""
    text = _LINE_BREAK.sub("\n", _UNSEEN.sub("", text))
    lines = (line.strip() for line in text.replace("\u00a0", " ").split("\n"))
    return _BLANK_LINES.sub("\n", "\n".join(lines)).strip("\n")


def clean_line(text: str) -> str:
    """A name or title on one line, single spaces."""
    return " ".join(_UNSEEN.sub("", text).split())


def unify_radicals(text: str) -> str:
    """Characters that PDF fonts name by their radical or compatibility form (⼀) as the ordinary ones (一)."""
    return _RADICALS.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)


def close_spaces(text: str) -> str:
    """Without the spaces that typesetting puts beside Chinese characters: `〔2019〕860 号` is `〔2019〕860号`."""
    return _SPACE_IN_CHINESE.sub("", text)
