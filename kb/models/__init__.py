"""What the knowledge base keeps. PostgreSQL (or SQLite) is the truth; the search index can always be thrown away."""

from kb.models.dictionaries import (
    DictionaryChange,
    DictionaryDraft,
    DictionaryEntry,
    DictionaryRelease,
    DictionaryTrial,
)
from kb.models.documents import Department, DocumentVersion, MetadataChange, Passage, PolicyDocument, Upload
from kb.models.fingerprints import SemanticFingerprint
from kb.models.indexes import IndexVersion

__all__ = [
    "Department",
    "DictionaryChange",
    "DictionaryDraft",
    "DictionaryEntry",
    "DictionaryRelease",
    "DictionaryTrial",
    "DocumentVersion",
    "IndexVersion",
    "MetadataChange",
    "Passage",
    "PolicyDocument",
    "SemanticFingerprint",
    "Upload",
]
