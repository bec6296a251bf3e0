"""Stacks of real processes: embedded (nothing else needed) and production (PostgreSQL, Elasticsearch, Redis)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from elasticsearch import Elasticsearch

from tests.services.stack import Stack

REDIS_DATABASE = "11"


@pytest.fixture(params=["embedded", pytest.param("production", marks=pytest.mark.service)])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """Migrated and empty; no process runs yet."""
    yield from run_stack(request.getfixturevalue(f"{request.param}_env"), tmp_path)


@pytest.fixture
def production(production_env: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    yield from run_stack(production_env, tmp_path)


def run_stack(env: dict[str, str], folder: Path) -> Iterator[Stack]:
    """Migrated and empty; all its processes end with it."""
    stack = Stack(env, folder)
    stack.manage("migrate", "--verbosity", "0")
    try:
        yield stack
    finally:
        print(stack.logs())
        stack.stop()


@pytest.fixture
def embedded_env(tmp_path: Path) -> dict[str, str]:
    return _base_env(tmp_path)


@pytest.fixture
def production_env(
    tmp_path: Path, postgres_url: str, elasticsearch_url: str, redis_url: str
) -> Iterator[dict[str, str]]:
    """A database, an index prefix and a Redis database of the test's own, gone afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    prefix = name.replace("_", "-")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    own_redis = _with_path(redis_url, REDIS_DATABASE)
    redis.Redis.from_url(own_redis).flushdb()
    yield {
        **_base_env(tmp_path),
        "DATABASE_URL": _with_path(postgres_url, name),
        "SECRET_KEY": "for tests alone, and long enough for production",
        "SEARCH_URL": elasticsearch_url,
        "SEARCH_INDEX_PREFIX": prefix,
        "REDIS_URL": own_redis,
    }
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
    with Elasticsearch(elasticsearch_url) as client:
        for index in client.indices.get(index=f"{prefix}-*"):
            client.indices.delete(index=index)


def _base_env(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "VIRTUAL_ENV"}}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "hotline.settings",
        "HOTLINE_ENV_FILE": os.devnull,
        "DATA_DIR": str(folder / "data"),
        "RERANK_LEASE_SECONDS": "5",
        "PYTHONUNBUFFERED": "1",
    }


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))
