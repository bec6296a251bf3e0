"""Who computes a score that many threads want at the same moment."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from reranking.cache import MemoryScoreCache, NullScoreCache, SharedScores
from reranking.types import NonFiniteScore


class Counting:
    """Computes the length of each key, slowly, and notes what it was asked for."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked: list[str] = []
        self._seconds = seconds

    def __call__(self, keys: list[str]) -> Mapping[str, float]:
        self.asked += keys
        time.sleep(self._seconds)
        return {key: float(len(key)) for key in keys}


class TestSharedScores:
    def test_computes_what_the_cache_lacks(self) -> None:
        cache = MemoryScoreCache()
        cache.set_many({"a": 9.0})
        compute = Counting()

        result = SharedScores(cache).get_or_compute(["bb", "a", "ccc", "bb"], compute)

        assert result.scores == {"a": 9.0, "bb": 2.0, "ccc": 3.0}
        assert result.cached == {"a"}
        assert compute.asked == ["bb", "ccc"]

    def test_stores_what_it_computed(self) -> None:
        shared = SharedScores(MemoryScoreCache())
        compute = Counting()
        shared.get_or_compute(["a"], compute)

        result = shared.get_or_compute(["a"], compute)

        assert result.cached == {"a"}
        assert compute.asked == ["a"]

    def test_no_keys_compute_nothing(self) -> None:
        compute = Counting()

        assert SharedScores(NullScoreCache()).get_or_compute([], compute).scores == {}
        assert compute.asked == []

    def test_what_compute_leaves_out_is_left_out(self) -> None:
        result = SharedScores(NullScoreCache()).get_or_compute(["a", "b"], lambda keys: {"a": 1.0})

        assert result.scores == {"a": 1.0}

    def test_equal_keys_of_many_threads_are_computed_once(self) -> None:
        # Without a store: only the sharing in flight can save the work.
        shared = SharedScores(NullScoreCache())
        compute = Counting(seconds=0.2)
        start = threading.Barrier(8)

        def ask(number: int) -> dict[str, float]:
            start.wait()
            return shared.get_or_compute(["same", f"own-{number}"], compute).scores

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(ask, range(8)))

        assert compute.asked.count("same") == 1
        assert all(result == {"same": 4.0, f"own-{number}": 5.0} for number, result in enumerate(results))

    def test_crossing_wants_do_not_wait_for_each_other_forever(self) -> None:
        shared = SharedScores(NullScoreCache())
        compute = Counting(seconds=0.05)
        wants = [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]]

        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(lambda keys: shared.get_or_compute(keys, compute, timeout=10).scores, wants * 5))

        assert all(set(result) == {"a", "b", "c"} for result in results)

    def test_what_another_thread_gave_up_is_computed_here(self) -> None:
        shared = SharedScores(NullScoreCache())
        compute = Counting()
        claimed, let_fail = threading.Event(), threading.Event()

        def fail(keys: list[str]) -> Mapping[str, float]:
            claimed.set()
            let_fail.wait(5)
            raise RuntimeError("out of memory")

        with ThreadPoolExecutor(2) as pool:
            failing = pool.submit(shared.get_or_compute, ["a"], fail)
            claimed.wait(5)
            waiting = pool.submit(shared.get_or_compute, ["a"], compute)
            time.sleep(0.05)
            let_fail.set()

            assert waiting.result(5).scores == {"a": 1.0}
            with pytest.raises(RuntimeError, match="out of memory"):
                failing.result(5)

    def test_wait_for_others_ends_at_the_timeout(self) -> None:
        shared = SharedScores(NullScoreCache())
        claimed, let_go = threading.Event(), threading.Event()

        def hang(keys: list[str]) -> Mapping[str, float]:
            claimed.set()
            let_go.wait(5)
            return {"a": 1.0}

        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(shared.get_or_compute, ["a"], hang, timeout=0.05)
            claimed.wait(5)
            started = time.monotonic()
            result = shared.get_or_compute(["a", "bb"], Counting(), timeout=0.1)
            elapsed = time.monotonic() - started
            let_go.set()

            assert result.scores == {"bb": 2.0}
            assert 0.09 < elapsed < 2
            assert hanging.result(5).scores == {"a": 1.0}

    @pytest.mark.parametrize("owner_timeout", [None, 60.0])
    def test_who_is_in_a_hurry_does_not_wait_for_who_is_not(self, owner_timeout: float | None) -> None:
        shared = SharedScores(NullScoreCache())
        claimed, let_go = threading.Event(), threading.Event()
        compute = Counting()

        def take_long(keys: list[str]) -> Mapping[str, float]:
            claimed.set()
            let_go.wait(5)
            return {"a": 7.0}

        with ThreadPoolExecutor(1) as pool:
            patient = pool.submit(shared.get_or_compute, ["a"], take_long, timeout=owner_timeout)
            claimed.wait(5)
            hurried = shared.get_or_compute(["a"], compute, timeout=1.0)
            let_go.set()

            assert hurried.scores == {"a": 1.0}
            assert not hurried.cached
            assert patient.result(5).scores == {"a": 7.0}
        assert shared.get_or_compute(["a"], compute).scores == {"a": 1.0}
        assert compute.asked == ["a", "a"]

    def test_non_finite_score_is_raised_and_not_shared(self) -> None:
        cache = MemoryScoreCache()
        shared = SharedScores(cache)

        with pytest.raises(NonFiniteScore):
            shared.get_or_compute(["a"], lambda keys: {"a": math.nan})

        assert cache.size == 0
        assert shared.get_or_compute(["a"], Counting()).scores == {"a": 1.0}
