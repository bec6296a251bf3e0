"""Whatever bytes come, a file is read or refused: no other error, no endless work."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb.parsing import REFUSAL_CODES, ParseLimits, ParseRefused, parse_file
from kb.parsing.registry import _PARSERS
from kb.parsing.sniffing import FileType
from kb.samples import FILES_DIR
from tests.kb.parsing.made_files import SAMPLE_PDF, make_docx, make_xls, make_xlsx

ROWS = [["标题", "正文"], ["甲办法", "第一条 乙。"]]
WHOLE = {
    "a.docx": make_docx("云岚市租房补贴办法", "第一条 甲。"),
    "a.xlsx": make_xlsx({"政策": ROWS}),
    "a.xls": make_xls(ROWS),
    "a.pdf": SAMPLE_PDF.read_bytes(),
    "a.html": next(FILES_DIR.glob("*.html")).read_bytes(),
    "a.csv": next(FILES_DIR.glob("*.csv")).read_bytes(),
    "a.jsonl": next(FILES_DIR.glob("*.jsonl")).read_bytes(),
    "a.txt": next(FILES_DIR.glob("*.txt")).read_bytes(),
}
OUTCOMES = REFUSAL_CODES | {"read"}
LIMITS = ParseLimits(max_ocr_pages=0, max_pages=20, converter_seconds=1)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parse_or_refuse(name: str, data: bytes) -> str:
    """The code of the refusal, or `read`; what was read must hang together."""
    try:
        parsed = parse_file(name, data, limits=LIMITS)
    except ParseRefused as refusal:
        return refusal.code
    assert parsed.documents
    for document in parsed.documents:
        assert document.title
        assert document.text.strip()
        assert list(document.page_starts) == sorted(document.page_starts)
        assert all(0 <= start <= len(document.text) for start in document.page_starts)
    return "read"


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_read(name: str) -> None:
    assert parse_or_refuse(name, WHOLE[name]) == "read"


@quick
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damaged_files_are_read_or_refused(name: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[name])
    for offset, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=30)
    ):
        damaged[offset] = byte
    end = data.draw(st.integers(1, len(damaged)))
    assert parse_or_refuse(name, bytes(damaged[:end])) in OUTCOMES


@quick
@given(st.sampled_from([*sorted(WHOLE), "a.md", "a.doc", "a", "a.xyz"]), st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    assert parse_or_refuse(name, data) in OUTCOMES


def test_every_type_has_a_parser() -> None:
    assert set(_PARSERS) == set(FileType)
