"""XLSX and XLS: every sheet, one policy a row."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

import openpyxl
import xlrd

from kb.parsing.archives import open_archive
from kb.parsing.rows import Row, read_rows
from kb.parsing.types import Draft, Extracted, ParseRefused, Source

_MAX_ROWS = 200_000


def parse_xlsx(source: Source) -> Extracted:
    return _read_sheets(source, "xlsx", read_xlsx(source))


def parse_xls(source: Source) -> Extracted:
    return _read_sheets(source, "xls", read_xls(source))


def read_xlsx(source: Source) -> list[tuple[str, list[Row]]]:
    """Each sheet's name and rows: the cells' values as last calculated; line breaks inside cells are kept."""
    open_archive(source).close()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that it leaves out
            book = openpyxl.load_workbook(BytesIO(source.data), read_only=True, data_only=True)
            sheets = [(sheet.title, _xlsx_rows(sheet)) for sheet in book.worksheets]
            book.close()
    except ParseRefused:
        raise
    except Exception as error:  # openpyxl lets through whatever its XML and zip readers raise
        raise _broken() from error
    return sheets


def read_xls(source: Source) -> list[tuple[str, list[Row]]]:
    """As `read_xlsx`, of the binary format of before 2007."""
    try:
        book = xlrd.open_workbook(file_contents=source.data, on_demand=True, logfile=StringIO())
        return [(sheet.name, _xls_rows(book, sheet)) for sheet in book.sheets()]
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise ParseRefused("encrypted", "文件设有密码，请去掉密码后再上传。") from error
        raise _broken() from error
    except Exception as error:  # xlrd reads broken records with struct and list indices
        raise _broken() from error


def _xlsx_rows(sheet: Any) -> list[Row]:
    sheet.reset_dimensions()  # what some exporters state is wrong
    return _without_empty_tail(islice(sheet.iter_rows(values_only=True), _MAX_ROWS))


def _xls_rows(book: xlrd.Book, sheet: xlrd.sheet.Sheet) -> list[Row]:
    return _without_empty_tail([_xls_value(book, cell) for cell in sheet.row(number)] for number in range(sheet.nrows))


def _xls_value(book: xlrd.Book, cell: xlrd.sheet.Cell) -> object:
    if cell.ctype == xlrd.XL_CELL_DATE:
        return xlrd.xldate_as_datetime(cell.value, book.datemode)
    return None if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR) else cell.value


def _without_empty_tail(rows: Iterable[Row]) -> list[Row]:
    kept: list[Row] = []
    last = 0
    for row in rows:
        kept.append(row)
        if any(cell not in (None, "") for cell in row):
            last = len(kept)
    return kept[:last]


def _read_sheets(source: Source, format_name: str, sheets: Sequence[tuple[str, list[Row]]]) -> Extracted:
    drafts: list[Draft] = []
    notes: list[str] = []
    filled = [(title, rows) for title, rows in sheets if rows]
    for title, rows in filled:
        name = source.stem if len(filled) == 1 else f"{source.stem} {title}"
        found, warned = read_rows(rows, name=name)
        drafts += found
        notes += [f"工作表“{title}”{note}" for note in warned]
    return Extracted(format_name, tuple(drafts), tuple(notes))


def _broken() -> ParseRefused:
    return ParseRefused("corrupt", "表格已损坏，无法打开，请重新保存后再上传。")
