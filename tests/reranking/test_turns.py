from __future__ import annotations

import threading
import time

import pytest

from reranking import turns
from reranking.turns import Turns


def hold(held: Turns, name: str, done: list[str], deadline: float | None = None) -> threading.Thread:
    """A thread that takes a turn once it can, and notes its name."""

    def work() -> None:
        with held.line_up(deadline) as place, place.take():
            done.append(name)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.05)  # waits by now
    return thread


def test_earliest_deadline_goes_first_and_what_has_none_last() -> None:
    held, done = Turns(), []
    with held.line_up() as place, place.take():
        threads = [
            hold(held, "patient", done),
            hold(held, "later", done, deadline=2e9),
            hold(held, "sooner", done, deadline=1e9),
            hold(held, "as soon", done, deadline=1e9),
        ]
    for thread in threads:
        thread.join(5)
    assert done == ["sooner", "as soon", "later", "patient"]


def test_place_is_kept_between_turns() -> None:
    """Else a later deadline would get in between the batches of an earlier one."""
    held, done = Turns(), []
    with held.line_up(1e9) as place:
        with place.take():
            thread = hold(held, "later", done, deadline=2e9)
        time.sleep(0.05)
        assert done == []
        with place.take(timeout=1) as got:
            assert got
    thread.join(5)
    assert done == ["later"]


def test_more_urgent_work_gets_in_between_two_turns() -> None:
    held, done = Turns(), []
    with held.line_up(2e9) as place:
        with place.take():
            thread = hold(held, "sooner", done, deadline=1e9)
        thread.join(5)
        assert done == ["sooner"]
        with place.take(timeout=1) as got:
            assert got


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.0)
    held, done = Turns(), []
    with held.line_up(1e9) as place:
        with place.take():
            thread = hold(held, "patient", done)
        thread.join(5)
        assert done == ["patient"]


def test_turn_that_does_not_come_in_time_is_said() -> None:
    held = Turns()
    with held.line_up() as place, place.take(), held.line_up(1e9) as hurried, hurried.take(timeout=0.01) as got:
        assert not got
    with held.line_up(1e9) as hurried, hurried.take(timeout=0.01) as got:
        assert got


def test_turn_and_place_end_with_an_error() -> None:
    held = Turns()
    with pytest.raises(KeyError), held.line_up(1e9) as place, place.take():
        raise KeyError
    with held.line_up() as place, place.take(timeout=0.01) as got:
        assert got


def test_only_one_at_a_time() -> None:
    held, inside, most = Turns(), [], []

    def work(deadline: float | None) -> None:
        for _ in range(50):
            with held.line_up(deadline) as place, place.take():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=((None, 1e9)[number % 2],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most.count(1) == len(most) == 300
