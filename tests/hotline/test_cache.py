"""The desk and the API go on without Redis: what the cache cannot give is a miss."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from hotline import rerankers
from hotline.api.throttling import KeyRateThrottle
from hotline.models import APIKey
from kb.search.types import SearchEngine
from reranking.cache import RedisScoreCache
from tests.factories import make_lookup, make_user, make_version
from tests.hotline.api.conftest import make_client


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Nobody listens there, and nobody else gets it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are taken, nothing is ever answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


def use_redis(settings: Settings, port: int) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "hotline.cache.ForgivingRedisCache", "LOCATION": f"redis://127.0.0.1:{port}/0"}
    }


@pytest.mark.django_db
def test_console_and_poll_answer_without_redis(settings: Settings, closed_port: int) -> None:
    use_redis(settings, closed_port)
    client = Client()
    client.force_login(make_user("agent"))
    lookup = make_lookup([make_version(region="云岚市")])

    console = client.get(reverse("console"))
    assert console.status_code == 200
    assert "云岚市" in console.content.decode()
    assert client.get(reverse("lookup_results", args=[lookup.pk])).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["tickets", "documents", "status"])
def test_api_answers_without_redis(settings: Settings, closed_port: int, engine: SearchEngine, path: str) -> None:
    use_redis(settings, closed_port)

    assert make_client(*APIKey.Scope.values).get(f"/api/v1/{path}").status_code == 200


def test_every_operation_is_a_miss_and_logged(
    settings: Settings, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    use_redis(settings, closed_port)
    with caplog.at_level(logging.WARNING, logger="hotline.cache"):
        cache.set("a", 1)
        cache.set_many({"a": 1})
        cache.clear()

        assert cache.get("a") is None
        assert cache.get("a", "default") == "default"
        assert cache.get_many(["a", "b"]) == {}
        assert cache.add("a", 1) is False
        assert (cache.touch("a"), cache.delete("a"), cache.has_key("a"), cache.delete_many(["a"])) == (
            False,
            False,
            False,
            None,
        )
        with pytest.raises(ValueError, match="not found"):
            cache.incr("a")
    assert len(caplog.records) == 12


def test_server_that_does_not_answer_is_not_waited_for(settings: Settings, silent_port: int) -> None:
    use_redis(settings, silent_port)
    began = time.monotonic()

    assert cache.get("a") is None
    assert time.monotonic() - began < 1


def test_score_cache_does_not_wait_either(settings: Settings, silent_port: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{silent_port}/0"
    scores = rerankers._make_cache()
    began = time.monotonic()

    assert isinstance(scores, RedisScoreCache)
    assert scores.get_many(["a"]) == {}
    assert time.monotonic() - began < 1


@pytest.mark.service
def test_values_are_kept_in_a_real_redis(settings: Settings, redis_url: str) -> None:
    settings.CACHES = {"default": {"BACKEND": "hotline.cache.ForgivingRedisCache", "LOCATION": redis_url}}
    cache.set("forgiving-cache-test", {"a": [1]}, 5)

    assert cache.get("forgiving-cache-test") == {"a": [1]}
    assert cache.get_many(["forgiving-cache-test", "forgiving-none"]) == {"forgiving-cache-test": {"a": [1]}}
    assert cache.delete("forgiving-cache-test") is True
    assert cache.get("forgiving-cache-test") is None


@pytest.mark.django_db
def test_without_redis_no_caller_is_throttled(
    settings: Settings, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeyRateThrottle, "rate", "1/min", raising=False)
    client = make_client(APIKey.Scope.DOCUMENTS_READ)
    throttled = [client.get("/api/v1/documents").status_code for _ in range(2)]
    use_redis(settings, closed_port)
    free = [client.get("/api/v1/documents").status_code for _ in range(2)]

    assert (throttled, free) == ([200, 429], [200, 200])
