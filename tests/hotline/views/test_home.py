"""The first page."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import User
from tests.factories import make_ticket, make_user, make_version

pytestmark = pytest.mark.django_db


def with_permission(codename: str) -> Client:
    user = make_user("")
    user.user_permissions.add(Permission.objects.get(codename=codename))
    client = Client()
    client.force_login(user)
    return client


def test_an_agent_finds_the_question_box_and_the_own_tickets(agent_client: Client, agent: User) -> None:
    mine = make_ticket("我的工单问题", agent=agent)
    make_ticket("别人的工单问题", agent=make_user())

    page = agent_client.get(reverse("console")).content.decode()

    assert 'name="question"' in page
    assert reverse("ticket", args=[mine.number]) in page
    assert "别人的工单问题" not in page


def test_regions_and_categories_of_published_policies_are_offered(agent_client: Client) -> None:
    make_version(region="青溪区", category="住房")
    make_version(region="草稿区", state="draft")

    page = agent_client.get(reverse("console")).content.decode()

    assert '<option value="青溪区">' in page
    assert '<option value="住房">' in page
    assert "草稿区" not in page


@pytest.mark.parametrize(("permission", "page"), [("review_lookups", "reviews"), ("manage_knowledge", "kb:uploads")])
def test_others_are_led_to_their_own_first_page(permission: str, page: str) -> None:
    assert with_permission(permission).get(reverse("console"))["Location"] == reverse(page)


def test_queries_do_not_grow_with_tickets(
    agent_client: Client, agent: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        make_ticket(agent=agent)

    with django_assert_max_num_queries(8):
        agent_client.get(reverse("console"))
