"""What parsing takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

REFUSAL_CODES = frozenset(
    {"unsupported", "empty", "corrupt", "encrypted", "too_large", "too_many_documents", "zip_bomb", "unknown_encoding"}
    | {"no_text_layer", "ocr_missing", "ocr_failed", "converter_missing", "converter_failed", "no_content_column"}
)


class ParseRefused(Exception):
    """The file is not taken. `code` is one of REFUSAL_CODES; `message` tells the reader in Chinese what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one file may cost. Bytes, pages, seconds; `max_ratio` is unpacked over packed size of a zip entry."""

    max_bytes: int = 50 * 1024 * 1024
    max_unpacked_bytes: int = 400 * 1024 * 1024
    max_ratio: int = 200
    max_zip_entries: int = 5_000
    max_documents: int = 50_000
    max_characters: int = 20_000_000
    max_pages: int = 1_000
    max_ocr_pages: int = 200
    converter_seconds: int = 120
    ocr_seconds: int = 600


@dataclass(frozen=True, slots=True)
class PolicyMetadata:
    """What is known of a policy besides its text; '' or None where it says nothing.

    `level` is one of national, province, city, district, street. `expires_on` is the last day in force,
    `repealed_on` the first day out of force. `repeals` names what this policy repeals, as it is cited there.
    """

    document_number: str = ""
    issuer: str = ""
    level: str = ""
    region: str = ""
    category: str = ""
    issued_on: date | None = None
    effective_on: date | None = None
    expires_on: date | None = None
    repealed_on: date | None = None
    repeals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """One policy. `page_starts[i]` is the offset in `text` at which page i + 1 begins; `source_row` counts from 1."""

    title: str
    text: str
    external_id: str = ""
    page_starts: tuple[int, ...] = ()
    metadata: PolicyMetadata = PolicyMetadata()
    source_row: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """All policies of one file; `format` is what the content was, whatever the name says."""

    format: str
    documents: tuple[ParsedDocument, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A file to parse: its name (for the type and, at worst, the title), its bytes and its limits."""

    name: str
    data: bytes
    limits: ParseLimits

    @property
    def suffix(self) -> str:
        """The extension in small letters with its dot; '' without one."""
        stem, dot, suffix = self.name.rpartition(".")
        return f".{suffix.lower()}" if dot and stem and len(suffix) <= 10 else ""

    @property
    def stem(self) -> str:
        """The name without folder and extension: the title of last resort."""
        name = self.name.replace("\\", "/").rpartition("/")[2]
        return name[: -len(self.suffix)] if self.suffix else name


@dataclass(frozen=True, slots=True)
class Draft:
    """What a format's parser found of one policy, before its text is read for what the file did not say."""

    text: str
    title: str = ""
    external_id: str = ""
    page_starts: tuple[int, ...] = ()
    stated: dict[str, str | date] = field(default_factory=dict)  # field of PolicyMetadata -> what the file states
    source_row: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extracted:
    """The drafts of one file and what is to be said about it as a whole."""

    format: str
    drafts: tuple[Draft, ...]
    warnings: tuple[str, ...] = ()
