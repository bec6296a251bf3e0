"""What `/metrics` shows: one registry for each application, so that several can live in one process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reranking.server_queue import Batch, BatchingQueue
from reranking.types import Ranking

SECONDS_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of requests, batches, documents and notices."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("rerank_requests", "HTTP requests", ["path", "status"], registry=registry)
        self.request_seconds = Histogram(
            "rerank_request_seconds", "Time of HTTP requests", ["path"], buckets=SECONDS_BUCKETS, registry=registry
        )
        self.batch_seconds = Histogram(
            "rerank_batch_seconds", "Time of engine calls", buckets=SECONDS_BUCKETS, registry=registry
        )
        self.batch_requests = Histogram(
            "rerank_batch_requests", "Requests of one engine call", buckets=SIZE_BUCKETS, registry=registry
        )
        self.documents = Counter("rerank_documents", "Documents handed to the engine", registry=registry)
        self.cached = Counter("rerank_cached_documents", "Documents whose score was cached", registry=registry)
        self.notices = Counter("rerank_notices", "Notices of rankings", ["notice"], registry=registry)
        self.waiting = Gauge("rerank_documents_waiting", "Documents in the queue", registry=registry)

    def watch_queue(self, queue: BatchingQueue) -> None:
        self.waiting.set_function(lambda: queue.documents_waiting)

    def record_batch(self, batch: Batch) -> None:
        self.batch_seconds.observe(batch.seconds)
        self.batch_requests.observe(batch.requests)
        self.documents.inc(batch.documents)

    def record_rankings(self, rankings: Sequence[Ranking]) -> None:
        for ranking in rankings:
            self.cached.inc(sum(item.cached for item in ranking.scored))
            for notice in ranking.notices:
                self.notices.labels(notice).inc()


class MetricsMiddleware:
    """Counts and times HTTP requests. Paths that are not among `paths` count as `other`."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        status = 500
        started = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.request_seconds.labels(path).observe(time.perf_counter() - started)
