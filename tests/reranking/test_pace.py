from __future__ import annotations

import pytest

from reranking.pace import Pace

FULL = 1024


def test_nothing_is_known_before_the_first_pack():
    assert Pace().seconds_per_token == 0.0
    assert Pace().affordable(1.0) is None


def test_first_pack_sets_the_pace():
    pace = Pace()
    pace.learn(100, 0.5, full=FULL)
    assert pace.seconds_per_token == 0.005
    assert pace.affordable(1.0) == 200
    assert pace.affordable(-1.0) == 0


def test_one_stall_changes_nothing():
    pace = Pace()
    for seconds in (1.0, 1.0, 13.0, 1.0):
        pace.learn(1000, seconds, full=FULL)
    assert pace.seconds_per_token == 0.001


def test_stall_of_the_second_pack_changes_nothing():
    pace = Pace(0.001)
    pace.learn(1000, 13.0, full=FULL)
    assert pace.seconds_per_token == 0.001


def test_machine_that_stays_slow_is_believed():
    pace = Pace(0.001)
    for _ in range(3):
        pace.learn(1000, 2.0, full=FULL)
    assert pace.seconds_per_token == 0.002


def test_small_pack_never_makes_the_pace_worse():
    """A device computes 100 tokens in about the time of 4,000."""
    pace = Pace(1e-5)
    for _ in range(10):
        pace.learn(100, 0.02, full=32_768)
    assert pace.seconds_per_token == 1e-5


def test_small_pack_may_make_it_better():
    pace = Pace(1e-3)
    for _ in range(3):
        pace.learn(100, 0.02, full=32_768)
    assert pace.seconds_per_token == pytest.approx(2e-4)


def test_doubted_pace_is_replaced_by_the_next_measurement():
    pace = Pace(1.0)
    pace.doubt()
    assert pace.seconds_per_token == pytest.approx(0.8)
    pace.learn(1000, 2.0, full=FULL)
    assert pace.seconds_per_token == 0.002
