"""How fast a model reads: what deadlines are kept by."""

from __future__ import annotations

import statistics
from collections import deque

SAMPLES = 5
DOUBT = 0.8  # what is left of a pace that is doubted
SMALL_SHARE = 8  # a pack of less than an eighth of a full one


class Pace:
    """Seconds a token costs, by the last packs.

    Their median, so that one stall of the machine says nothing of the next pack. A small pack costs a device about
    what a fuller one does: it may show that the pace is better than thought, not that it is worse.
    """

    def __init__(self, seconds_per_token: float = 0.0) -> None:
        self._samples: deque[float] = deque([seconds_per_token] if seconds_per_token else [], maxlen=SAMPLES)
        self._is_guess = False

    @property
    def seconds_per_token(self) -> float:
        """0.0 while nothing has been measured."""
        return statistics.median_low(self._samples) if self._samples else 0.0

    def learn(self, tokens: int, seconds: float, *, full: int) -> None:
        """From a pack of `tokens`, where a full one has `full`."""
        if self._is_guess:
            self._samples.clear()
            self._is_guess = False
        known, sample = self.seconds_per_token, seconds / tokens
        if not known or sample < known or tokens * SMALL_SHARE >= full:
            self._samples.append(sample)

    def affordable(self, seconds: float) -> int | None:
        """Tokens that can be read in so many seconds; None while nothing has been measured."""
        known = self.seconds_per_token
        return int(max(0.0, seconds) / known) if known else None

    def doubt(self) -> None:
        """By this pace nothing can be done in time. Were it wrong, nothing would ever run to show it."""
        guess = self.seconds_per_token * DOUBT
        self._samples.clear()
        self._samples.append(guess)
        self._is_guess = True
