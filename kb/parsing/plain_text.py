"""TXT and Markdown."""

from __future__ import annotations

import re
from datetime import date

from kb.parsing.cleaning import clean_line, clean_text
from kb.parsing.decoding import decode_text
from kb.parsing.fields import field_of
from kb.parsing.types import Draft, Extracted, Source

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(?P<body>.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(?P<title>.*?)\s*#*$", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_LINK = re.compile(r"!?\[(?P<label>[^\]\n]*)\]\([^)\n]*\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_QUOTE = re.compile(r"^>\s?", re.MULTILINE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def parse_text(source: Source) -> Extracted:
    """A text file is one policy; its title is found in its first lines."""
    return Extracted("txt", (Draft(clean_text(decode_text(source.data))),))


def parse_markdown(source: Source) -> Extracted:
    """One policy. Marks of headings and emphasis go, tables stay; front matter states metadata; the first heading is
    the title.
    """
    text = decode_text(source.data)
    stated = _read_front_matter(text)
    body = _COMMENT.sub("", _FRONT_MATTER.sub("", text, count=1))
    heading = _HEADING.search(body)
    title = str(stated.pop("title", "")) or (plain_markdown(heading["title"]) if heading else "")
    external_id = str(stated.pop("external_id", ""))
    return Extracted("markdown", (Draft(plain_markdown(body), clean_line(title), external_id, stated=stated),))


def plain_markdown(text: str) -> str:
    """The text without Markdown's marks; pipe tables and list marks are kept."""
    text = _HEADING.sub(lambda match: match["title"], clean_text(text))
    text = _LINK.sub(lambda match: match["label"], _QUOTE.sub("", text))
    return clean_text(_BREAK.sub(" ", _EMPHASIS.sub(lambda match: match[2], text)))


def _read_front_matter(text: str) -> dict[str, str | date]:
    match = _FRONT_MATTER.match(text.removeprefix("\ufeff"))
    stated: dict[str, str | date] = {}
    for line in match["body"].splitlines() if match else []:
        name, colon, value = line.partition(":") if ":" in line else line.partition("：")
        field = field_of(name)
        if colon and field and value.strip():
            stated[field] = value.strip().strip("\"'")
    return stated
