"""A choice of reranker that does not stay poor: a better one that could not be had is tried again later."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from reranking.fallback import RerankerChoice

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 300.0, 3600.0  # seconds
Start = Callable[[Callable[[], None]], None]


def start_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="choose-reranker", daemon=True).start()


class RetriedChoice:
    """`make`'s choice. While it is degraded it is made again beside the work, ever less often; who ranks stays so long.

    `start` runs what may take minutes; `clock` gives seconds. Safe for many threads.
    """

    def __init__(
        self,
        make: Callable[[], RerankerChoice],
        *,
        start: Start = start_thread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._start = start
        self._clock = clock
        self._lock = threading.Lock()
        self._choice: RerankerChoice | None = None
        self._wait = FIRST_WAIT
        self._next_at = 0.0
        self._is_trying = False

    def get(self) -> RerankerChoice:
        """What `make` raises the first time is raised; later it is logged."""
        with self._lock:
            if self._choice is None:
                self._choice = self._make()
                self._next_at = self._clock() + self._wait
            choice = self._choice
            is_due = choice.is_degraded and not self._is_trying and self._clock() >= self._next_at
            self._is_trying = self._is_trying or is_due
        if is_due:
            self._start(self._try_again)
        return choice

    def _try_again(self) -> None:
        try:
            choice = self._make()
        except Exception:
            logger.exception("no reranker could be chosen anew")
            choice = None
        with self._lock:
            if choice is not None:
                self._choice = choice
                if not choice.is_degraded:
                    logger.warning(
                        "reranker %s could be had after all and ranks from now on", choice.reranker.info.name
                    )
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._next_at = self._clock() + self._wait
            self._is_trying = False
