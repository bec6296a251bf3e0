"""Continuous batching: what waits together is ranked together, and nothing is lost on the way."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest

from reranking.server_queue import CALL_SECONDS, UNKNOWN_RETRY_SECONDS, Batch, BatchingQueue, QueueClosed, QueueFull
from reranking.types import Candidate, NonFiniteScore, Ranking, RankingRequest, RerankerUnavailable
from tests.reranking.serving import FakeReranker

MakeQueue = Callable[..., BatchingQueue]


@pytest.fixture
def engine() -> FakeReranker:
    return FakeReranker()


@pytest.fixture
def make_queue(engine: FakeReranker) -> Iterator[MakeQueue]:
    queues: list[BatchingQueue] = []

    def make(**options: object) -> BatchingQueue:
        queues.append(BatchingQueue(engine, **options))  # type: ignore[arg-type]
        return queues[-1]

    yield make
    engine.gate.set()
    for queue in queues:
        queue.close(5)


def make_request(query: str = "漏水", documents: int = 3, budget: float | None = None) -> RankingRequest:
    candidates = [Candidate(str(number), "", f"漏水{number}") for number in range(documents)]
    return RankingRequest(query, candidates, latency_budget=budget)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "did not come to pass"
        time.sleep(0.002)


def hold_engine(queue: BatchingQueue, engine: FakeReranker, *, budget: float | None = None) -> None:
    """Gives the engine one request that it does not finish until its gate is set."""
    engine.gate.clear()
    queue.submit([make_request("占位", 1, budget)])
    wait_until(lambda: len(engine.calls) == 1)


def test_request_is_answered(make_queue: MakeQueue) -> None:
    (future,) = make_queue().submit([make_request()])

    assert future.result(5).ids == ("0", "1", "2")


def test_requests_sent_together_are_one_call(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(window=0.3)

    futures = [future for number in range(5) for future in queue.submit([make_request(f"漏{number}")])]

    assert [len(future.result(5).ids) for future in futures] == [3] * 5
    assert [len(call) for call in engine.calls] == [5]


def test_what_gathers_during_a_call_is_the_next_call(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(window=0.0)
    hold_engine(queue, engine)

    futures = [future for _ in range(6) for future in queue.submit([make_request()])]
    engine.gate.set()

    assert all(future.result(5) for future in futures)
    assert [len(call) for call in engine.calls] == [1, 6]


def test_each_caller_gets_its_own_ranking(make_queue: MakeQueue) -> None:
    queue = make_queue(window=0.1)
    sizes = [1, 4, 2, 5]

    futures = [future for size in sizes for future in queue.submit([make_request(documents=size)])]

    assert [len(future.result(5).ids) for future in futures] == sizes


def test_call_is_no_larger_than_the_batch(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(max_batch=6, window=0.0)
    hold_engine(queue, engine)

    futures = [future for _ in range(5) for future in queue.submit([make_request(documents=3)])]
    engine.gate.set()

    assert all(future.result(5) for future in futures)
    assert [len(call) for call in engine.calls] == [1, 2, 2, 1]


def test_full_batch_does_not_wait_for_the_window(make_queue: MakeQueue) -> None:
    queue = make_queue(max_batch=3, window=30.0)

    (future,) = queue.submit([make_request(documents=3)])

    assert future.result(5).ids


def test_request_larger_than_everything_is_taken_alone(make_queue: MakeQueue) -> None:
    (future,) = make_queue(max_batch=2, max_waiting=2).submit([make_request(documents=9)])

    assert len(future.result(5).ids) == 9


def test_full_queue_refuses(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(max_waiting=5)
    hold_engine(queue, engine)
    queue.submit([make_request(documents=3)])

    with pytest.raises(QueueFull) as caught:
        queue.submit([make_request(documents=1), make_request(documents=2)])

    assert caught.value.retry_after == UNKNOWN_RETRY_SECONDS
    assert queue.documents_waiting == 3
    assert queue.submit([make_request(documents=2)])


def test_cancelled_request_costs_nothing(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue()
    hold_engine(queue, engine)
    (cancelled,) = queue.submit([make_request("不要了")])
    (wanted,) = queue.submit([make_request("要")])

    cancelled.cancel()
    engine.gate.set()

    assert wanted.result(5).ids
    assert [request.query for call in engine.calls for request in call] == ["占位", "要"]
    with pytest.raises(CancelledError):
        cancelled.result(5)


def test_waiting_is_taken_off_the_latency_budget(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue()
    hold_engine(queue, engine, budget=29.0)
    (future,) = queue.submit([make_request(budget=30.0)])
    time.sleep(0.05)
    engine.gate.set()

    assert len(future.result(5).ids) == 3
    left = engine.calls[1][0].latency_budget
    assert left is not None
    assert 20 < left < 29.96


def test_requests_with_very_different_deadlines_are_no_one_call(make_queue: MakeQueue, engine: FakeReranker) -> None:
    """A call ends with its latest deadline."""
    queue = make_queue(window=0.2)

    futures = [queue.submit([make_request(budget=budget)])[0] for budget in (30.0, 29.0, 5.0, 60.0)]

    assert all(future.result(5) for future in futures)
    assert sorted(len(call) for call in engine.calls) == [1, 1, 2]


def test_request_that_is_due_well_before_what_runs_starts_beside_it(
    make_queue: MakeQueue, engine: FakeReranker
) -> None:
    queue = make_queue(window=0.0)
    engine.gate.clear()
    queue.submit([make_request("几分钟", budget=300.0)])
    wait_until(lambda: len(engine.calls) == 1)
    queue.submit([make_request("也是几分钟", budget=290.0)])
    queue.submit([make_request("更晚", budget=600.0)])

    queue.submit([make_request("几十秒", budget=60.0)])
    wait_until(lambda: len(engine.calls) == 2)
    queue.submit([make_request("几秒", budget=20.0)])
    wait_until(lambda: len(engine.calls) == 3)
    time.sleep(0.1)

    assert [[request.query for request in call] for call in engine.calls] == [["几分钟"], ["几十秒"], ["几秒"]]
    engine.gate.set()
    wait_until(lambda: queue.documents_waiting == 0)


def test_requests_are_taken_by_their_deadlines(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(window=0.0)
    engine.gate.clear()
    queue.submit([make_request("先", budget=20.0)])
    wait_until(lambda: len(engine.calls) == 1)
    futures = [queue.submit([make_request(f"{budget}", budget=budget)])[0] for budget in (90.0, 40.0)]
    engine.gate.set()

    assert all(future.result(5) for future in futures)
    assert [call[0].query for call in engine.calls] == ["先", "40.0", "90.0"]


def test_request_with_a_deadline_does_not_wait_behind_those_without(
    make_queue: MakeQueue, engine: FakeReranker
) -> None:
    queue = make_queue(window=0.0)
    hold_engine(queue, engine)
    (patient,) = queue.submit([make_request("不急")])

    (hurried,) = queue.submit([make_request("急", budget=30.0)])

    wait_until(lambda: len(engine.calls) == 2)
    assert engine.calls[1][0].query == "急"
    assert not patient.done()
    engine.gate.set()
    assert hurried.result(5).ids


def test_request_is_answered_at_its_deadline_though_the_engine_is_busy(make_queue: MakeQueue) -> None:
    class Busy(FakeReranker):
        def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
            if requests[0].query == "占位":
                self.gate.wait(20)
            return [self._rank_one(request, time.monotonic()) for request in requests]

    engine = Busy()
    engine.gate.clear()
    queue = BatchingQueue(engine, window=0.0)
    (held,) = queue.submit([make_request("占位", budget=0.2)])
    time.sleep(0.05)
    started = time.monotonic()
    (late,) = queue.submit([make_request(budget=0.3)])

    assert late.result(5).unscored == ("0", "1", "2")
    assert time.monotonic() - started >= 0.3
    assert not held.done()
    engine.gate.set()
    assert queue.close(5)


def test_call_without_deadlines_is_kept_short(make_queue: MakeQueue, engine: FakeReranker) -> None:
    """Small requests do not wait until hundreds of documents are done."""
    engine._seconds_per_document = CALL_SECONDS / 5
    queue = make_queue(window=0.5)
    queue.submit([make_request(documents=1)])[0].result(5)
    engine._seconds_per_document = 0.0

    futures = [queue.submit([make_request(documents=2)])[0] for _ in range(2)]
    futures += [queue.submit([make_request(documents=2)])[0] for _ in range(2)]

    assert all(future.result(5) for future in futures)
    assert len(engine.calls[1]) == 2


def test_callers_who_hung_up_leave_room(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(max_waiting=5)
    hold_engine(queue, engine)
    (gone,) = queue.submit([make_request(documents=5)])
    gone.cancel()

    assert queue.documents_waiting == 0
    assert queue.submit([make_request(documents=5)])


def test_dead_worker_takes_nothing(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    queue = make_queue(window=0.0)
    monkeypatch.setattr(queue._patient, "_answer", lambda entries: sys.exit())
    queue.submit([make_request()])
    wait_until(lambda: not queue.is_open)

    with pytest.raises(QueueClosed):
        queue.submit([make_request()])


def test_bad_request_does_not_take_the_others_with_it(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(window=0.1)
    engine.fail_with = lambda request: NonFiniteScore("nan") if request.query == "坏" else None

    good, bad, also_good = (queue.submit([make_request(query)])[0] for query in ("好", "坏", "也好"))

    assert good.result(5).ids
    assert also_good.result(5).ids
    with pytest.raises(NonFiniteScore):
        bad.result(5)


def test_absent_reranker_is_not_asked_for_each(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue(window=0.1)
    engine.fail_with = lambda request: RerankerUnavailable("gone")

    futures = [queue.submit([make_request()])[0] for _ in range(3)]

    for future in futures:
        with pytest.raises(RerankerUnavailable):
            future.result(5)
    assert len(engine.calls) == 1


def test_engine_that_answers_too_little_is_an_error(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_nothing(self: FakeReranker, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return []

    monkeypatch.setattr(FakeReranker, "rank", answer_nothing)
    (future,) = make_queue().submit([make_request()])

    with pytest.raises(RerankerUnavailable, match="0 rankings for 1"):
        future.result(5)


def test_batches_are_reported(make_queue: MakeQueue) -> None:
    batches: list[Batch] = []
    queue = make_queue(window=0.1, on_batch=batches.append)

    futures = [queue.submit([make_request(documents=size)])[0] for size in (2, 3)]

    assert all(future.result(5) for future in futures)
    assert [(batch.requests, batch.documents) for batch in batches] == [(2, 5)]
    assert batches[0].seconds >= 0


def test_closing_finishes_what_waits(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue()
    hold_engine(queue, engine)
    (future,) = queue.submit([make_request()])
    closing = threading.Thread(target=queue.close, args=(5,))
    closing.start()
    wait_until(lambda: not queue.is_open)

    with pytest.raises(QueueClosed):
        queue.submit([make_request()])
    engine.gate.set()

    assert future.result(5).ids
    closing.join(5)
    assert not closing.is_alive()


def test_closing_gives_up_at_its_timeout(make_queue: MakeQueue, engine: FakeReranker) -> None:
    queue = make_queue()
    hold_engine(queue, engine)
    (future,) = queue.submit([make_request()])

    assert queue.close(0.05) is False
    with pytest.raises(QueueClosed):
        future.result(1)


def test_closing_twice_is_harmless(make_queue: MakeQueue) -> None:
    queue = make_queue()

    assert queue.close(5) is True
    assert queue.close(5) is True
