"""A choice of reranker that does not stay poor: a better one that could not be had is tried again later."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from reranking.fallback import RerankerChoice
from reranking.types import Ranking, RankingRequest, RerankerInfo

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 300.0, 3600.0  # seconds
Start = Callable[[Callable[[], None]], None]


def start_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="choose-reranker", daemon=True).start()


class RetriedChoice:
    """`make`'s choice. While it is degraded it is made again beside the work, ever less often; who ranks stays so long.

    A choice that stopped working is made again likewise. `make` gets the choice so far (None at first), so that it
    loads nothing twice. `start` runs what may take minutes; `clock` gives seconds. Safe for many threads. It is a
    reranker itself: whoever is chosen at the moment.
    """

    def __init__(
        self,
        make: Callable[[RerankerChoice | None], RerankerChoice],
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
                self._choice = self._make(None)
                self._next_at = self._clock() + self._wait
            choice = self._choice
            is_poor = choice.is_degraded or choice.is_broken
            is_due = is_poor and not self._is_trying and self._clock() >= self._next_at
            self._is_trying = self._is_trying or is_due
        if is_due:
            self._start(self._try_again)
        return choice

    @property
    def info(self) -> RerankerInfo:
        return self.get().reranker.info

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return self.get().reranker.rank(requests)

    def status(self) -> dict[str, Any]:
        return self.get().status()

    def _try_again(self) -> None:
        try:
            choice: RerankerChoice | None = self._make(self._choice)
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
            was_found = choice is not None and not choice.is_degraded
            self._wait = FIRST_WAIT if was_found else min(2 * self._wait, LONGEST_WAIT)
            self._next_at = self._clock() + self._wait
            self._is_trying = False
