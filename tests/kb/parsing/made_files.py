"""Files made for the tests of parsing, as bytes."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date

import docx
import openpyxl
import pypdf
from PIL import Image

from kb.samples import FILES_DIR

SAMPLE_PDF = FILES_DIR / "云岚市住宅专项维修资金管理办法.pdf"
SAMPLE_DOC = FILES_DIR / "云岚市灵活就业人员社会保险补贴办法（2022年）.doc"

_SECTOR = 512
_END_OF_CHAIN = 0xFFFFFFFE
_FREE = 0xFFFFFFFF
_FAT_SECTOR = 0xFFFFFFFD


def make_zip(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def replace_entry(archive: bytes, name: str, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        entries = {entry: source.read(entry) for entry in source.namelist()}
    return make_zip(entries | {name: data})


def make_xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def make_xls(rows: Sequence[Sequence[object]], *, locked: bool = False) -> bytes:
    """A workbook of before 2007 (BIFF8) with one sheet; days are numbers in a format of days."""
    lock = _record(0x2F, b"\0" * 6) if locked else b""
    formats = _record(0xE0, struct.pack("<HH16x", 0, 0)) + _record(0xE0, struct.pack("<HH16x", 0, 14))
    start = _record(0x809, struct.pack("<HHHH8x", 0x600, 5, 0, 0)) + lock + _record(0x42, b"\xb0\x04") + formats
    bound = struct.pack("<BB", 0, 0) + _string("政策", "<B")
    offset = len(start) + 4 + 4 + len(bound) + 4
    book = start + _record(0x85, struct.pack("<I", offset) + bound) + _record(0x0A, b"")
    sheet = _record(0x809, struct.pack("<HHHH8x", 0x600, 16, 0, 0))
    for row, cells in enumerate(rows):
        sheet += b"".join(_cell(row, column, cell) for column, cell in enumerate(cells))
    return make_ole("Workbook", book + sheet + _record(0x0A, b""))


def _cell(row: int, column: int, cell: object) -> bytes:
    if isinstance(cell, date):
        return _record(0x203, struct.pack("<HHHd", row, column, 1, (cell - date(1899, 12, 30)).days))
    if isinstance(cell, int):
        return _record(0x203, struct.pack("<HHHd", row, column, 0, cell))
    return _record(0x204, struct.pack("<HHH", row, column, 0) + _string(str(cell), "<H")) if cell else b""


def _string(text: str, length: str) -> bytes:
    return struct.pack(length, len(text)) + b"\x01" + text.encode("utf-16-le")


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def make_docx(*paragraphs: str) -> bytes:
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def make_encrypted_pdf(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=SAMPLE_PDF)
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def make_scan(*images: Image.Image) -> bytes:
    """A PDF of pictures only."""
    buffer = io.BytesIO()
    images[0].save(buffer, "PDF", save_all=True, append_images=images[1:], resolution=200)
    return buffer.getvalue()


def make_ole(stream_name: str, stream: bytes) -> bytes:
    """An old Office container with one stream of 4096 bytes or more: header, allocation table, directory, stream."""
    stream = stream.ljust(4096, b"\0")
    count = -(-len(stream) // _SECTOR)
    chain = [_FAT_SECTOR, _END_OF_CHAIN, *range(3, 2 + count), _END_OF_CHAIN]
    table = struct.pack("<128I", *(chain + [_FREE] * (128 - len(chain))))
    header = struct.pack("<8s16sHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, 1, 0, 4096, _END_OF_CHAIN, 0, _END_OF_CHAIN, 0)
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    directory = _entry("Root Entry", 5, 1, _END_OF_CHAIN, 0) + _entry(stream_name, 2, _FREE, 2, len(stream))
    return header + table + directory.ljust(_SECTOR, b"\0") + stream.ljust(count * _SECTOR, b"\0")


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    fixed = struct.pack("<64sHBBIII", encoded, len(encoded), kind, 1, _FREE, _FREE, child)
    return fixed + struct.pack("<16sIQQIQ", b"", 0, 0, 0, start, size)
