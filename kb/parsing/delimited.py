"""CSV and TSV: one policy a row."""

from __future__ import annotations

import csv
from io import StringIO

from kb.parsing.decoding import decode_text
from kb.parsing.rows import read_rows
from kb.parsing.types import Extracted, ParseRefused, Source

_DELIMITERS = (",", "\t", ";", "，")


def parse_csv(source: Source) -> Extracted:
    return _parse(source, "csv")


def parse_tsv(source: Source) -> Extracted:
    return _parse(source, "tsv", "\t")


def read_delimited(source: Source, delimiter: str = "") -> list[list[str]]:
    """The rows as they stand, of any encoding. Commas, or what the header row uses instead: tabs, semicolons."""
    text = decode_text(source.data).removeprefix("\ufeff")
    first_line = text.lstrip().partition("\n")[0]
    delimiter = delimiter or max(_DELIMITERS, key=first_line.count)
    csv.field_size_limit(max(source.limits.max_characters, 131_072))
    try:
        return list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ParseRefused("corrupt", "表格格式有误（例如引号没有成对），请重新导出后再上传。") from error


def _parse(source: Source, format_name: str, delimiter: str = "") -> Extracted:
    drafts, warnings = read_rows(read_delimited(source, delimiter), name=source.stem)
    return Extracted(format_name, tuple(drafts), tuple(warnings))
