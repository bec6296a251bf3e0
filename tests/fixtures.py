"""Fixtures that need the product's settings: room of its own for each test's index and files."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings

if TYPE_CHECKING:
    from hotline.models import User
    from kb.models import DictionaryRelease
    from kb.search.types import SearchEngine


@pytest.fixture
def engine(settings: Settings, tmp_path: Path) -> Iterator[SearchEngine]:
    """The engine that the settings name: embedded in a folder of the test's, or Elasticsearch under its own prefix."""
    from elasticsearch import Elasticsearch

    from kb.engine import get_search_engine

    if settings.SEARCH_URL.startswith("file:"):
        settings.SEARCH_URL = f"file://{tmp_path / 'index'}"
        yield get_search_engine()
        return
    settings.SEARCH_INDEX_PREFIX = f"test-{uuid.uuid4().hex[:12]}"
    yield get_search_engine()
    with Elasticsearch(settings.SEARCH_URL, request_timeout=30) as client:
        for name in client.indices.get(index=f"{settings.SEARCH_INDEX_PREFIX}-*"):
            client.indices.delete(index=name)


@pytest.fixture(autouse=True)
def _live_rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process; without a database there is no release, and a test's own transaction is seen by itself."""
    from kb import live_dictionaries

    live_dictionaries.forget_live_rules()
    marker = request.node.get_closest_marker("django_db")
    if not marker and not {"db", "transactional_db", "live_server"} & set(request.fixturenames):
        monkeypatch.setattr(live_dictionaries, "read_release", lambda: 0)
    elif "transactional_db" not in request.fixturenames and not (marker and marker.kwargs.get("transaction")):
        monkeypatch.setattr(live_dictionaries.live_rules, "_spawn", lambda work: work())


@pytest.fixture
def by(db: None) -> User:
    """Who changes dictionaries."""
    from tests.factories import make_user

    return make_user("knowledge_administrator")


@pytest.fixture
def released(db: None, monkeypatch: pytest.MonkeyPatch) -> DictionaryRelease:
    """Dictionaries in the database: four rows, released as those of the product."""
    from tests.dictionaries import release_few

    return release_few(monkeypatch)


@pytest.fixture(autouse=True)
def _media(settings: Settings, tmp_path: Path) -> None:
    """Uploaded files go into a folder of the test's."""
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True)
def _nothing_kept_live() -> Iterator[None]:
    """Rows vanish between tests; what a process keeps of them must not."""
    from hotline.hot_value import forget_all

    forget_all()
    yield
    forget_all()
