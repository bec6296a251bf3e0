"""Continuous batching: requests that wait at the same moment are ranked by one call of the engine.

One worker thread owns the engine. While it ranks, new requests gather; it then takes what waits. An idle queue
holds the first request for a short window, so that those sent together are taken together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from reranking.types import Ranking, RankingRequest, Reranker, RerankerUnavailable

logger = logging.getLogger(__name__)


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

    def with_remaining_budget(self) -> RankingRequest:
        """The deadline runs from the moment of submission: waiting is taken off it."""
        if self.request.latency_budget is None:
            return self.request
        waited = time.monotonic() - self.since
        return replace(self.request, latency_budget=max(0.0, self.request.latency_budget - waited))


class BatchingQueue:
    """Bounded queue in front of a reranker.

    `max_waiting` counts documents (they, not requests, cost time), `max_batch` the documents of one call; a request
    with more documents than either is still taken when it is alone. `window` is in seconds.
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
        self._reranker = reranker
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._window = window
        self._on_batch = on_batch
        self._waiting: deque[_Waiting] = deque()
        self._documents_waiting = 0
        self._seconds_per_document = 0.0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="rerank-queue", daemon=True)
        self._thread.start()

    @property
    def documents_waiting(self) -> int:
        return self._documents_waiting

    @property
    def is_open(self) -> bool:
        """False when it shuts down or its worker thread has died."""
        return not self._closed and self._thread.is_alive()

    def submit(self, requests: Sequence[RankingRequest]) -> list[Future[Ranking]]:
        """Queues all or none of the requests, in order. Raises QueueFull and QueueClosed.

        A future that is cancelled while its request waits costs the engine nothing.
        """
        documents = sum(map(_count_documents, requests))
        now = time.monotonic()
        entries = [_Waiting(request, Future(), now) for request in requests]
        with self._changed:
            if self._closed:
                raise QueueClosed("queue is shutting down")
            if self._documents_waiting and self._documents_waiting + documents > self._max_waiting:
                raise QueueFull(self._guess_retry_after())
            self._waiting.extend(entries)
            self._documents_waiting += documents
            self._changed.notify_all()
        return [entry.future for entry in entries]

    def close(self, timeout: float | None = None) -> bool:
        """Takes nothing new, finishes what waits, fails what is left after `timeout` seconds. True if all was done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            abandoned, self._documents_waiting = list(self._waiting), 0
            self._waiting.clear()
        for entry in abandoned:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(QueueClosed("queue was shut down"))
        return not abandoned and not self._thread.is_alive()

    def _guess_retry_after(self) -> int:
        return max(1, min(60, round(self._documents_waiting * self._seconds_per_document)))

    def _work(self) -> None:
        while entries := self._take_batch():
            running = [entry for entry in entries if entry.future.set_running_or_notify_cancel()]
            if running:
                self._answer(running)

    def _take_batch(self) -> list[_Waiting]:
        """Blocks until something waits and its window has passed; empty when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return []
            remaining = self._waiting[0].since + self._window - time.monotonic()
            if remaining > 0:
                self._changed.wait_for(self._is_batch_full, remaining)
            return self._pop_batch()

    def _is_batch_full(self) -> bool:
        return self._closed or self._documents_waiting >= self._max_batch

    def _pop_batch(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        documents = 0
        while self._waiting:
            size = _count_documents(self._waiting[0].request)
            if taken and documents + size > self._max_batch:
                break
            taken.append(self._waiting.popleft())
            documents += size
        self._documents_waiting -= documents
        return taken

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
        self._seconds_per_document = 0.8 * self._seconds_per_document + 0.2 * seconds / max(1, documents)
        self._on_batch(Batch(len(requests), documents, seconds))
        return rankings


def _count_documents(request: RankingRequest) -> int:
    """An empty request still takes a place."""
    return max(1, len(request.candidates))


def _fail(entries: Sequence[_Waiting], error: Exception) -> None:
    for entry in entries:
        entry.future.set_exception(error)
