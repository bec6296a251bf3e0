"""Signed-in people at the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.test import Client

from hotline.models import User
from tests.factories import make_user

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def sign_in(db: None) -> Callable[[User], Client]:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def agent(db: None) -> User:
    return make_user("agent")


@pytest.fixture
def agent_client(sign_in: Callable[[User], Client], agent: User) -> Client:
    return sign_in(agent)


@pytest.fixture
def reviewer(db: None) -> User:
    return make_user("reviewer")


@pytest.fixture
def reviewer_client(sign_in: Callable[[User], Client], reviewer: User) -> Client:
    return sign_in(reviewer)


@pytest.fixture
def administrator(db: None) -> User:
    return make_user("knowledge_administrator")


@pytest.fixture
def administrator_client(sign_in: Callable[[User], Client], administrator: User) -> Client:
    return sign_in(administrator)
