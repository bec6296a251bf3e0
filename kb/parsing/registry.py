"""Which parser reads which type, and the checks that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from kb.parsing.metadata import complete_metadata
from kb.parsing.sniffing import FileType, detect_type
from kb.parsing.titles import find_title
from kb.parsing.types import Draft, Extracted, ParsedDocument, ParsedFile, ParseLimits, ParseRefused, Source

Parser = Callable[[Source], Extracted]

_PARSERS = {
    FileType.TEXT: "kb.parsing.plain_text:parse_text",
    FileType.MARKDOWN: "kb.parsing.plain_text:parse_markdown",
    FileType.CSV: "kb.parsing.delimited:parse_csv",
    FileType.TSV: "kb.parsing.delimited:parse_tsv",
    FileType.JSONL: "kb.parsing.json_lines:parse_jsonl",
    FileType.XLSX: "kb.parsing.spreadsheets:parse_xlsx",
    FileType.XLS: "kb.parsing.spreadsheets:parse_xls",
    FileType.HTML: "kb.parsing.web_page:parse_html",
    FileType.DOCX: "kb.parsing.word:parse_docx",
    FileType.DOC: "kb.parsing.office:parse_doc",
    FileType.RTF: "kb.parsing.office:parse_rtf",
    FileType.PDF: "kb.parsing.pdf:parse_pdf",
}
_DEFAULT_LIMITS = ParseLimits()


def parse_file(name: str, data: bytes, *, limits: ParseLimits = _DEFAULT_LIMITS) -> ParsedFile:
    """Read a policy file: one document for most formats, one for each row of tables and JSONL.

    Raises ParseRefused with the reason; then nothing of the file is to be stored. The type is told by the content
    first and the name second.
    """
    if not data.strip():
        raise ParseRefused("empty", "文件是空的，没有任何内容。")
    if len(data) > limits.max_bytes:
        raise ParseRefused("too_large", f"文件大于 {limits.max_bytes // 1024 // 1024} MB，请拆分后再上传。")
    source = Source(name, data, limits)
    extracted = _load(_PARSERS[detect_type(source)])(source)
    drafts = [draft for draft in extracted.drafts if draft.text.strip()]
    _check_amount(drafts, limits)
    documents = tuple(_complete(draft, source) for draft in drafts)
    return ParsedFile(extracted.format, documents, extracted.warnings)


def _load(path: str) -> Parser:
    """A parser is imported when first used: a search worker needs neither PDF nor spreadsheet libraries."""
    module, _, function = path.partition(":")
    parser: Parser = getattr(import_module(module), function)
    return parser


def _check_amount(drafts: list[Draft], limits: ParseLimits) -> None:
    if not drafts:
        raise ParseRefused("empty", "文件里没有读到文字。")
    if len(drafts) > limits.max_documents:
        raise ParseRefused("too_many_documents", f"一个文件最多 {limits.max_documents} 条政策，请拆分后再上传。")
    if sum(len(draft.text) for draft in drafts) > limits.max_characters:
        raise ParseRefused("too_large", f"文字超过 {limits.max_characters // 10000} 万字，请拆分后再上传。")


def _complete(draft: Draft, source: Source) -> ParsedDocument:
    title = draft.title or find_title(draft.text) or source.stem
    metadata, warnings = complete_metadata(title, draft.text, draft.stated)
    document = ParsedDocument(title[:500], draft.text, draft.external_id[:200], draft.page_starts, metadata)
    return replace(document, source_row=draft.source_row, warnings=draft.warnings + warnings)
