"""Many lookups at once on one GPU, as callers of the server meet it: through its queue."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from typing import Any

from reranking.server_queue import BatchingQueue
from reranking.types import RankingRequest, Reranker
from tests.benchmarks.rerank_inputs import Lookup


def measure_concurrency(reranker: Reranker, lookups: Sequence[Lookup], *, rounds: int) -> dict[str, Any]:
    """All lookups sent at the same moment, round after round. Seconds: the callers' 95th percentile, and a round."""
    queue = BatchingQueue(reranker)
    waits: list[float] = []
    whole: list[float] = []
    try:
        _send_together(queue, lookups)  # compiles, and fills the allocator
        for _ in range(rounds):
            started = time.perf_counter()
            waits += _send_together(queue, lookups)
            whole.append(time.perf_counter() - started)
    finally:
        queue.close(10)
    return {
        "lookups": len(lookups),
        "candidates": len(lookups[0].candidates),
        "p95_seconds": statistics.quantiles(waits, n=20)[-1],
        "median_seconds": statistics.median(waits),
        "round_seconds": statistics.median(whole),
    }


def _send_together(queue: BatchingQueue, lookups: Sequence[Lookup]) -> list[float]:
    """Each caller in a thread of its own. Gives how long each waited."""
    waits: list[float] = []
    start = threading.Barrier(len(lookups))

    def call(lookup: Lookup) -> None:
        start.wait()
        began = time.perf_counter()
        (future,) = queue.submit([RankingRequest(lookup.query, lookup.candidates)])
        future.result()
        waits.append(time.perf_counter() - began)

    callers = [threading.Thread(target=call, args=(lookup,)) for lookup in lookups]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return waits
