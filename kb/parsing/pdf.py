"""PDF: the text layer without page furniture, lines joined to paragraphs, the page of everything known."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import pdfplumber
import pypdf
from pdfminer.pdfparser import PDFSyntaxError
from pdfplumber.utils.exceptions import PdfminerException
from pypdf.errors import PyPdfError

from kb.parsing.ocr import read_scanned_pages
from kb.parsing.pdf_lines import Line, page_lines
from kb.parsing.pdf_paragraphs import join_pages, remove_furniture
from kb.parsing.types import Draft, Extracted, ParseRefused, Source

_FEWEST_CHARACTERS = 10
_MANY_CURVES = 50  # letters drawn as outlines
_OCR_NOTE = "由 OCR 识别，可能有错字，请核对原文。"


def parse_pdf(source: Source) -> Extracted:
    """One policy. Scanned pages are read by OCR where it is installed; in a file that has text too they are else left
    out, and it is said.

    Raises ParseRefused: encrypted, corrupt, too_large, empty; ocr_missing for a scan without OCR, no_text_layer for
    one on which nothing could be read.
    """
    _check(source)
    pages, scanned = _read_pages(source)
    has_text = any(_has_text(lines) for lines in pages)
    if not has_text and not scanned:
        raise ParseRefused("empty", "PDF 里没有文字，也没有图片。")
    notes = _add_scanned_pages(source, pages, scanned, may_be_left_out=has_text)
    text, page_starts = assemble(join_pages(remove_furniture(pages)))
    if not text.strip():
        raise ParseRefused("no_text_layer", "这是扫描件，文字识别没有读出任何文字，请上传文字版。")
    return Extracted("pdf" if has_text else "scan", (Draft(text, page_starts=page_starts, warnings=notes),), notes)


def assemble(pages: Sequence[Sequence[str]]) -> tuple[str, tuple[int, ...]]:
    """The text of all pages, and the offset at which each begins. The pieces are put together as they are: one that
    begins a paragraph brings its line break, one that goes on from the page before does not.
    """
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for pieces in pages:
        addition = "".join(pieces)
        if not length:
            addition = addition.lstrip("\n")
        starts.append(length + (1 if addition.startswith("\n") else 0))
        parts.append(addition)
        length += len(addition)
    return "".join(parts), tuple(min(start, length) for start in starts)


def _add_scanned_pages(
    source: Source, pages: list[list[Line]], scanned: Sequence[int], *, may_be_left_out: bool
) -> tuple[str, ...]:
    """Puts what OCR reads into `pages`. Returns what is to be said about it."""
    if not scanned:
        return ()
    shown = "、".join(str(index + 1) for index in scanned[:20])
    try:
        for index, lines in read_scanned_pages(source, scanned).items():
            pages[index] = lines
    except ParseRefused as refusal:
        if not may_be_left_out:
            raise
        return (f"第 {shown} 页是扫描图片，未读出内容，请对照原件：{refusal.message}",)
    return (f"第 {shown} 页是扫描图片，{_OCR_NOTE}" if may_be_left_out else f"扫描件，文字{_OCR_NOTE}",)


def _has_text(lines: Sequence[Line]) -> bool:
    return sum(len(line.text) for line in lines) >= _FEWEST_CHARACTERS


def _broken() -> ParseRefused:
    return ParseRefused("corrupt", "PDF 已损坏，无法打开，请重新导出后再上传。")


def _check(source: Source) -> None:
    try:
        reader = pypdf.PdfReader(BytesIO(source.data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ParseRefused("encrypted", "PDF 设有密码，请去掉密码后再上传。")
        pages = len(reader.pages)
    except PyPdfError as error:
        raise _broken() from error
    except ParseRefused:
        raise
    except Exception as error:  # pypdf reads broken objects with indices and recursion
        raise _broken() from error
    if not pages:
        raise ParseRefused("empty", "PDF 里没有任何页面。")
    if pages > source.limits.max_pages:
        raise ParseRefused("too_large", f"PDF 超过 {source.limits.max_pages} 页，请拆分后再上传。")


def _read_pages(source: Source) -> tuple[list[list[Line]], list[int]]:
    """The lines of each page, and the pages (from 0) that show something but have no text layer."""
    pages: list[list[Line]] = []
    scanned: list[int] = []
    try:
        with pdfplumber.open(BytesIO(source.data)) as pdf:
            for index, page in enumerate(pdf.pages):
                pages.append(page_lines(page))
                if not _has_text(pages[-1]) and (page.images or len(page.curves) > _MANY_CURVES):
                    scanned.append(index)
                page.close()  # frees what pdfplumber caches of the page
    except (PDFSyntaxError, PdfminerException, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise _broken() from error
    return pages, scanned
