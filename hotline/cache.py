"""The cache in Redis, which nobody depends on: while the server is away everything is a miss."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

SECONDS = 0.3  # a page waits for the cache no longer than this
T = TypeVar("T")


class ForgivingClient(RedisCacheClient):
    """Logs what Redis refuses and answers as though nothing were stored."""

    def get(self, key: Any, default: Any = None) -> Any:
        return _forgive(lambda: super(ForgivingClient, self).get(key, default), default)

    def get_many(self, keys: Any) -> dict[Any, Any]:
        return _forgive(lambda: super(ForgivingClient, self).get_many(keys), {})

    def has_key(self, key: Any) -> bool:
        return _forgive(lambda: super(ForgivingClient, self).has_key(key), False)

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        return _forgive(lambda: super(ForgivingClient, self).add(key, value, timeout), False)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        _forgive(lambda: super(ForgivingClient, self).set(key, value, timeout), None)

    def set_many(self, data: Any, timeout: Any) -> None:
        _forgive(lambda: super(ForgivingClient, self).set_many(data, timeout), None)

    def touch(self, key: Any, timeout: Any) -> bool:
        return _forgive(lambda: super(ForgivingClient, self).touch(key, timeout), False)

    def delete(self, key: Any) -> bool:
        return _forgive(lambda: super(ForgivingClient, self).delete(key), False)

    def delete_many(self, keys: Any) -> None:
        _forgive(lambda: super(ForgivingClient, self).delete_many(keys), None)

    def incr(self, key: Any, delta: Any) -> Any:
        """Raises ValueError, as for a key that is not there."""
        try:
            return super().incr(key, delta)
        except RedisError as error:
            _log(error)
            raise ValueError(f"Key {key!r} not found.") from error

    def clear(self) -> bool:
        return _forgive(lambda: super(ForgivingClient, self).clear(), False)


class ForgivingRedisCache(RedisCache):
    """Django's cache in Redis with short time limits, no retries, and a miss for every fault of the server."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        limits = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS, "retry": Retry(NoBackoff(), 0)}
        super().__init__(server, {**params, "OPTIONS": {**limits, **params.get("OPTIONS", {})}})
        self._class = ForgivingClient


def _forgive(operation: Callable[[], T], miss: T) -> T:
    try:
        return operation()
    except RedisError as error:
        _log(error)
        return miss


def _log(error: RedisError) -> None:
    logger.warning("cache is not used: %s", error)
