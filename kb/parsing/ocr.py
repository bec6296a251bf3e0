"""Scanned pages to text by Tesseract, where requirements/ocr.in and the program with chi_sim are installed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from kb.parsing.cleaning import close_spaces
from kb.parsing.pdf_lines import Line
from kb.parsing.types import ParseRefused, Source

_THREADS = "OMP_THREAD_LIMIT"
_LANGUAGES = "chi_sim"
_MISSING = "这是没有文字层的扫描件，服务器没有安装文字识别（OCR），请上传文字版，或请管理员安装 OCR 后重试。"
_LONG_SIDE = 3000  # pixels: about 250 dots an inch on A4


def read_scanned_pages(source: Source, indices: Sequence[int]) -> dict[int, list[Line]]:
    """The lines of the pages named, by index from 0.

    Raises ParseRefused: ocr_missing, too_large for more pages than the limit, or ocr_failed when time is up.
    """
    if len(indices) > source.limits.max_ocr_pages:
        raise ParseRefused("too_large", f"扫描件超过 {source.limits.max_ocr_pages} 页，请拆分后再上传。")
    pypdfium2, pytesseract = _load_libraries()
    deadline = time.monotonic() + source.limits.ocr_seconds
    pages = {}
    document = pypdfium2.PdfDocument(source.data)
    try:
        for index in indices:
            page = document[index]
            scale = _LONG_SIDE / max(*page.get_size(), 1)
            words = _read_words(pytesseract, page.render(scale=scale, grayscale=True).to_pil(), deadline)
            pages[index] = _lines_of(words, scale, page.get_height())
    finally:
        document.close()
    return pages


def _load_libraries() -> tuple[Any, Any]:
    try:
        import pypdfium2
        import pytesseract
    except ImportError as error:
        raise ParseRefused("ocr_missing", _MISSING) from error
    if shutil.which(pytesseract.pytesseract.tesseract_cmd) is None or "chi_sim" not in pytesseract.get_languages():
        raise ParseRefused("ocr_missing", _MISSING)
    return pypdfium2, pytesseract


def _read_words(pytesseract: Any, image: Any, deadline: float) -> dict[str, list[Any]]:
    left = deadline - time.monotonic()
    kind = pytesseract.Output.DICT
    try:
        if left <= 0:
            raise RuntimeError("no time left")
        with _one_thread():
            return dict(pytesseract.image_to_data(image, lang=_LANGUAGES, timeout=left, output_type=kind))
    except RuntimeError as error:  # TesseractError is one too
        raise ParseRefused("ocr_failed", "文字识别超时或失败，请拆分后再上传，或上传文字版。") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tesseract's own threads wait for each other: 12 s a page with two of them, 3 s with one, measured on 2 cores."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before


def _lines_of(words: dict[str, list[Any]], scale: float, height: float) -> list[Line]:
    """Tesseract's words, in pixels, as lines in points."""
    rows: dict[tuple[int, int, int], list[int]] = {}
    for index, text in enumerate(words["text"]):
        if str(text).strip():
            key = (words["block_num"][index], words["par_num"][index], words["line_num"][index])
            rows.setdefault(key, []).append(index)
    lines = []
    for indices in rows.values():
        text = close_spaces(" ".join(str(words["text"][index]) for index in indices))
        tops = [words["top"][index] / scale for index in indices]
        bottoms = [(words["top"][index] + words["height"][index]) / scale for index in indices]
        x0 = min(words["left"][index] for index in indices) / scale
        x1 = max(words["left"][index] + words["width"][index] for index in indices) / scale
        size = median(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
        lines.append(Line(text, x0, x1, min(tops), max(bottoms), size, height))
    return lines
