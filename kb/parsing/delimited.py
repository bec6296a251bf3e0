"""CSV and TSV: one policy a row."""

from __future__ import annotations

import csv
from io import StringIO

from kb.parsing.decoding import decode_text
from kb.parsing.rows import read_rows
from kb.parsing.types import Extracted, ParseRefused, Source

_DELIMITERS = (",", "\t", ";", "，")


def parse_csv(source: Source) -> Extracted:
    """Commas, or what the header row uses instead: tabs, semicolons."""
    text = _decode(source)
    first_line = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first_line.count)
    return _parse(source, "csv", text, delimiter)


def parse_tsv(source: Source) -> Extracted:
    return _parse(source, "tsv", _decode(source), "\t")


def _decode(source: Source) -> str:
    return decode_text(source.data).removeprefix("\ufeff")


def _parse(source: Source, format_name: str, text: str, delimiter: str) -> Extracted:
    csv.field_size_limit(max(source.limits.max_characters, 131_072))
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ParseRefused("corrupt", "表格格式有误（例如引号没有成对），请重新导出后再上传。") from error
    drafts, warnings = read_rows(rows, name=source.stem)
    return Extracted(format_name, tuple(drafts), tuple(warnings))
