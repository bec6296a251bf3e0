"""A circuit breaker: a host that failed repeatedly is left alone for a while, then tried once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import HALF_OPENED, OpenedState


class HostLeftAlone(Exception):
    """The breaker is open: the host is not asked."""


class HostBreaker:
    """Opens after `threshold` failures in a row, for `seconds`. Exceptions in `exclude` say nothing against the host.

    After that time one call tries the host; the others leave it alone until that one is back.
    Safe for many threads: its state is changed under a lock, the guarded call itself is not.
    """

    def __init__(self, *, threshold: int, seconds: float, exclude: Sequence[type[Exception]] = ()) -> None:
        self._breakers = SyncCircuitBreakerFactory(
            default_threshold=threshold, default_ttl=seconds, exclude=list(exclude)
        )
        self._lock = threading.Lock()
        self._is_on_trial = False

    @property
    def state(self) -> str:
        """closed, opened or half-opened."""
        return str(self._breakers.get_breaker("host").context.state)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Around a call of the host. Raises HostLeftAlone."""
        breaker = self._breakers.get_breaker("host")
        with self._lock:
            if self._is_on_trial:
                raise HostLeftAlone("host failed repeatedly and is being tried by another call")
            try:
                breaker.__enter__()
            except OpenedState as error:
                raise HostLeftAlone("host failed repeatedly and is left alone for now") from error
            is_trial = self._is_on_trial = breaker.context.state == HALF_OPENED
        caught: BaseException | None = None
        try:
            yield
        except BaseException as error:
            caught = error
            raise
        finally:
            with self._lock:
                breaker.__exit__(type(caught) if caught else None, caught, None)
                self._is_on_trial = self._is_on_trial and not is_trial
