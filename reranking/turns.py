"""Whose turn it is on a device: what has a deadline goes before what has none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 10.0  # seconds; who has waited longer without a deadline waits like everybody


class Turns:
    """One holder at a time. Work without a deadline is to take a turn for each batch, so that hurried work gets in."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_taken = False
        self._hurried = 0  # how many with a deadline wait

    @contextmanager
    def take(self, *, hurried: bool, timeout: float | None = None) -> Iterator[bool]:
        """Gives whether the turn could be had within `timeout` seconds (None: however long it takes)."""
        got = self._wait(hurried, timeout)
        try:
            yield got
        finally:
            if got:
                with self._changed:
                    self._is_taken = False
                    self._changed.notify_all()

    def _wait(self, hurried: bool, timeout: float | None) -> bool:
        asked = time.monotonic()

        def is_free() -> bool:
            goes_first = hurried or not self._hurried or time.monotonic() - asked > PATIENCE
            return goes_first and not self._is_taken

        with self._changed:
            self._hurried += hurried
            try:
                got = self._changed.wait_for(is_free, timeout)
                self._is_taken = self._is_taken or got
            finally:
                self._hurried -= hurried
                self._changed.notify_all()
        return got
