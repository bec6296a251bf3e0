"""A reranker that could not be had at start is tried again, beside the work."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from reranking.fallback import Attempt, FallbackReranker, RerankerChoice
from reranking.retrying import FIRST_WAIT, LONGEST_WAIT, RetriedChoice
from tests.reranking.serving import REQUEST, FakeReranker

POOR = RerankerChoice(FakeReranker(), (Attempt("model", "cpu", "OSError: no weights"),), is_degraded=True)
GOOD = RerankerChoice(FakeReranker(), (Attempt("model", "cpu"),), is_degraded=False)


class Desk:
    """Choices that are made in the order given; threads and time that the test moves."""

    def __init__(self, *choices: RerankerChoice | Exception) -> None:
        self.choices = list(choices)
        self.started: list[Callable[[], None]] = []
        self.now = 0.0
        self.given: list[RerankerChoice | None] = []
        self.retried = RetriedChoice(self.make, start=self.started.append, clock=lambda: self.now)

    def make(self, current: RerankerChoice | None) -> RerankerChoice:
        self.given.append(current)
        choice = self.choices.pop(0)
        if isinstance(choice, Exception):
            raise choice
        return choice


def test_good_choice_is_kept() -> None:
    desk = Desk(GOOD)
    desk.retried.get()
    desk.now = 10 * LONGEST_WAIT

    assert desk.retried.get() is GOOD
    assert desk.started == []


def test_poor_choice_ranks_until_a_better_one_is_there() -> None:
    desk = Desk(POOR, GOOD)
    assert desk.retried.get() is POOR
    desk.now = FIRST_WAIT - 1
    desk.retried.get()
    assert desk.started == []

    desk.now = FIRST_WAIT
    assert desk.retried.get() is POOR
    assert desk.retried.get() is POOR
    assert len(desk.started) == 1
    desk.started.pop()()

    assert desk.retried.get() is GOOD
    desk.now = 10 * LONGEST_WAIT
    desk.retried.get()
    assert desk.started == []


def test_choice_that_stopped_working_is_made_again() -> None:
    first = FakeReranker()
    broken = RerankerChoice(FallbackReranker(first, FakeReranker()), (Attempt("model", "cuda"),), is_degraded=False)
    desk = Desk(broken, GOOD)
    desk.retried.get()
    desk.now = 10 * FIRST_WAIT
    desk.retried.rank([REQUEST])
    assert desk.started == []

    first.fail_with = lambda request: RuntimeError("CUDA error: an illegal memory access was encountered")
    desk.retried.rank([REQUEST])
    assert desk.retried.status()["degraded"] is True
    desk.started.pop()()

    assert desk.given == [None, broken]
    assert desk.retried.get() is GOOD
    assert desk.retried.info == GOOD.reranker.info


def test_it_is_tried_ever_less_often() -> None:
    desk = Desk(*[POOR] * 8)
    desk.retried.get()
    waits = []
    for _ in range(6):
        before = desk.now
        while not desk.started:
            desk.now += 100
            desk.retried.get()
        waits.append(desk.now - before)
        desk.started.pop()()

    assert waits == [300, 600, 1200, 2400, 3600, 3600]


def test_trial_that_raises_leaves_what_ranks(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(POOR, RuntimeError("driver"), GOOD)
    desk.retried.get()
    desk.now = FIRST_WAIT
    desk.retried.get()
    desk.started.pop()()

    assert desk.retried.get() is POOR
    assert "driver" in caplog.text
    desk.now += 2 * FIRST_WAIT
    desk.retried.get()
    desk.started.pop()()
    assert desk.retried.get() is GOOD


def test_in_a_thread_of_its_own_too() -> None:
    choices, now, made = [POOR, GOOD], [0.0], threading.Event()

    def make(current: RerankerChoice | None) -> RerankerChoice:
        choice = choices.pop(0)
        if choice is GOOD:
            made.set()
        return choice

    retried = RetriedChoice(make, clock=lambda: now[0])
    retried.get()
    now[0] = FIRST_WAIT
    retried.get()
    assert made.wait(20)
    for thread in threading.enumerate():
        if thread.name == "choose-reranker":
            thread.join(20)

    assert retried.get() is GOOD
