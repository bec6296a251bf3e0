"""A policy's metadata: what the file states in columns, labels and meta tags, else what its text says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from kb.parsing.cleaning import clean_line
from kb.parsing.dates import read_date
from kb.parsing.document_numbers import find_document_number, normalise_document_number
from kb.parsing.fields import field_of
from kb.parsing.issuers import find_issuer, find_level_and_region, normalise_level
from kb.parsing.types import PolicyMetadata
from kb.parsing.validity import read_validity

Stated = Mapping[str, "str | date"]

_LABEL = re.compile(r"^\s*([\u4e00-\u9fff][\u4e00-\u9fff \u3000]{1,9})\s*[:：]\s*(\S.*)$")
_LABEL_LINES = 30
_LABELLED = {
    "document_number",
    "issuer",
    "issued_on",
    "effective_on",
    "expires_on",
    "repealed_on",
    "category",
    "level",
    "region",
}


def complete_metadata(title: str, text: str, stated: Stated) -> tuple[PolicyMetadata, tuple[str, ...]]:
    """The metadata and, in Chinese, what of it looks wrong. What is stated wins over what is read from the text."""
    stated = {**read_labels(text), **{name: value for name, value in stated.items() if value}}
    number = normalise_document_number(_text(stated, "document_number")) or find_document_number(text)
    issuer = _text(stated, "issuer") or find_issuer(title, text, number)
    stated_region = _text(stated, "region")
    level, region = find_level_and_region(issuer, stated_region or title)
    validity = read_validity(text, issued_on=_day(stated, "issued_on"), effective_on=_day(stated, "effective_on"))
    metadata = PolicyMetadata(
        document_number=number[:120],
        issuer=issuer[:200],
        level=normalise_level(_text(stated, "level")) or level,
        region=(stated_region or region)[:100],
        category=_text(stated, "category")[:100],
        issued_on=validity.issued_on,
        effective_on=validity.effective_on,
        expires_on=_day(stated, "expires_on") or validity.expires_on,
        repealed_on=_day(stated, "repealed_on") or validity.repealed_on,
        repeals=validity.repeals,
    )
    return metadata, _doubts(metadata, stated)


def read_labels(text: str) -> dict[str, str]:
    """Lines such as `发文机关：云岚市人民政府` among the first of a text."""
    found: dict[str, str] = {}
    for line in text[:3000].split("\n")[:_LABEL_LINES]:
        match = _LABEL.match(line)
        name = field_of(match[1]) if match else None
        if match and name in _LABELLED and len(match[2]) <= 100:
            found.setdefault(name, match[2].strip())
    return found


def _doubts(metadata: PolicyMetadata, stated: Stated) -> tuple[str, ...]:
    doubts = []
    for name, label in (("issued_on", "发布日期"), ("effective_on", "施行日期"), ("expires_on", "失效日期")):
        value = stated.get(name)
        if isinstance(value, str) and read_date(value) is None:
            doubts.append(f"{label}“{value[:30]}”无法识别，请核对。")
    if metadata.effective_on and metadata.expires_on and metadata.expires_on < metadata.effective_on:
        doubts.append("失效日期早于施行日期，请核对。")
    return tuple(doubts)


def _text(stated: Stated, name: str) -> str:
    value = stated.get(name, "")
    return clean_line(value) if isinstance(value, str) else ""


def _day(stated: Stated, name: str) -> date | None:
    return read_date(stated.get(name))
