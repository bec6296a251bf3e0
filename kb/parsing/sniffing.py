"""What a file is: by its first bytes, then by its name. A `.doc` may be a web page, a `.html` look like JavaScript."""

from __future__ import annotations

import re
import struct
from enum import StrEnum
from io import BytesIO

import olefile

from kb.parsing.archives import open_archive
from kb.parsing.decoding import looks_binary
from kb.parsing.types import ParseRefused, Source


class FileType(StrEnum):
    TEXT = "txt"
    MARKDOWN = "markdown"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    XLSX = "xlsx"
    XLS = "xls"
    HTML = "html"
    DOCX = "docx"
    DOC = "doc"
    RTF = "rtf"
    PDF = "pdf"


_BY_SUFFIX = {
    "": FileType.TEXT,
    ".txt": FileType.TEXT,
    ".text": FileType.TEXT,
    ".md": FileType.MARKDOWN,
    ".markdown": FileType.MARKDOWN,
    ".csv": FileType.CSV,
    ".tsv": FileType.TSV,
    ".jsonl": FileType.JSONL,
    ".ndjson": FileType.JSONL,
    ".html": FileType.HTML,
    ".htm": FileType.HTML,
    ".shtml": FileType.HTML,
    ".xhtml": FileType.HTML,
}
_BINARY_SUFFIXES = {".pdf", ".doc", ".docx", ".wps", ".xls", ".xlsx", ".et", ".rtf"}
_SUPPORTED = "TXT、Markdown、CSV、TSV、XLSX、XLS、JSONL、HTML、DOCX、DOC、WPS、PDF"
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_HTML_TAG = re.compile(rb"<(?:html|body|table|div|p)[\s>]", re.I)
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")


def detect_type(source: Source) -> FileType:
    """The type of a file. Raises ParseRefused: unsupported, encrypted, corrupt or zip_bomb."""
    head = source.data[:8192]
    if b"%PDF-" in head[:1024]:
        return FileType.PDF
    if head.startswith(b"PK\x03\x04"):
        return _detect_zip(source)
    if head.startswith(olefile.MAGIC):
        return _detect_ole(source)
    if head.startswith(b"{\\rtf"):
        return FileType.RTF
    if head.startswith(_IMAGES):
        raise ParseRefused("unsupported", "不支持图片，请上传文字版，或把扫描件存为 PDF。")
    return _detect_text(source, head)


def _detect_text(source: Source, head: bytes) -> FileType:
    by_name = _BY_SUFFIX.get(source.suffix)
    if looks_binary(head):
        if source.suffix in _BINARY_SUFFIXES or by_name:
            raise ParseRefused("corrupt", "文件内容与扩展名不符，可能已损坏，请重新保存后再上传。")
        raise _unsupported(source)
    if _HTML_START.match(head) and by_name not in {FileType.MARKDOWN, FileType.JSONL}:
        return FileType.HTML
    if by_name:
        return by_name
    if source.suffix in _BINARY_SUFFIXES:
        if _HTML_TAG.search(head):
            return FileType.HTML
        raise ParseRefused("corrupt", "文件内容与扩展名不符，可能已损坏，请重新保存后再上传。")
    raise _unsupported(source)


def _detect_zip(source: Source) -> FileType:
    with open_archive(source) as archive:
        names = set(archive.namelist())
    if "word/document.xml" in names:
        return FileType.DOCX
    if "xl/workbook.xml" in names:
        return FileType.XLSX
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise _unsupported(source)
    raise ParseRefused("unsupported", "不支持压缩包，请解压后上传其中的文件。")


def _detect_ole(source: Source) -> FileType:
    """The old Office container: which program wrote it, and whether it is locked."""
    try:
        with olefile.OleFileIO(BytesIO(source.data)) as container:
            if container.exists("EncryptedPackage"):
                raise ParseRefused("encrypted", "文件设有密码，请去掉密码后再上传。")
            if container.exists("Workbook") or container.exists("Book"):
                return FileType.XLS
            if not container.exists("WordDocument"):
                raise _unsupported(source)
            if _is_encrypted_word(container):
                raise ParseRefused("encrypted", "文件设有密码，请去掉密码后再上传。")
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise ParseRefused("corrupt", "文件已损坏，无法打开，请重新保存后再上传。") from error
    return FileType.DOC


def _is_encrypted_word(container: olefile.OleFileIO) -> bool:
    """Bit 8 of the flags at offset 10 of the file information block: the text is encrypted ([MS-DOC] 2.5.2)."""
    with container.openstream("WordDocument") as stream:
        header = stream.read(12)
    return len(header) == 12 and bool(header[11] & 0x01)


def _unsupported(source: Source) -> ParseRefused:
    kind = f"“{source.suffix}”" if source.suffix else "这种"
    return ParseRefused("unsupported", f"不支持{kind}文件。可以上传：{_SUPPORTED}。")
