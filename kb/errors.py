"""What the knowledge base refuses, with a stable code, an HTTP status and a sentence in Chinese."""

from __future__ import annotations


class KnowledgeError(Exception):
    code = "knowledge_error"
    status = 400

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.status = status or self.status


class UploadTooLarge(KnowledgeError):
    code = "too_large"
    status = 413


class WrongVersionState(KnowledgeError):
    """The version has moved on since the page was drawn."""

    code = "wrong_state"
    status = 409


class ReindexRunning(KnowledgeError):
    code = "reindex_running"
    status = 409


class WrongIndexState(KnowledgeError):
    """The index has moved on since the page was drawn."""

    code = "wrong_state"
    status = 409
