"""What is not taken, and the reason given: the type is told by the content first and the name second."""

from __future__ import annotations

import io

import docx
import pytest
from PIL import Image

from kb.parsing import REFUSAL_CODES, ParseLimits, ParseRefused, parse_file
from tests.kb.parsing.made_files import (
    SAMPLE_DOC,
    SAMPLE_PDF,
    make_docx,
    make_encrypted_pdf,
    make_ole,
    make_scan,
    make_xls,
    make_xlsx,
    make_zip,
    replace_entry,
)

POLICY = "云岚市租房补贴办法\n第一条　符合条件的居民可以申请补贴。"
PNG = io.BytesIO()
Image.new("L", (20, 20)).save(PNG, "PNG")
WORD_FLAGS = b"\xec\xa5\xc1\x00" + b"\0" * 6
BOMB = b"<w:document>" + b"0" * 30_000_000
ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "0123456789">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 20) for i in range(9))
    + b']><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>&j;'
    b"</w:t></w:r></w:p></w:body></w:document>"
)

REFUSED = {
    "empty": ("a.txt", b"", "empty"),
    "only white space": ("a.txt", " \r\n　\n".encode(), "empty"),
    "only a byte order mark": ("a.txt", b"\xef\xbb\xbf\n", "empty"),
    "picture": ("a.png", PNG.getvalue(), "unsupported"),
    "picture named as PDF": ("a.pdf", PNG.getvalue(), "unsupported"),
    "program": ("a.exe", b"MZ\x00\x01\x02\x03" * 50, "unsupported"),
    "source code": ("a.py", b"print('a')", "unsupported"),
    "archive": ("a.zip", make_zip({"a.txt": b"a"}), "unsupported"),
    "slides": ("a.pptx", make_zip({"[Content_Types].xml": b"<a/>", "ppt/presentation.xml": b"<a/>"}), "unsupported"),
    "old slides": ("a.ppt", make_ole("PowerPoint Document", b"a"), "unsupported"),
    "noise named as text": ("a.txt", bytes(range(32)) * 40, "corrupt"),
    "noise named as DOCX": ("a.docx", bytes(range(32)) * 40, "corrupt"),
    "text named as PDF": ("a.pdf", POLICY.encode(), "corrupt"),
    "half a PDF": ("a.pdf", SAMPLE_PDF.read_bytes()[:3000], "corrupt"),
    "half a DOCX": ("a.docx", make_docx(POLICY)[:3000], "corrupt"),
    "half a DOC": ("a.doc", SAMPLE_DOC.read_bytes()[:700], "corrupt"),
    "DOCX whose XML is broken": ("a.docx", replace_entry(make_docx(POLICY), "word/document.xml", b"<w"), "corrupt"),
    "XLSX whose XML is broken": ("a.xlsx", replace_entry(make_xlsx({"a": []}), "xl/workbook.xml", b"<w"), "corrupt"),
    "XLS that is none": ("a.xls", make_ole("Workbook", b"a"), "corrupt"),
    "locked PDF": ("a.pdf", make_encrypted_pdf("secret"), "encrypted"),
    "locked DOCX": ("a.docx", make_ole("EncryptedPackage", b"a"), "encrypted"),
    "locked XLS": ("a.xls", make_xls([["标题", "正文"]], locked=True), "encrypted"),
    "locked DOC": ("a.doc", make_ole("WordDocument", WORD_FLAGS + b"\x00\x01"), "encrypted"),
    "zip bomb": ("a.docx", replace_entry(make_docx(POLICY), "word/document.xml", BOMB), "zip_bomb"),
    "zip bomb beside the text": ("a.xlsx", replace_entry(make_xlsx({"a": []}), "xl/media/a.bin", BOMB), "zip_bomb"),
    "entity bomb": ("a.docx", replace_entry(make_docx(POLICY), "word/document.xml", ENTITIES), "corrupt"),
    "DOCX without text": ("a.docx", make_docx("", " "), "empty"),
    "XLSX without text": ("a.xlsx", make_xlsx({"a": [], "b": [[None]]}), "empty"),
    "HTML without text": ("a.html", b"<html><body><script>a()</script></body></html>", "empty"),
    "list of titles": ("a.csv", "标题,发文字号\n云岚市租房补贴办法,云府〔2025〕1号\n".encode(), "no_content_column"),
    "JSONL with a broken line": ("a.jsonl", b'{"title": "a", "content": "b"}\n{"title":', "corrupt"),
    "JSONL of lists": ("a.jsonl", b"[1, 2]\n", "corrupt"),
    "JSONL without text": ("a.jsonl", b'{"title": "a"}\n', "corrupt"),
    "JSONL nested too deep": ("a.jsonl", b"[" * 200_000, "corrupt"),
}


@pytest.mark.parametrize(("name", "data", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_parse_file_refuses(name: str, data: bytes, code: str) -> None:
    with pytest.raises(ParseRefused) as refusal:
        parse_file(name, data)
    assert refusal.value.code == code
    assert code in REFUSAL_CODES
    assert str(refusal.value) == refusal.value.message
    assert any("一" <= char <= "鿿" for char in refusal.value.message)


LIMITED = {
    "bytes": ("a.txt", POLICY.encode() * 100, ParseLimits(max_bytes=1000), "too_large"),
    "characters": ("a.txt", POLICY.encode() * 100, ParseLimits(max_characters=1000), "too_large"),
    "rows": ("a.csv", "标题,正文\n甲,乙\n丙,丁\n".encode(), ParseLimits(max_documents=1), "too_many_documents"),
    "pages": ("a.pdf", SAMPLE_PDF.read_bytes(), ParseLimits(max_pages=1), "too_large"),
    "scanned pages": ("a.pdf", make_scan(*[Image.new("L", (90, 90))] * 3), ParseLimits(max_ocr_pages=2), "too_large"),
    "zip entries": ("a.docx", make_docx(POLICY), ParseLimits(max_zip_entries=3), "zip_bomb"),
    "unpacked bytes": ("a.xlsx", make_xlsx({"a": [["标题"]]}), ParseLimits(max_unpacked_bytes=500), "zip_bomb"),
}


@pytest.mark.parametrize(("name", "data", "limits", "code"), LIMITED.values(), ids=LIMITED.keys())
def test_parse_file_keeps_to_its_limits(name: str, data: bytes, limits: ParseLimits, code: str) -> None:
    with pytest.raises(ParseRefused) as refusal:
        parse_file(name, data, limits=limits)
    assert refusal.value.code == code


HTML = "<!DOCTYPE html><html><body><h1>云岚市租房补贴办法</h1><p>符合条件的居民可以申请补贴。</p></body></html>"
RENAMED = {
    "DOC that is a web page": ("a.doc", HTML.encode(), "html"),
    "DOC that is a web page of fragments": ("a.doc", b"<div>" + POLICY.encode() + b"</div>", "html"),
    "DOC that is DOCX": ("a.doc", make_docx(POLICY), "docx"),
    "HTML that begins with a comment": ("a.html", f"<!-- a --> {HTML}".encode(), "html"),
    "HTML that looks like JavaScript": ("a.html", b"var a = function () {};\n" + HTML.encode(), "html"),
    "TXT that is a web page": ("a.txt", HTML.encode("gb18030"), "html"),
    "no extension": ("政策", POLICY.encode(), "txt"),
    "extension in capitals": ("A.TXT", POLICY.encode(), "txt"),
    "folder in the name": ("C:\\文件\\a.md", POLICY.encode(), "markdown"),
    "XLS that is XLSX": ("a.xls", make_xlsx({"a": [["标题", "正文"], ["甲", "乙"]]}), "xlsx"),
    "bytes before the PDF": ("a.pdf", b"\r\n" + SAMPLE_PDF.read_bytes(), "pdf"),
}


@pytest.mark.parametrize(("name", "data", "expected"), RENAMED.values(), ids=RENAMED.keys())
def test_parse_file_goes_by_the_content(name: str, data: bytes, expected: str) -> None:
    assert parse_file(name, data).format == expected


def test_parse_file_reads_a_pdf_locked_only_against_changes() -> None:
    assert parse_file("a.pdf", make_encrypted_pdf("")).documents[0].title == "云岚市住宅专项维修资金管理办法"


def test_parse_file_takes_the_name_as_title_of_last_resort() -> None:
    document = docx.Document()
    document.add_paragraph("1、甲；2、乙。")
    buffer = io.BytesIO()
    document.save(buffer)
    assert parse_file("云岚市办事须知.docx", buffer.getvalue()).documents[0].title == "云岚市办事须知"
