"""Whose turn it is on a device: the earliest deadline goes first, what has none goes last."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 10.0  # seconds; who has waited longer without a deadline waits like everybody


class Turns:
    """One holder at a time. Work is to take a turn for each batch, so that what is more urgent gets in between."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_taken = False
        self._line: list[Place] = []

    @contextmanager
    def line_up(self, deadline: float | None = None) -> Iterator[Place]:
        """A place in the line until the work is done, between its turns too. `deadline` is a `time.monotonic()`."""
        place = Place(self, math.inf if deadline is None else deadline)
        with self._changed:
            self._line.append(place)
        try:
            yield place
        finally:
            with self._changed:
                self._line.remove(place)
                self._changed.notify_all()

    def _is_first(self, place: Place) -> bool:
        """Of equal deadlines the one that came first."""
        return min(self._line, key=lambda other: other.deadline) is place

    def _wait(self, place: Place, timeout: float | None) -> bool:
        asked = time.monotonic()

        def is_free() -> bool:
            has_waited_long = place.deadline == math.inf and time.monotonic() - asked > PATIENCE
            return not self._is_taken and (has_waited_long or self._is_first(place))

        with self._changed:
            got = self._changed.wait_for(is_free, timeout)
            self._is_taken = self._is_taken or got
        return got

    def _end(self) -> None:
        with self._changed:
            self._is_taken = False
            self._changed.notify_all()


class Place:
    """Whose work stands in the line of a device."""

    def __init__(self, turns: Turns, deadline: float) -> None:
        self._turns = turns
        self.deadline = deadline

    @contextmanager
    def take(self, timeout: float | None = None) -> Iterator[bool]:
        """Gives whether the turn could be had within `timeout` seconds (None: however long it takes)."""
        got = self._turns._wait(self, timeout)
        try:
            yield got
        finally:
            if got:
                self._turns._end()
