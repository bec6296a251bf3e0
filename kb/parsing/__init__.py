"""Policy files to text and metadata. `parse_file` is the one way in; `registry` picks the module of the format."""

from kb.parsing.registry import parse_file
from kb.parsing.types import REFUSAL_CODES, ParsedDocument, ParsedFile, ParseLimits, ParseRefused, PolicyMetadata

__all__ = [
    "REFUSAL_CODES",
    "ParseLimits",
    "ParseRefused",
    "ParsedDocument",
    "ParsedFile",
    "PolicyMetadata",
    "parse_file",
]
