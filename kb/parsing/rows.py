"""Tables in which each row is a policy: columns are known by their names, wherever the header row stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from kb.parsing.cleaning import clean_line, clean_text
from kb.parsing.fields import field_of, is_shown
from kb.parsing.markdown_tables import render_table
from kb.parsing.titles import find_title
from kb.parsing.types import Draft, ParseRefused

Cell = object
Row = Sequence[Cell]

_HEADER_ROWS = 10
_DATES = ("issued_on", "effective_on", "expires_on", "repealed_on")
_METADATA = ("document_number", "issuer", "level", "region", "category", *_DATES)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each field stands: `fields` by name, `shown` the other columns that belong into the text."""

    header_row: int
    fields: dict[str, int]
    shown: dict[str, int]


def read_rows(rows: Sequence[Row], *, name: str) -> tuple[list[Draft], list[str]]:
    """One draft a row, and warnings about rows left out. A table without known columns is one draft: the table.

    `name` is the title of last resort. Raises ParseRefused (no_content_column) where the columns are those of a list
    of policies without their text.
    """
    columns = find_columns(rows)
    if columns is None:
        text = render_table([[cell_text(cell) for cell in row] for row in rows])
        return ([Draft(text, title=name)] if text else []), []
    if "content" not in columns.fields and not columns.shown:
        raise ParseRefused("no_content_column", "表格里没有“正文”或“内容”一列，请补上后再上传。")
    drafts: list[Draft] = []
    empty: list[int] = []
    for number, row in enumerate(rows[columns.header_row + 1 :], start=columns.header_row + 2):
        draft = _read_row(row, columns, number)
        if draft.text:
            drafts.append(draft if draft.title else _with_title(draft, name))
        elif any(cell_text(cell) for cell in row):
            empty.append(number)
    return drafts, [f"第 {'、'.join(map(str, empty[:20]))} 行没有正文，未采用。"] if empty else []


def find_columns(rows: Sequence[Row]) -> Columns | None:
    """The first row that names a title or a text and at least one column more; None where there is none."""
    for number, row in enumerate(rows[:_HEADER_ROWS]):
        fields: dict[str, int] = {}
        for index, cell in enumerate(row):
            if isinstance(cell, str) and len(cell) <= 30 and (field := field_of(cell)):
                fields.setdefault(field, index)
        named = sum(1 for cell in row if cell_text(cell))
        if ("content" in fields or "title" in fields) and (len(fields) > 1 or named > 1):
            shown = {clean_line(str(cell)): index for index, cell in enumerate(row) if is_shown(cell)}
            return Columns(number, fields, shown)
    return None


def cell_text(cell: Cell) -> str:
    """What a cell shows: no `.0` behind whole numbers, days without a time of midnight."""
    if cell is None:
        return ""
    if isinstance(cell, datetime) and not (cell.hour or cell.minute or cell.second):
        return cell.date().isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return clean_text(str(cell))


def _read_row(row: Row, columns: Columns, number: int) -> Draft:
    values = {field: text for field, index in columns.fields.items() if (text := _cell_at(row, index))}
    shown = [f"{label}：{text}" for label, index in columns.shown.items() if (text := _cell_at(row, index))]
    content = values.get("content", "")
    text = "\n".join([content, *shown]) if content or "content" not in columns.fields else ""
    stated: dict[str, str | date] = {field: values[field] for field in _METADATA if field in values}
    external_id = values.get("external_id") or values.get("url", "")
    return Draft(text.strip(), clean_line(values.get("title", "")), external_id, stated=stated, source_row=number)


def _cell_at(row: Row, index: int) -> str:
    return cell_text(row[index]) if index < len(row) else ""


def _with_title(draft: Draft, name: str) -> Draft:
    title = find_title(draft.text) or f"{name}（第 {draft.source_row} 行）"
    return replace(draft, title=title)
