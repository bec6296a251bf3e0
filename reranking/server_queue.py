"""Continuous batching: requests that wait at the same moment are ranked by one call of the engine.

There are two lanes, each with a thread of its own: requests with a deadline do not wait behind those without. While
a lane's call runs, new requests gather; it then takes what waits. An idle lane holds the first request for a short
window, so that those sent together are taken together. A request whose deadline comes while it waits is handed to
the engine with no time left, which answers at once with what costs none: cached scores, or a lesser reranker.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from reranking.types import Ranking, RankingRequest, Reranker, RerankerUnavailable

logger = logging.getLogger(__name__)

CALL_SECONDS = 2.0  # of a call without deadlines
SAME_DEADLINE_SECONDS, SAME_DEADLINE_SHARE = 0.1, 0.25
UNKNOWN_RETRY_SECONDS = 5
MOST_CALLS_BESIDE = 2  # of requests that are due well before what runs


class QueueFull(Exception):
    """So much waits that a new request is refused. `retry_after` is a guess in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"queue is full, retry after {retry_after} s")
        self.retry_after = retry_after


class QueueClosed(Exception):
    """The queue is shutting down and takes nothing new."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of the engine took: how many requests and documents, and how long in seconds."""

    requests: int
    documents: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: RankingRequest
    future: Future[Ranking]
    since: float

    def deadline(self) -> float:
        """A `time.monotonic()` moment, counted from the submission; infinity without a budget."""
        budget = self.request.latency_budget
        return math.inf if budget is None else self.since + budget

    def remaining(self) -> float | None:
        """Seconds to its deadline: waiting is taken off the budget."""
        return None if self.request.latency_budget is None else max(0.0, self.deadline() - time.monotonic())

    def with_remaining_budget(self) -> RankingRequest:
        return replace(self.request, latency_budget=self.remaining())


class BatchingQueue:
    """Bounded queue in front of a reranker, which is called from several threads.

    `max_waiting` counts the documents that wait in a lane (they, not requests, cost time), `max_batch` the documents
    of one call; a request with more documents than either is still taken when it is alone. `window` is in seconds.
    """

    def __init__(
        self,
        reranker: Reranker,
        *,
        max_waiting: int = 2000,
        max_batch: int = 500,
        window: float = 0.003,
        on_batch: Callable[[Batch], None] = lambda batch: None,
    ) -> None:
        limits = _LaneLimits(max_waiting, max_batch, window)
        self._patient = _Lane(reranker, limits, on_batch)
        self._hurried = _HurriedLane(reranker, limits, on_batch)
        self._lanes: tuple[_Lane, ...] = (self._patient, self._hurried)

    @property
    def documents_waiting(self) -> int:
        return sum(lane.documents_waiting for lane in self._lanes)

    @property
    def is_open(self) -> bool:
        """False when it shuts down or a worker thread has died."""
        return all(lane.is_open for lane in self._lanes)

    def submit(self, requests: Sequence[RankingRequest]) -> list[Future[Ranking]]:
        """Queues all or none of the requests, in order. Raises QueueFull and QueueClosed.

        A future that is cancelled while its request waits costs the engine nothing.
        """
        has_deadline = [request.latency_budget is not None for request in requests]
        return (self._hurried if requests and all(has_deadline) else self._patient).submit(requests)

    def close(self, timeout: float | None = None) -> bool:
        """Takes nothing new, finishes what waits, fails what is left after `timeout` seconds. True if all was done."""
        for lane in self._lanes:
            lane.stop_taking()
        deadline = None if timeout is None else time.monotonic() + timeout
        were_done = [lane.close(deadline) for lane in self._lanes]
        return all(were_done)


@dataclass(frozen=True, slots=True)
class _LaneLimits:
    max_waiting: int
    max_batch: int
    window: float


class _Lane:
    """Requests without a deadline. A call is kept to about CALL_SECONDS, so that small requests get their answers."""

    def __init__(self, reranker: Reranker, limits: _LaneLimits, on_batch: Callable[[Batch], None]) -> None:
        self._reranker = reranker
        self._limits = limits
        self._on_batch = on_batch
        self._waiting: deque[_Waiting] = deque()
        self._running: list[Sequence[_Waiting]] = []
        self._seconds_per_document = 0.0  # unknown
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [self._start(self._work)]

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name="rerank-queue", daemon=True)
        thread.start()
        return thread

    @property
    def documents_waiting(self) -> int:
        """Without those whose callers have hung up."""
        with self._changed:
            return self._count_waiting()

    @property
    def is_open(self) -> bool:
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def submit(self, requests: Sequence[RankingRequest]) -> list[Future[Ranking]]:
        documents = sum(map(_count_documents, requests))
        now = time.monotonic()
        entries = [_Waiting(request, Future(), now) for request in requests]
        with self._changed:
            if not self.is_open:
                raise QueueClosed("queue is shutting down")
            waiting = self._count_waiting()
            if waiting and waiting + documents > self._limits.max_waiting:
                raise QueueFull(self._guess_retry_after(waiting))
            self._waiting.extend(entries)
            self._changed.notify_all()
        return [entry.future for entry in entries]

    def stop_taking(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self, deadline: float | None) -> bool:
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        with self._changed:
            abandoned = list(self._waiting)
            self._waiting.clear()
        for entry in abandoned:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(QueueClosed("queue was shut down"))
        return not abandoned and not any(thread.is_alive() for thread in self._threads)

    def _count_waiting(self) -> int:
        return sum(_count_documents(entry.request) for entry in self._waiting if not entry.future.cancelled())

    def _guess_retry_after(self, waiting: int) -> int:
        if not self._seconds_per_document:
            return UNKNOWN_RETRY_SECONDS
        return max(1, min(60, round(waiting * self._seconds_per_document)))

    def _work(self) -> None:
        while entries := self._take_batch():
            try:
                self._answer_live(entries)
            finally:
                with self._changed:
                    self._running.remove(entries)
                    self._changed.notify_all()

    def _answer_live(self, entries: Sequence[_Waiting]) -> None:
        running = [entry for entry in entries if entry.future.set_running_or_notify_cancel()]
        if running:
            self._answer(running)

    def _take_batch(self) -> list[_Waiting]:
        """Blocks until something waits and its window has passed; empty when closed and drained."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._may_start() or (self._closed and not self._waiting))
                if not self._waiting:
                    return []
                remaining = self._waiting[0].since + self._limits.window - time.monotonic()
                if remaining > 0:
                    self._changed.wait_for(self._is_batch_full, remaining)
                if self._may_start() and (taken := self._pop_batch()):
                    self._running.append(taken)
                    return taken

    def _may_start(self) -> bool:
        """Whether a call may begin now."""
        return bool(self._waiting)

    def _is_batch_full(self) -> bool:
        return self._closed or sum(_count_documents(entry.request) for entry in self._waiting) >= self._limits.max_batch

    def _pop_batch(self) -> list[_Waiting]:
        """The oldest, and those behind it that go with it."""
        taken: list[_Waiting] = []
        documents, most = 0, self._most_documents()
        while self._waiting:
            size = _count_documents(self._waiting[0].request)
            if taken and (documents + size > most or not self._goes_with(taken[0], self._waiting[0])):
                break
            taken.append(self._waiting.popleft())
            documents += size
        self._changed.notify_all()
        return taken

    def _most_documents(self) -> int:
        if not self._seconds_per_document:
            return self._limits.max_batch
        return min(self._limits.max_batch, int(CALL_SECONDS / self._seconds_per_document))

    def _goes_with(self, first: _Waiting, other: _Waiting) -> bool:
        return True

    def _answer(self, entries: list[_Waiting]) -> None:
        """Ranks the batch; when it fails, one by one, so that one bad request does not take the others with it."""
        try:
            rankings = self._rank(entries)
        except RerankerUnavailable as error:
            _fail(entries, error)
        except Exception as error:
            if len(entries) == 1:
                _fail(entries, error)
                return
            logger.warning("batch of %d requests failed, ranking one by one: %r", len(entries), error)
            for entry in entries:
                self._answer([entry])
        else:
            for entry, ranking in zip(entries, rankings, strict=True):
                entry.future.set_result(ranking)

    def _rank(self, entries: list[_Waiting]) -> list[Ranking]:
        requests = [entry.with_remaining_budget() for entry in entries]
        started = time.perf_counter()
        rankings = self._reranker.rank(requests)
        seconds = time.perf_counter() - started
        if len(rankings) != len(requests):
            raise RerankerUnavailable(f"{len(rankings)} rankings for {len(requests)} requests")
        documents = sum(map(_count_documents, requests))
        self._on_batch(Batch(len(requests), documents, seconds))
        if requests[0].latency_budget == 0.0:  # too late: its time says nothing
            return rankings
        known, measured = self._seconds_per_document, seconds / max(1, documents)
        self._seconds_per_document = 0.8 * known + 0.2 * measured if known else measured
        return rankings


class _HurriedLane(_Lane):
    """Requests with a deadline, the earliest first. Another thread answers those whose deadline comes while they wait.

    One call runs at a time, so that those with much the same deadline gather meanwhile; a request that is due well
    before what runs starts a call beside it, which the engine takes in between.
    """

    def __init__(self, reranker: Reranker, limits: _LaneLimits, on_batch: Callable[[Batch], None]) -> None:
        super().__init__(reranker, limits, on_batch)
        self._threads += [self._start(work) for work in (self._work_late, *[self._work] * MOST_CALLS_BESIDE)]

    def _may_start(self) -> bool:
        if not self._waiting:
            return False
        first = min(self._waiting, key=_Waiting.deadline)
        return all(
            first.deadline() < call[0].deadline() and not self._goes_with(first, call[0]) for call in self._running
        )

    def _pop_batch(self) -> list[_Waiting]:
        self._waiting = deque(sorted(self._waiting, key=_Waiting.deadline))
        return super()._pop_batch()

    def _most_documents(self) -> int:
        return self._limits.max_batch

    def _goes_with(self, first: _Waiting, other: _Waiting) -> bool:
        """A call lasts as long as its latest deadline: it must not be much later than the others'."""
        shorter, longer = sorted((first.remaining() or 0.0, other.remaining() or 0.0))
        return longer - shorter <= max(SAME_DEADLINE_SECONDS, SAME_DEADLINE_SHARE * longer)

    def _work_late(self) -> None:
        while True:
            with self._changed:
                while not (late := self._take_late()):
                    if self._closed and not self._waiting:
                        return
                    self._changed.wait(min((entry.remaining() or 0.0 for entry in self._waiting), default=None))
            self._answer_live(late)

    def _take_late(self) -> list[_Waiting]:
        late: list[_Waiting] = []
        kept: list[_Waiting] = []
        for entry in self._waiting:
            (kept if entry.remaining() else late).append(entry)
        if late:
            self._waiting.clear()
            self._waiting.extend(kept)
        return late


def _count_documents(request: RankingRequest) -> int:
    """An empty request still takes a place."""
    return max(1, len(request.candidates))


def _fail(entries: Sequence[_Waiting], error: Exception) -> None:
    for entry in entries:
        entry.future.set_exception(error)
