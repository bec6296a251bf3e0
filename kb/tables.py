"""Tables that people edit elsewhere and bring back: CSV and XLSX, read in any encoding, written without formulas."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO

from openpyxl import Workbook

from kb.errors import KnowledgeError, UploadTooLarge
from kb.parsing import ParseLimits, ParseRefused
from kb.parsing.delimited import read_delimited
from kb.parsing.rows import cell_text
from kb.parsing.sniffing import FileType, detect_type
from kb.parsing.spreadsheets import read_xls, read_xlsx
from kb.parsing.types import Source

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
LONGEST_TITLE = 31  # of a sheet, in Excel
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def read_table(name: str, data: bytes, *, limits: ParseLimits | None = None) -> list[list[str]]:
    """The rows of a CSV, TSV, XLSX or XLS file (its first filled sheet) as text. Raises KnowledgeError."""
    if not data.strip():
        raise KnowledgeError(f"“{name}”是空文件。", code="empty")
    source = Source(name, data, limits or ParseLimits())
    if len(data) > source.limits.max_bytes:
        raise UploadTooLarge(f"“{name}”超过 {source.limits.max_bytes // 1024 // 1024} MB，请拆分后再上传。")
    try:
        rows: Iterable[Sequence[object]] = _read(source)
    except ParseRefused as refusal:
        raise KnowledgeError(refusal.message, code=refusal.code) from refusal
    return [[unguard(cell_text(cell)) for cell in row] for row in rows]


def write_table(
    format_name: str, header: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "table"
) -> bytes:
    """`format_name` is csv (with the mark by which Excel knows UTF-8) or xlsx, whose sheet has the title."""
    guarded = ([guard(cell) for cell in row] for row in [list(header), *rows])
    if format_name == "xlsx":
        return _write_xlsx(guarded, title)
    text = StringIO(newline="")
    csv.writer(text).writerows(guarded)
    return text.getvalue().encode("utf-8-sig")


def guard(value: object) -> object:
    """Text that a spreadsheet program would run as a formula is marked as text by an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA) else value


def unguard(text: str) -> str:
    """What `guard` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_STARTS_A_FORMULA) else text


def _read(source: Source) -> Iterable[Sequence[object]]:
    match detect_type(source):
        case FileType.XLSX:
            sheets = read_xlsx(source)
        case FileType.XLS:
            sheets = read_xls(source)
        case FileType.CSV | FileType.TEXT:
            return read_delimited(source)
        case FileType.TSV:
            return read_delimited(source, "\t")
        case _:
            raise ParseRefused("unsupported", "请上传 CSV、TSV、XLSX 或 XLS 表格。")
    return next((rows for _, rows in sheets if rows), [])


def _write_xlsx(rows: Iterable[Sequence[object]], title: str) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:LONGEST_TITLE])
    for row in rows:
        sheet.append(list(row))
    data = BytesIO()
    book.save(data)
    return data.getvalue()
