"""Signing in and out, and who may see what."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_lookup, make_review, make_ticket, make_user

pytestmark = pytest.mark.django_db


def test_signing_in_leads_to_the_console() -> None:
    user = make_user("agent")

    response = Client().post(reverse("login"), {"username": user.username, "password": "secret"})

    assert response["Location"] == reverse("console")


def test_a_wrong_password_is_said_in_chinese() -> None:
    user = make_user("agent")

    page = Client().post(reverse("login"), {"username": user.username, "password": "wrong"}).content.decode()

    assert "用户名或密码不正确" in page
    assert f'value="{user.username}"' in page


def test_signing_out_takes_a_post(agent_client: Client) -> None:
    assert agent_client.get(reverse("logout")).status_code == 405
    assert agent_client.post(reverse("logout"))["Location"] == reverse("login")
    assert agent_client.get(reverse("tickets")).status_code == 302


@pytest.mark.parametrize("name", ["console", "tickets", "reviews", "kb:documents", "kb:uploads", "kb:index"])
def test_strangers_are_asked_to_sign_in(name: str) -> None:
    response = Client().get(reverse(name))

    assert response.status_code == 302
    assert response["Location"] == f"{reverse('login')}?next={reverse(name)}"


def test_a_session_that_ran_out_leads_the_whole_page_to_the_login() -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/tickets/1/"}

    response = Client().get(reverse("lookup_results", args=[1]), headers=headers)

    assert response["HX-Redirect"] == f"{reverse('login')}?next=/tickets/1/"


def test_agents_neither_review_nor_keep_the_knowledge(agent_client: Client) -> None:
    review = make_review(make_lookup())

    for address in (reverse("reviews"), reverse("review", args=[review.pk]), reverse("kb:uploads")):
        response = agent_client.get(address)
        assert response.status_code == 403
        assert "您的角色不能打开这个页面" in response.content.decode()


def test_a_person_without_a_role_sees_no_page() -> None:
    client = Client()
    client.force_login(make_user(""))

    for address in (reverse("console"), reverse("tickets"), reverse("ticket", args=[make_ticket().number])):
        assert client.get(address).status_code == 403


def test_navigation_names_only_what_may_be_opened(agent_client: Client, reviewer_client: Client) -> None:
    make_review(make_lookup())
    nav = [client.get(reverse("console")).content.decode() for client in (agent_client, reviewer_client)]

    assert reverse("reviews") not in nav[0]
    assert reverse("reviews") in nav[1]
    assert "待复核 1 件" in nav[1]
    assert reverse("kb:documents") not in nav[1]


def test_every_page_allows_nothing_inline_and_nothing_from_elsewhere(agent_client: Client) -> None:
    response = agent_client.get(reverse("console"))
    policy, page = response["Content-Security-Policy"], response.content.decode()

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script src="/static/')


def test_what_is_not_there_is_said_in_chinese(agent_client: Client) -> None:
    response = agent_client.get(reverse("ticket", args=["没有"]))

    assert response.status_code == 404
    assert "没有找到" in response.content.decode()
