"""PDF: lines to paragraphs, page furniture, tables, pages; scans by OCR where it is installed."""

from __future__ import annotations

import difflib
import importlib.util
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pypdf
import pypdfium2
import pytest
from PIL import Image

from kb.parsing import ParseLimits, ParseRefused, parse_file
from kb.parsing.pdf import assemble
from kb.parsing.pdf_lines import Line
from kb.parsing.pdf_paragraphs import join_pages, remove_furniture
from kb.passages import split_passages
from tests.kb.parsing.made_files import SAMPLE_PDF, make_scan

HEIGHT = 842.0
SIZE = 16.0
LEFT, RIGHT = 90.0, 506.0  # 26 characters

needs_ocr = pytest.mark.skipif(
    shutil.which("tesseract") is None or importlib.util.find_spec("pytesseract") is None,
    reason="OCR (requirements/ocr.in and tesseract) is not installed",
)


def line(text: str, top: float = 400, *, x0: float = LEFT, x1: float = RIGHT, size: float = SIZE) -> Line:
    return Line(text, x0, x1, top, top + size, size, HEIGHT)


def page(number: int, *, body: Sequence[str] = ("甲" * 26,) * 9) -> list[Line]:
    lines = [line("云岚市人民政府公报", 40, x0=200, x1=400), *(line(text, 150 + 28 * i) for i, text in enumerate(body))]
    return [*lines, line(f"— {number} —", 790, x0=280, x1=320)]


def joined(*pages: Sequence[Line]) -> str:
    return assemble(join_pages(pages))[0]


def test_broken_lines_are_joined() -> None:
    lines = [
        line("第一条 符合条件的居民可以向所在地的街道办事处申请住", x0=122),
        line("房补贴。", x1=154),
        line("第二条 甲。", x0=122),
    ]
    assert joined(lines) == "第一条 符合条件的居民可以向所在地的街道办事处申请住房补贴。\n第二条 甲。"


@pytest.mark.parametrize(
    "after",
    [
        line("乙" * 24, x0=LEFT + 2 * SIZE),
        line("（一）乙"),
        line("三、乙"),
        line("2.乙"),
        line("第二条 乙"),
        line("附件1"),
        line("乙" * 10, size=24.0),
        Line("| 乙 |", LEFT, RIGHT, 430, 500, 0.0, HEIGHT, is_table=True),
    ],
    ids=["indented", "item", "heading", "number", "article", "attachment", "larger", "table"],
)
def test_a_new_paragraph_is_not_joined(after: Line) -> None:
    assert joined([line("甲" * 26), line("甲" * 26), after]) == f"{'甲' * 52}\n{after.text}"


def test_a_short_line_ends_its_paragraph() -> None:
    assert joined([line("甲" * 26), line("甲。", x1=122), line("乙" * 26)]) == f"{'甲' * 26}甲。\n{'乙' * 26}"


def test_latin_words_keep_their_space_where_a_line_breaks() -> None:
    assert (
        joined([line("甲（severe acute"), line("respiratory syndrome）乙")])
        == "甲（severe acute respiratory syndrome）乙"
    )


def test_page_numbers_and_running_headers_go() -> None:
    pages = remove_furniture([page(number) for number in range(1, 5)])
    assert {item.text for lines in pages for item in lines} == {"甲" * 26}


@pytest.mark.parametrize("text", ["1", "- 12 -", "—3—", "第 4 页", "第5页 共10页", "6/10", "iv", "· 7 ·"])
def test_a_page_number_goes_in_every_spelling(text: str) -> None:
    assert remove_furniture([[line("甲。"), line(text, 800)]]) == [[line("甲。")]]


def test_a_number_in_the_middle_of_a_page_stays() -> None:
    lines = [line("甲。", 300), line("12", 400), line("乙。", 500)]
    assert remove_furniture([lines]) == [lines]


def test_a_title_worded_as_the_running_header_stays() -> None:
    first = [line("云岚市人民政府公报", 40), line("云岚市人民政府公报", 96), line("甲。")]
    pages = remove_furniture([first, page(2), page(3), page(4)])
    assert [item.text for item in pages[0]] == ["云岚市人民政府公报", "甲。"]


def test_a_sentence_goes_on_over_the_page() -> None:
    text, starts = assemble(join_pages(remove_furniture([page(1), page(2, body=["乙" * 26] * 9), page(3)])))
    assert text == "甲" * 234 + "乙" * 234 + "甲" * 234
    assert starts == (0, 234, 468)


def test_assemble_counts_pages_from_their_first_letter() -> None:
    text, starts = assemble([["\n甲。", "\n乙，"], [], ["丙。", "\n丁。"], ["\n戊。"]])
    assert text == "甲。\n乙，丙。\n丁。\n戊。"
    assert [text[start] for start in starts] == ["甲", "丙", "丙", "戊"]


def test_sample_pdf_gives_text_table_and_pages() -> None:
    document = parse_file("a.pdf", SAMPLE_PDF.read_bytes()).documents[0]
    assert document.text.startswith("云岚市住宅专项维修资金管理办法\n云府规〔2023〕3号\n")
    assert (
        "\n| 房屋类型 | 每平方米建筑面积交存标准（元） |\n| --- | --- |\n| 多层住宅（不配备电梯） | 60 |"
        in document.text
    )
    assert document.text.count("云岚市住宅专项维修资金管理办法") == 1  # the running header is gone
    pages = [span.page for span in split_passages(document.text, page_starts=document.page_starts)]
    assert pages == sorted(pages)
    assert set(pages) == {1, 2, 3}


def test_sample_pdf_agrees_with_the_text_it_was_made_of() -> None:
    source = SAMPLE_PDF.parents[1] / "texts" / f"{SAMPLE_PDF.stem}.txt"
    expected = "".join(source.read_text(encoding="utf-8").split())
    found = "".join(parse_file("a.pdf", SAMPLE_PDF.read_bytes()).documents[0].text.split())
    assert difflib.SequenceMatcher(None, expected, found, autojunk=False).ratio() >= 0.99


def test_pdf_with_a_blank_page_is_read_without_a_word(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=SAMPLE_PDF)
    writer.add_blank_page(width=595, height=842)
    writer.write(tmp_path / "a.pdf")
    parsed = parse_file("a.pdf", (tmp_path / "a.pdf").read_bytes())
    assert (parsed.format, parsed.warnings) == ("pdf", ())
    assert len(parsed.documents[0].page_starts) == 4


def test_pdf_of_blank_pages_is_refused(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(width=595, height=842)
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.pdf", (tmp_path / "a.pdf").read_bytes())
    assert refusal.value.code == "empty"


def with_scanned_page(picture: Image.Image) -> bytes:
    """The sample with a picture as its fourth page."""
    writer = pypdf.PdfWriter(clone_from=SAMPLE_PDF)
    writer.append(io.BytesIO(make_scan(picture)))
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_pdf_with_a_scanned_page_says_that_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytesseract", None)
    parsed = parse_file("a.pdf", with_scanned_page(Image.new("L", (200, 200), 255)))
    assert parsed.format == "pdf"
    assert parsed.warnings[0].startswith("第 4 页是扫描图片，未读出内容")
    assert parsed.documents[0].warnings == parsed.warnings


@needs_ocr
@pytest.mark.slow
def test_pdf_with_a_scanned_page_has_it_read_by_ocr() -> None:
    parsed = parse_file("a.pdf", with_scanned_page(picture_of_first_page()))
    document = parsed.documents[0]
    assert "住宅专项维修资金" in document.text[document.page_starts[3] :]
    assert parsed.warnings == ("第 4 页是扫描图片，由 OCR 识别，可能有错字，请核对原文。",)


def picture_of_first_page() -> Image.Image:
    document = pypdfium2.PdfDocument(SAMPLE_PDF)
    picture: Image.Image = document[0].render(scale=200 / 72, grayscale=True).to_pil()
    document.close()
    return picture


def test_scan_without_ocr_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytesseract", None)
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.pdf", make_scan(Image.new("L", (200, 200), 255)))
    assert refusal.value.code == "ocr_missing"


def test_scan_without_tesseract_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.pdf", make_scan(Image.new("L", (200, 200), 255)))
    assert refusal.value.code == "ocr_missing"


@needs_ocr
def test_scan_without_letters_is_refused() -> None:
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.pdf", make_scan(Image.new("L", (800, 1000), 255)))
    assert refusal.value.code == "no_text_layer"


@needs_ocr
def test_scan_that_takes_too_long_is_refused() -> None:
    with pytest.raises(ParseRefused) as refusal:
        parse_file("a.pdf", make_scan(Image.new("L", (800, 1000), 255)), limits=ParseLimits(ocr_seconds=0))
    assert refusal.value.code == "ocr_failed"


@needs_ocr
@pytest.mark.slow
def test_scan_is_read_by_ocr() -> None:
    """The first page of a sample, rendered to a picture: what comes back is the text but for a few characters."""
    expected_file = parse_file("a.pdf", SAMPLE_PDF.read_bytes()).documents[0]
    expected = "".join(expected_file.text[: expected_file.page_starts[1]].split()).replace("|", "")
    parsed = parse_file("a.pdf", make_scan(picture_of_first_page()))
    found = "".join(parsed.documents[0].text.split()).replace("|", "")
    assert parsed.format == "scan"
    assert "OCR" in parsed.warnings[0]
    assert difflib.SequenceMatcher(None, expected, found, autojunk=False).ratio() >= 0.9
