"""JSONL: one policy a line, `{"id": …, "title": …, "content": …, …}`."""

from __future__ import annotations

import json
from datetime import date

from kb.parsing.cleaning import clean_line, clean_text
from kb.parsing.decoding import decode_text
from kb.parsing.fields import field_of
from kb.parsing.types import Draft, Extracted, ParseRefused, Source

_NOT_METADATA = {"title", "content", "external_id", "url"}


def parse_jsonl(source: Source) -> Extracted:
    """Raises ParseRefused (corrupt) naming the first line that is no JSON object or has no text."""
    lines = decode_text(source.data).removeprefix("\ufeff").split("\n")
    drafts = tuple(_read_line(number, line) for number, line in enumerate(lines, start=1) if line.strip())
    return Extracted("jsonl", drafts)


def _read_line(number: int, line: str) -> Draft:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ParseRefused("corrupt", f"第 {number} 行不是正确的 JSON。") from error
    if not isinstance(record, dict):
        raise ParseRefused("corrupt", f"第 {number} 行不是 JSON 对象。")
    fields: dict[str, str] = {}
    for key, value in record.items():
        field = field_of(key)
        if field and isinstance(value, str | int | float) and str(value).strip():
            fields.setdefault(field, str(value))
    text = clean_text(fields.get("content", ""))
    if not text:
        raise ParseRefused("corrupt", f"第 {number} 行没有正文（content）。")
    stated: dict[str, str | date] = {field: value for field, value in fields.items() if field not in _NOT_METADATA}
    external_id = fields.get("external_id") or fields.get("url", "")
    return Draft(text, clean_line(fields.get("title", "")), external_id.strip(), stated=stated, source_row=number)
