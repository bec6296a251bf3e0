from __future__ import annotations

import threading
import time

import pytest

from reranking import turns
from reranking.turns import Turns


def hold(held: Turns, name: str, done: list[str], *, hurried: bool) -> threading.Thread:
    """A thread that takes a turn once it can, and notes its name."""

    def work() -> None:
        with held.take(hurried=hurried):
            done.append(name)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.05)  # waits by now
    return thread


def test_hurried_work_goes_before_work_that_waited_longer() -> None:
    held, done = Turns(), []
    with held.take(hurried=False):
        threads = [hold(held, "patient", done, hurried=False), hold(held, "hurried", done, hurried=True)]
    for thread in threads:
        thread.join(5)
    assert done == ["hurried", "patient"]


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.0)
    held, done = Turns(), []
    with held.take(hurried=False):
        threads = [hold(held, "patient", done, hurried=False), hold(held, "hurried", done, hurried=True)]
    for thread in threads:
        thread.join(5)
    assert sorted(done) == ["hurried", "patient"]


def test_turn_that_does_not_come_in_time_is_said() -> None:
    held = Turns()
    with held.take(hurried=False), held.take(hurried=True, timeout=0.01) as got:
        assert not got
    with held.take(hurried=True, timeout=0.01) as got:
        assert got


def test_turn_ends_with_an_error() -> None:
    held = Turns()
    with pytest.raises(KeyError), held.take(hurried=True):
        raise KeyError
    with held.take(hurried=False, timeout=0.01) as got:
        assert got


def test_only_one_at_a_time() -> None:
    held, inside, most = Turns(), [], []

    def work(hurried: bool) -> None:
        for _ in range(50):
            with held.take(hurried=hurried):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(number % 2 == 0,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most.count(1) == len(most) == 300
