"""The score cache: what a key holds apart, what a store keeps and forgets, and a store that is away."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from reranking.cache import (
    MemoryScoreCache,
    NullScoreCache,
    RedisScoreCache,
    ScoreCache,
    SharedScores,
    score_key,
)
from reranking.types import NonFiniteScore

PARTS = {
    "revision": "abc",
    "dtype": "bfloat16",
    "template": "t1",
    "instruction": "找出条文",
    "query": "漏水",
    "document": "物业应当到场",
    "max_length": 8192,
}


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, socket_timeout=5) as client:
        client.flushdb()
        yield client


class TestScoreKey:
    def test_is_stable_and_short(self) -> None:
        assert score_key(**PARTS) == score_key(**dict(reversed(PARTS.items())))
        assert len(score_key(**PARTS)) == 48

    @pytest.mark.parametrize("name", list(PARTS))
    def test_every_part_counts(self, name: str) -> None:
        changed = {**PARTS, name: 4096 if name == "max_length" else f"{PARTS[name]}x"}

        assert score_key(**changed) != score_key(**PARTS)

    def test_text_moved_to_the_next_part_is_another_key(self) -> None:
        moved = {**PARTS, "query": "漏", "document": "水物业应当到场"}

        assert score_key(**moved) != score_key(**PARTS)

    @given(st.text(), st.text())
    def test_any_text_has_a_key(self, query: str, document: str) -> None:
        key = score_key(**{**PARTS, "query": query, "document": document})
        swapped = score_key(**{**PARTS, "query": document, "document": query})

        assert (key == swapped) == (query == document)

    def test_lone_surrogate_has_a_key(self) -> None:
        assert score_key(**{**PARTS, "query": "\ud800"}) != score_key(**{**PARTS, "query": "\ud801"})


class CacheContract:
    """What every cache does that remembers."""

    def test_unknown_keys_are_left_out(self, cache: ScoreCache) -> None:
        cache.set_many({"a": 1.5})

        assert cache.get_many(["a", "b"]) == {"a": 1.5}

    def test_nothing_is_asked_and_given(self, cache: ScoreCache) -> None:
        cache.set_many({})

        assert cache.get_many([]) == {}

    def test_score_comes_back_to_the_last_bit(self, cache: ScoreCache) -> None:
        values = {"a": 0.1 + 0.2, "b": -1e-300, "c": -0.0, "d": 17.0000000000001, "e": 5}

        cache.set_many(values)

        assert cache.get_many(list(values)) == values

    def test_later_score_replaces_the_earlier(self, cache: ScoreCache) -> None:
        cache.set_many({"a": 1.0})
        cache.set_many({"a": 2.0})

        assert cache.get_many(["a", "a"]) == {"a": 2.0}

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_non_finite_score_is_refused_with_its_company(self, cache: ScoreCache, value: float) -> None:
        with pytest.raises(NonFiniteScore):
            cache.set_many({"good": 1.0, "bad": value})

        assert cache.get_many(["good", "bad"]) == {}

    def test_many_threads_at_once(self, cache: ScoreCache) -> None:
        def use(number: int) -> dict[str, float]:
            keys = [f"{number % 4}-{index}" for index in range(50)]
            cache.set_many(dict.fromkeys(keys, float(number % 4)))
            return cache.get_many(keys)

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(use, range(32)))

        assert all(set(result.values()) <= {float(number % 4)} for number, result in enumerate(results))


class TestMemoryScoreCache(CacheContract):
    @pytest.fixture
    def cache(self) -> ScoreCache:
        return MemoryScoreCache()

    def test_least_recently_used_goes_first(self) -> None:
        cache = MemoryScoreCache(max_entries=3)
        cache.set_many({"a": 1.0, "b": 2.0, "c": 3.0})
        cache.get_many(["a"])

        cache.set_many({"d": 4.0})

        assert cache.get_many(["a", "b", "c", "d"]) == {"a": 1.0, "c": 3.0, "d": 4.0}
        assert cache.size == 3

    def test_more_than_fits_keeps_the_last(self) -> None:
        cache = MemoryScoreCache(max_entries=2)

        cache.set_many({str(number): float(number) for number in range(10)})

        assert cache.get_many(list(map(str, range(10)))) == {"8": 8.0, "9": 9.0}

    def test_empty_cache_is_true(self) -> None:
        assert MemoryScoreCache()

    def test_no_room_is_refused(self) -> None:
        with pytest.raises(ValueError, match="max_entries"):
            MemoryScoreCache(max_entries=0)


class TestNullScoreCache:
    def test_remembers_nothing(self) -> None:
        cache = NullScoreCache()
        cache.set_many({"a": 1.0})

        assert cache.get_many(["a"]) == {}

    def test_refuses_what_others_refuse(self) -> None:
        with pytest.raises(NonFiniteScore):
            NullScoreCache().set_many({"a": math.nan})


@pytest.mark.service
class TestRedisScoreCache(CacheContract):
    @pytest.fixture
    def cache(self, redis_client: redis.Redis) -> ScoreCache:
        return RedisScoreCache(redis_client)

    def test_entries_expire(self, redis_client: redis.Redis) -> None:
        RedisScoreCache(redis_client, ttl_seconds=60, prefix="p:").set_many({"a": 1.0})

        assert 0 < redis_client.ttl("p:a") <= 60

    def test_foreign_values_are_misses(self, redis_client: redis.Redis) -> None:
        redis_client.mset({"rerank:score:a": "rubbish", "rerank:score:b": "nan", "rerank:score:c": "2.5"})
        redis_client.lpush("rerank:score:d", "a list")

        assert RedisScoreCache(redis_client).get_many(["a", "b", "c", "d"]) == {"c": 2.5}

    def test_client_that_decodes_works_too(self, redis_url: str, redis_client: redis.Redis) -> None:
        with redis.Redis.from_url(redis_url, decode_responses=True) as decoding:
            cache = RedisScoreCache(decoding)
            cache.set_many({"a": 1.25})

            assert cache.get_many(["a"]) == {"a": 1.25}

    def test_scores_are_shared_between_clients(self, redis_url: str, redis_client: redis.Redis) -> None:
        RedisScoreCache(redis_client).set_many({"a": 1.25})

        with redis.Redis.from_url(redis_url) as other:
            assert RedisScoreCache(other).get_many(["a"]) == {"a": 1.25}


class TestRedisAway:
    @staticmethod
    def connect_to_nothing() -> redis.Redis:
        return redis.Redis(port=1, socket_connect_timeout=0.2, retry=None)

    def test_reading_is_a_miss_and_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        cache = RedisScoreCache(self.connect_to_nothing())

        assert cache.get_many(["a"]) == {}
        assert "every score a miss" in caplog.text

    def test_writing_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        RedisScoreCache(self.connect_to_nothing()).set_many({"a": 1.0})

        assert "every score a miss" in caplog.text

    def test_scores_are_still_computed(self) -> None:
        shared = SharedScores(RedisScoreCache(self.connect_to_nothing()))

        assert shared.get_or_compute(["a"], lambda keys: dict.fromkeys(keys, 1.0)).scores == {"a": 1.0}

    def test_is_left_alone_for_a_while_after_a_failure(self) -> None:
        accepted: list[socket.socket] = []
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(2)
            client = redis.Redis(port=silent.getsockname()[1], socket_timeout=0.3, retry=None)
            cache = RedisScoreCache(client, pause_seconds=30)
            cache.get_many(["a"])
            accepted.append(silent.accept()[0])
            started = time.monotonic()
            for _ in range(20):
                cache.get_many(["a"])
                cache.set_many({"a": 1.0})

            assert time.monotonic() - started < 0.2
        accepted[0].close()
        client.close()

    @pytest.mark.service
    def test_is_used_again_after_the_pause(self, redis_url: str, redis_client: redis.Redis) -> None:
        redis_client.set("rerank:score:a", "1.5")
        with redis.Redis.from_url(redis_url, socket_timeout=0.1, retry=None) as impatient:
            cache = RedisScoreCache(impatient, pause_seconds=0.3)
            redis_client.client_pause(250, all=True)
            assert cache.get_many(["a"]) == {}
            assert cache.get_many(["a"]) == {}
            time.sleep(0.4)

            assert cache.get_many(["a"]) == {"a": 1.5}
