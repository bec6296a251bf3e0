"""Dictionary rows as tables: any order of columns, Chinese or English headings, one dictionary or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kb.dictionary_kinds import KINDS, EntryValues
from kb.errors import KnowledgeError

MOST_ROWS = 100_000
HEADER = ("词典", "词", "对应", "类别", "权重", "双向", "词频")

_FIELDS = dict(zip(HEADER, EntryValues._fields, strict=True)) | {
    "kind": "kind",
    **dict.fromkeys(("text", "term", "name"), "text"),
    **dict.fromkeys(("other", "official", "subject", "parent"), "other"),
    **dict.fromkeys(("label", "position", "category", "level"), "label"),
    **{name: name for name in ("weight", "both", "frequency")},
    **{heading: field for kind in KINDS.values() for field, heading in kind.columns.items()},
}
_KINDS = {kind.name: kind.key for kind in KINDS.values()} | {key: key for key in KINDS}


def read_entry_rows(table: Sequence[Sequence[str]], *, kind: str = "") -> list[tuple[int, dict[str, Any]]]:
    """Each row's line, from 1, and its values, not yet checked. `kind`: of rows that do not name theirs.

    Raises KnowledgeError where the headings say too little, or there are too many rows.
    """
    if len(table) > MOST_ROWS:
        raise KnowledgeError(f"一次最多导入 {MOST_ROWS} 行，请拆分后再导入。", code="too_many_rows")
    header = [_FIELDS.get(cell.strip().lower(), "") for cell in table[0]] if table else []
    if "text" not in header:
        raise KnowledgeError(f"第一行应是表头，至少有“词”一列。可用的表头：{'、'.join(HEADER)}。", code="no_header")
    if "kind" not in header and kind not in KINDS:
        raise KnowledgeError("表里没有“词典”一列，请选择导入到哪一部词典。", code="no_kind")
    rows = []
    for line, cells in enumerate(table[1:], start=2):
        values = {field: cell.strip() for field, cell in zip(header, cells, strict=False) if field}
        if any(values.values()):
            named = values.get("kind", "")
            rows.append((line, {**values, "kind": _KINDS.get(named, named) or kind}))
    return rows


def list_entry_rows(entries: Iterable[EntryValues]) -> Iterator[Sequence[object]]:
    """Under HEADER, what `read_entry_rows` reads again."""
    for entry in entries:
        kind = KINDS[entry.kind]
        yield (
            kind.name,
            entry.text,
            entry.other,
            kind.label_of(entry.label),
            entry.weight if "weight" in kind.columns else "",
            ("是" if entry.both else "否") if "both" in kind.columns else "",
            entry.frequency or "",
        )
