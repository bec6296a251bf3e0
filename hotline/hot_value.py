"""A value that the newest row of a table decides: every process sees a new one within seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import transaction

T = TypeVar("T")
CHECK_SECONDS = 2.0


class HotValue(Generic[T]):
    """`find_key` is asked every CHECK_SECONDS and must be cheap; `load` only when the key has changed."""

    _all: list[HotValue[object]] = []

    def __init__(self, *, find_key: Callable[[], int | None], load: Callable[[int | None], T]) -> None:
        self._find_key, self._load = find_key, load
        self._lock = threading.Lock()
        self._kept: tuple[int | None, T] | None = None
        self._checked_at = float("-inf")
        HotValue._all.append(self)  # type: ignore[arg-type]

    def get(self) -> T:
        kept = self._kept
        if kept is not None and time.monotonic() - self._checked_at < CHECK_SECONDS:
            return kept[1]
        with self._lock:
            key = self._find_key()
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, self._load(key))
            self._checked_at = time.monotonic()
            return self._kept[1]

    def forget(self) -> None:
        """Look again at the next use."""
        self._checked_at = float("-inf")

    def forget_on_commit(self) -> None:
        """For whoever has just written the row: at once here, in the other processes within CHECK_SECONDS."""
        self.forget()
        transaction.on_commit(self.forget)


def forget_all() -> None:
    """For tests, whose rows vanish between them."""
    for value in HotValue._all:
        value._kept = None
        value.forget()
