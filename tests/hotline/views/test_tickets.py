"""The list of tickets."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import User
from hotline.services.tickets import open_ticket
from tests.factories import make_lookup, make_ticket

pytestmark = pytest.mark.django_db


def fetch(client: Client, **query: str) -> str:
    return client.get(reverse("tickets"), query).content.decode()


def test_it_lists_tickets_newest_first(agent_client: Client) -> None:
    make_ticket("先来的")
    make_ticket("后来的")

    page = fetch(agent_client)

    assert page.index("后来的") < page.index("先来的")


@pytest.mark.parametrize("wanted", ["加装电梯", "20261121-77", "GD-8", "138****0001"])
def test_it_finds_by_question_number_external_number_and_caller(agent_client: Client, wanted: str) -> None:
    make_ticket("加装电梯补贴多少", number="20261121-7777", external_id="GD-8", caller="138****0001")
    make_ticket("另一件")

    page = fetch(agent_client, q=wanted)

    assert "加装电梯补贴多少" in page
    assert "另一件" not in page


@pytest.mark.parametrize("wanted", ["13812345678", "138 1234 5678", "0571-87654321"])
def test_it_finds_a_caller_by_the_whole_telephone_number(agent_client: Client, wanted: str) -> None:
    open_ticket(question="加装电梯补贴多少", by=None, caller=wanted)
    open_ticket(question=f"请回电{wanted}", by=None)
    open_ticket(question="另一件", by=None, caller="13987650000")

    page = fetch(agent_client, q=wanted)

    assert "加装电梯补贴多少" in page
    assert "请回电" in page
    assert "另一件" not in page


def test_an_external_number_that_looks_like_a_telephone_number_is_found(agent_client: Client) -> None:
    make_ticket("加装电梯补贴多少", external_id="13812345678")

    assert "加装电梯补贴多少" in fetch(agent_client, q="13812345678")


def test_what_is_sought_is_posted_and_masked_in_the_address(agent_client: Client) -> None:
    open_ticket(question="加装电梯补贴多少", by=None, caller="13812345678")
    make_ticket("另一件", external_id="13900001111")

    found = agent_client.post(reverse("tickets"), {"q": "13812345678", "state": "open"}, follow=True)
    by_number = agent_client.post(reverse("tickets"), {"q": "13900001111"}, follow=True)

    assert found.redirect_chain == [("/tickets/?q=138%2A%2A%2A%2A5678&state=open", 302)]
    assert "加装电梯补贴多少" in found.content.decode()
    assert "另一件" in by_number.content.decode()


def test_it_filters_by_state(agent_client: Client) -> None:
    make_ticket("已经结束的", state="closed")
    make_ticket("还在处理的")

    page = fetch(agent_client, state="closed")

    assert "已经结束的" in page
    assert "还在处理的" not in page


def test_nothing_found_is_said(agent_client: Client) -> None:
    assert "没有符合条件的工单" in fetch(agent_client, q="没有的")


def test_it_has_pages_that_keep_the_search(agent_client: Client) -> None:
    for number in range(21):
        make_ticket(f"漏水 {number}")

    page = fetch(agent_client, q="漏水")

    assert "第 1 / 2 页 · 共 21 条" in page
    assert "?q=%E6%BC%8F%E6%B0%B4&amp;page=2" in page
    assert "漏水 0" in fetch(agent_client, q="漏水", page="2")


@pytest.mark.parametrize("query", [{"page": "99"}, {"page": "x"}, {"state": "wrong"}])
def test_a_strange_address_still_gives_a_list(agent_client: Client, query: dict[str, str]) -> None:
    make_ticket("漏水")

    assert "漏水" in fetch(agent_client, **query)


def test_queries_do_not_grow_with_tickets(
    agent_client: Client, agent: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(15):
        make_lookup(ticket=make_ticket(agent=agent))
    fetch(agent_client)

    with django_assert_num_queries(6):
        fetch(agent_client)
