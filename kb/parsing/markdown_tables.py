"""Tables as Markdown pipe rows: what every format's tables become in a policy's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPACE = re.compile(r"\s+")


def render_table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as pipe rows under a header row; empty rows and columns are left out. '' for an empty table."""
    grid = [[_clean_cell(cell) for cell in row] for row in rows]
    grid = [row for row in grid if any(row)]
    width = max((len(row) for row in grid), default=0)
    grid = [row + [""] * (width - len(row)) for row in grid]
    kept = [column for column in range(width) if any(row[column] for row in grid)]
    lines = ["| " + " | ".join(row[column] for column in kept) + " |" for row in grid]
    if len(lines) > 1:
        lines.insert(1, "|" + " --- |" * len(kept))
    return "\n".join(lines)


def _clean_cell(cell: str) -> str:
    return _SPACE.sub(" ", cell).strip().replace("|", "｜")
