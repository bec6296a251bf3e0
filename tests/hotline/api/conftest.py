"""Callers of the API: a ticketing system with every scope, and one with none."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from hotline.models import APIKey


def make_client(*scopes: str) -> APIClient:
    _, key = APIKey.objects.create_key(name="工单系统", scopes=list(scopes))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    return client


@pytest.fixture(autouse=True)
def _no_throttle_left_over() -> None:
    cache.clear()


@pytest.fixture
def client(db: None) -> APIClient:
    return make_client(*APIKey.Scope.values)


@pytest.fixture
def powerless(db: None) -> APIClient:
    return make_client()
