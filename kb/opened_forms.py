"""A form that was opened before somebody else saved: refused, instead of writing old values over the newer ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kb.errors import KnowledgeError

NOT_SAVED = "你打开这一页之后有人改过这里，没有保存。你填的还在；请先看现在的内容，要用你填的就再保存一次。"


class ChangedMeanwhile(KnowledgeError):
    """What the form changes is not what it was when the form was opened."""

    code = "changed_meanwhile"
    status = 409

    def __init__(self, message: str = NOT_SAVED) -> None:
        super().__init__(message)


def digest_values(values: Mapping[str, Any]) -> str:
    """What a form carries along, to say which values it was opened over."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def refuse_changed(opened: str, now: Mapping[str, Any], *, message: str = NOT_SAVED) -> None:
    """Raises ChangedMeanwhile where a form was `opened` over other values than those of `now`; empty: not asked."""
    if opened and opened != digest_values(now):
        raise ChangedMeanwhile(message)


def keep_opened(opened: str, error: Exception) -> str:
    """What a form drawn again carries: what it was `opened` over; nothing once ChangedMeanwhile has said so."""
    return "" if isinstance(error, ChangedMeanwhile) else opened
