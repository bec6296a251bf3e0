"""The review desk's list."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import User
from tests.factories import make_lookup, make_review, make_ticket

pytestmark = pytest.mark.django_db


def fetch(client: Client, **query: str) -> str:
    return client.get(reverse("reviews"), query).content.decode()


def test_what_waits_longest_comes_first(reviewer_client: Client) -> None:
    for question in ("先送来的", "后送来的"):
        make_review(make_lookup(question=question))

    page = fetch(reviewer_client)

    assert page.index("先送来的") < page.index("后送来的")
    assert "前两名太接近" in page


def test_each_state_has_its_list(reviewer_client: Client, reviewer: User) -> None:
    make_review(make_lookup(question="等待中的"))
    make_review(make_lookup(question="定了的"), state="decided", verdict="none_right", reviewer=reviewer)
    make_review(make_lookup(question="机器核对的"), state="settled")

    assert "均不正确" in fetch(reviewer_client, state="decided")
    assert "机器核对的" in fetch(reviewer_client, state="settled")
    assert "定了的" not in fetch(reviewer_client)


def test_an_empty_desk_says_so(reviewer_client: Client) -> None:
    assert "没有待复核的检索" in fetch(reviewer_client)


def test_queries_do_not_grow_with_reviews(
    reviewer_client: Client, reviewer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(12):
        make_review(make_lookup(ticket=make_ticket(), asked_by=reviewer))
    fetch(reviewer_client)

    with django_assert_num_queries(7):
        fetch(reviewer_client)
