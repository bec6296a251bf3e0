"""A lookup's own page, for what was looked up without a ticket."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from hotline.models import QueryVariant
from tests.factories import make_lookup, make_ticket, make_version

pytestmark = pytest.mark.django_db


def test_it_shows_question_results_and_the_first_document(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])

    page = agent_client.get(reverse("lookup", args=[lookup.pk])).content.decode()

    assert "楼上漏水物业不管怎么办" in page
    assert 'id="passage"' in page
    assert "adopt-form" not in page


def test_a_lookup_of_a_ticket_is_shown_there(agent_client: Client) -> None:
    lookup = make_lookup(ticket=make_ticket())

    response = agent_client.get(reverse("lookup", args=[lookup.pk]))

    assert response["Location"] == f"{reverse('ticket', args=[lookup.ticket.number])}?lookup={lookup.pk}"


def test_the_wordings_of_the_question_can_be_switched(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    QueryVariant.objects.create(lookup=lookup, ordinal=1, kind="rewrite", text="房屋渗漏维修责任")
    QueryVariant.objects.create(lookup=lookup, ordinal=2, kind="rewrite", text="物业服务投诉", is_used=False)

    page = agent_client.get(reverse("lookup", args=[lookup.pk])).content.decode()

    assert '<input type="checkbox" name="variant" value="房屋渗漏维修责任" checked>' in page
    assert '<input type="checkbox" name="variant" value="物业服务投诉">' in page
    assert 'name="chooses_variants"' in page


def test_reviewers_may_read_it_and_strangers_not(reviewer_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])

    assert reviewer_client.get(reverse("lookup", args=[lookup.pk])).status_code == 200
    assert Client().get(reverse("lookup", args=[lookup.pk])).status_code == 302


def test_without_javascript_an_unfinished_page_asks_again_by_itself(agent_client: Client) -> None:
    waiting, done = make_lookup([make_version()]), make_lookup([make_version()], scores=[1.0])

    pages = [agent_client.get(reverse("lookup", args=[pk])).content.decode() for pk in (waiting.pk, done.pk)]

    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in pages[0]
    assert "http-equiv" not in pages[1]


def test_a_lookup_that_is_not_there(agent_client: Client) -> None:
    assert agent_client.get(reverse("lookup", args=[99])).status_code == 404


def test_a_lookup_without_ticket_becomes_one(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    page = agent_client.get(reverse("lookup", args=[lookup.pk])).content.decode()
    response = agent_client.post(reverse("open_ticket", args=[lookup.pk]), follow=True)
    lookup.refresh_from_db()

    assert "建立工单" in page
    assert lookup.ticket
    assert response.redirect_chain[0][0] == f"/tickets/{lookup.ticket.number}/?lookup={lookup.pk}"
    assert "已建工单" in response.content.decode()
    assert "adopt-form" in response.content.decode()
    assert "建立工单" not in response.content.decode()


def test_a_lookup_without_recall_by_meaning_says_so(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0], notices=["semantic_unavailable"])

    page = agent_client.get(reverse("lookup", args=[lookup.pk])).content.decode()

    assert "语义召回不可用，只按字词检索" in page
