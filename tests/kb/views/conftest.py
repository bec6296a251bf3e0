"""A signed-in knowledge administrator."""

from __future__ import annotations

import pytest
from django.test import Client

from hotline.models import User
from tests.factories import make_user


@pytest.fixture
def administrator(db: None) -> User:
    return make_user("knowledge_administrator")


@pytest.fixture
def client(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client
