"""Thumbs."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from hotline.models import Feedback, Result, User
from tests.factories import make_lookup, make_version
from tests.hotline.views.conftest import HTMX

pytestmark = pytest.mark.django_db


@pytest.fixture
def result(db: None) -> Result:
    return make_lookup([make_version()], scores=[1.0]).results.get()


def test_a_thumb_is_kept_and_shown_in_place(agent_client: Client, agent: User, result: Result) -> None:
    response = agent_client.post(reverse("feedback", args=[result.pk]), {"is_helpful": "1"}, headers=HTMX)

    assert Feedback.objects.get().by == agent
    assert 'value="1" aria-pressed="true"' in response.content.decode()


def test_a_second_thumb_replaces_the_first(agent_client: Client, result: Result) -> None:
    for value in ("1", "0"):
        agent_client.post(reverse("feedback", args=[result.pk]), {"is_helpful": value}, headers=HTMX)

    assert Feedback.objects.get().is_helpful is False


def test_without_javascript_it_leads_back_to_the_lookup(agent_client: Client, result: Result) -> None:
    response = agent_client.post(reverse("feedback", args=[result.pk]), {"is_helpful": "0"})

    assert response["Location"] == reverse("lookup", args=[result.lookup_id])


def test_the_own_thumb_is_shown_again_and_others_are_not(
    agent_client: Client, reviewer_client: Client, result: Result
) -> None:
    agent_client.post(reverse("feedback", args=[result.pk]), {"is_helpful": "1"})
    address = reverse("lookup_results", args=[result.lookup_id])

    assert 'value="1" aria-pressed="true"' in agent_client.get(address).content.decode()
    assert 'aria-pressed="true"' not in reviewer_client.get(address).content.decode()


def test_anything_else_is_refused(agent_client: Client, result: Result) -> None:
    assert agent_client.post(reverse("feedback", args=[result.pk]), {"is_helpful": "x"}).status_code == 400
    assert agent_client.get(reverse("feedback", args=[result.pk])).status_code == 405
    assert Feedback.objects.count() == 0
