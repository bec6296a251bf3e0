"""Scores that were computed before: kept in memory or Redis, and computed once when several threads want them.

A score depends on nothing but what `score_key` takes, so a cached score is exact. A cache never fails a ranking:
what it cannot give is a miss.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from reranking.types import NonFiniteScore

logger = logging.getLogger(__name__)

DAY_SECONDS = 24 * 60 * 60


class ScoreCache(Protocol):
    """Log-odds by `score_key`. Safe to use from many threads; never raises for a fault of the store."""

    def get_many(self, keys: Sequence[str]) -> dict[str, float]:
        """The scores that are known; unknown keys are left out."""
        ...

    def set_many(self, scores: Mapping[str, float]) -> None:
        """Raises NonFiniteScore: such a score is never stored."""
        ...


def score_key(
    *,
    revision: str,
    dtype: str,
    template: str,
    instruction: str,
    query: str,
    document: str,
    max_length: int,
) -> str:
    """A key of 48 hexadecimal digits for one score. Every part is length-prefixed: no two sets collide by joining."""
    digest = hashlib.blake2b(digest_size=24, person=b"score-key-1")
    for part in (
        revision,
        dtype,
        template,
        instruction,
        query,
        document,
        str(max_length),
    ):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


class NullScoreCache:
    """Remembers nothing."""

    def get_many(self, keys: Sequence[str]) -> dict[str, float]:
        return {}

    def set_many(self, scores: Mapping[str, float]) -> None:
        refuse_non_finite(scores)


class MemoryScoreCache:
    """The last used `max_entries` scores of this process (about 200 bytes each)."""

    def __init__(self, max_entries: int = 100_000) -> None:
        if max_entries < 1:
            raise ValueError("max_entries must be at least 1")
        self._max_entries = max_entries
        self._scores: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many scores it holds. Not `__len__`: an empty cache must not be false."""
        return len(self._scores)

    def get_many(self, keys: Sequence[str]) -> dict[str, float]:
        with self._lock:
            found = {key: self._scores[key] for key in keys if key in self._scores}
            for key in found:
                self._scores.move_to_end(key)
        return found

    def set_many(self, scores: Mapping[str, float]) -> None:
        refuse_non_finite(scores)
        with self._lock:
            for key, score in scores.items():
                self._scores[key] = score
                self._scores.move_to_end(key)
            while len(self._scores) > self._max_entries:
                self._scores.popitem(last=False)


class RedisScoreCache:
    """Scores shared by all processes. The client is handed in (with its time-outs); entries live `ttl_seconds`.

    A Redis that is away, slow or holds something else under a key is logged and counts as a miss. After a failure it
    is left alone for `pause_seconds`: a cache must not cost more time than it saves.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        ttl_seconds: int = 7 * DAY_SECONDS,
        prefix: str = "rerank:score:",
        pause_seconds: float = 10.0,
    ) -> None:
        self._client = client
        self._ttl_seconds = ttl_seconds
        self._prefix = prefix
        self._pause_seconds = pause_seconds
        self._resumes_at = 0.0

    def get_many(self, keys: Sequence[str]) -> dict[str, float]:
        if not keys or self._is_paused():
            return {}
        try:
            values: Any = self._client.mget([self._prefix + key for key in keys])
        except redis.RedisError as error:
            self._pause(error)
            return {}
        found = {key: _parse_score(value) for key, value in zip(keys, values, strict=True)}
        return {key: score for key, score in found.items() if score is not None}

    def set_many(self, scores: Mapping[str, float]) -> None:
        refuse_non_finite(scores)
        if not scores or self._is_paused():
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for key, score in scores.items():
                    pipeline.set(self._prefix + key, repr(float(score)), ex=self._ttl_seconds)
                pipeline.execute()
        except redis.RedisError as error:
            self._pause(error)

    def _is_paused(self) -> bool:
        return time.monotonic() < self._resumes_at

    def _pause(self, error: redis.RedisError) -> None:
        logger.warning("score cache is not used for %.0f s, every score a miss: %s", self._pause_seconds, error)
        self._resumes_at = time.monotonic() + self._pause_seconds


@dataclass(frozen=True, slots=True)
class SharedResult:
    """`scores` of the keys that could be had in time; `cached` names those that cost this caller no model time."""

    scores: dict[str, float]
    cached: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A key that a thread is at work on; by its `deadline` (None: some time) the thread has let go of it."""

    future: Future[float | None]
    deadline: float | None

    def ends_by(self, deadline: float | None) -> bool:
        return deadline is None or (self.deadline is not None and self.deadline <= deadline)


class SharedScores:
    """A cache whose misses are computed once, however many threads ask for them at the same moment.

    But for those in a hurry: they do not wait for a thread that may take longer than they can wait.
    """

    def __init__(self, cache: ScoreCache) -> None:
        self._cache = cache
        self._in_flight: dict[str, _Claim] = {}
        self._lock = threading.Lock()

    def get_or_compute(
        self,
        keys: Sequence[str],
        compute: Callable[[list[str]], Mapping[str, float]],
        *,
        timeout: float | None = None,
    ) -> SharedResult:
        """`compute` gets the keys nobody knows or is computing, in order; it may leave out what it had no time for.

        `timeout` (seconds) bounds the wait for other threads; None waits as long as they compute. What a thread without
        a timeout, or with a later end, is at work on is computed here as well.
        What another thread gave up is computed here. Raises what `compute` raises, and NonFiniteScore.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        scores: dict[str, float] = {}
        cached: set[str] = set()
        wanted = list(dict.fromkeys(keys))
        while wanted:
            mine, theirs = self._claim(wanted, deadline)
            known, computed = self._settle(mine, compute)
            shared = {key: _wait(future, deadline) for key, future in theirs.items()}
            finished = {key: score for key, score in shared.items() if score is not None}
            scores |= known | computed | finished
            cached |= known.keys() | finished.keys()
            if deadline is not None and time.monotonic() >= deadline:
                break
            wanted = [key for key in theirs if key not in finished]
        return SharedResult(scores, frozenset(cached))

    def _claim(
        self, keys: list[str], deadline: float | None
    ) -> tuple[dict[str, _Claim | None], dict[str, Future[float | None]]]:
        """Splits the keys into those this thread answers for and those another thread is at work on.

        The first have None for a claim where another thread has it, but may not be done in time.
        """
        mine: dict[str, _Claim | None] = {}
        theirs: dict[str, Future[float | None]] = {}
        with self._lock:
            for key in keys:
                claim = self._in_flight.get(key)
                if claim is None:
                    self._in_flight[key] = mine[key] = _Claim(Future(), deadline)
                elif claim.ends_by(deadline):
                    theirs[key] = claim.future
                else:
                    mine[key] = None
        return mine, theirs

    def _settle(
        self, mine: Mapping[str, _Claim | None], compute: Callable[[list[str]], Mapping[str, float]]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Answers for the claimed keys: (from the cache, computed). Others are released whatever happens."""
        keys = list(mine)
        known: dict[str, float] = {}
        computed: dict[str, float] = {}
        try:
            # The cache is read after the claim: a thread that has just finished has stored before it released.
            known = self._cache.get_many(keys) if keys else {}
            self._release(mine, known)
            missing = [key for key in keys if key not in known]
            computed = dict(compute(missing)) if missing else {}
            self._cache.set_many(computed)
        except BaseException:
            computed = {}
            raise
        finally:
            self._release(mine, {key: computed.get(key) for key in keys if key not in known})
        return known, computed

    def _release(self, mine: Mapping[str, _Claim | None], outcome: Mapping[str, float | None]) -> None:
        """Hands each claimed key's score to those who wait; None says that it was given up."""
        claims = [(key, claim, score) for key, score in outcome.items() if (claim := mine[key]) is not None]
        with self._lock:
            for key, _, _ in claims:
                del self._in_flight[key]
        for _, claim, score in claims:
            claim.future.set_result(score)


def refuse_non_finite(scores: Mapping[str, float]) -> None:
    """Raises NonFiniteScore where a score is NaN or infinite."""
    if not all(map(math.isfinite, scores.values())):
        raise NonFiniteScore("a score to be cached is not finite")


def _wait(future: Future[float | None], deadline: float | None) -> float | None:
    """Another thread's score; None when it was given up or the deadline passed."""
    try:
        return future.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except FutureTimeoutError:
        return None


def _parse_score(value: Any) -> float | None:
    try:
        score = float(value)
    except (TypeError, ValueError):
        return None
    return score if math.isfinite(score) else None
