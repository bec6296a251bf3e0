"""One ticket's console, and what is done to it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import AuditEvent, Lookup, Ticket
from tests.factories import TEXT, make_lookup, make_ticket, make_version
from tests.hotline.views.conftest import HTMX

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(db: None) -> Ticket:
    return make_ticket(caller="138****0000", region="青溪区", category="complaint")


@pytest.fixture
def lookup(ticket: Ticket) -> Lookup:
    return make_lookup([make_version("甲办法"), make_version("乙办法")], ticket=ticket, scores=[2.0, 1.0])


def fetch(client: Client, ticket: Ticket, **query: object) -> str:
    return client.get(reverse("ticket", args=[ticket.number]), query).content.decode()


def post(client: Client, name: str, ticket: Ticket, **data: object) -> str:
    response = client.post(reverse(f"ticket_{name}", args=[ticket.number]), data, headers=HTMX)
    assert response.status_code == 200, response.content.decode()
    return response.content.decode()


def test_the_three_columns(agent_client: Client, ticket: Ticket, lookup: Lookup) -> None:
    page = fetch(agent_client, ticket)

    for text in (ticket.number, ticket.question, "138****0000", "青溪区", "投诉举报"):
        assert text in page
    assert 'id="results"' in page
    assert 'id="passage"' in page
    assert 'id="work"' in page


def test_a_ticket_that_has_not_been_looked_up_offers_to(agent_client: Client, ticket: Ticket) -> None:
    page = fetch(agent_client, ticket)

    assert "还没有检索结果" in page
    assert f'name="question" value="{ticket.question}"' in page


def test_the_latest_lookup_is_shown_and_earlier_ones_can_be_opened(agent_client: Client, ticket: Ticket) -> None:
    earlier = make_lookup([make_version("先前的办法")], ticket=ticket, scores=[1.0], question="先问")
    make_lookup([make_version("后来的办法")], ticket=ticket, scores=[1.0], question="再问")

    latest, first = fetch(agent_client, ticket), fetch(agent_client, ticket, lookup=earlier.pk)

    assert "后来的办法" in latest
    assert "先前的办法" not in latest
    assert "先前的办法" in first


def test_a_lookup_of_another_ticket_is_not_shown(agent_client: Client, ticket: Ticket) -> None:
    foreign = make_lookup([make_version("别家的办法")], ticket=make_ticket(), scores=[1.0])

    assert "别家的办法" not in fetch(agent_client, ticket, lookup=foreign.pk)


def test_without_javascript_a_link_opens_another_document(agent_client: Client, ticket: Ticket, lookup: Lookup) -> None:
    second = lookup.results.get(rank=2)

    page = fetch(agent_client, ticket, lookup=lookup.pk, result=second.pk)

    assert f'<div class="document-head" data-version="{second.version_id}">' in page


def test_adopting_writes_the_answer(agent_client: Client, ticket: Ticket, lookup: Lookup) -> None:
    result = lookup.results.get(rank=1)
    passage = result.passages.first()
    assert passage is not None

    page = post(agent_client, "adopt", ticket, result=result.pk, passage=passage.passage_id)
    ticket.refresh_from_db()

    assert ticket.state == "answered"
    assert "《甲办法》" in ticket.answer
    assert "已采纳" in page
    assert "《甲办法》" in page
    assert "已采纳" in fetch(agent_client, ticket)


def test_a_passage_of_another_ticket_cannot_be_adopted(agent_client: Client, ticket: Ticket) -> None:
    foreign = make_lookup([make_version()], ticket=make_ticket(), scores=[1.0]).results.get()
    passage = foreign.passages.first()
    assert passage is not None

    response = agent_client.post(
        reverse("ticket_adopt", args=[ticket.number]),
        {"result": foreign.pk, "passage": passage.passage_id},
        headers=HTMX,
    )

    assert response.status_code == 400
    assert response["HX-Retarget"] == "#notice"
    assert "不是本工单检索到的结果" in response.content.decode()


def test_notes_are_kept_masked(agent_client: Client, ticket: Ticket) -> None:
    page = post(agent_client, "notes", ticket, notes="回电 13812340000")
    ticket.refresh_from_db()

    assert "13812340000" not in ticket.notes
    assert "备注已保存" in page


def test_transfer_close_and_reopen(agent_client: Client, ticket: Ticket) -> None:
    assert "市住建局" in post(agent_client, "transfer", ticket, to="市住建局")
    closed = post(agent_client, "close", ticket)
    assert "重新打开" in closed
    assert "转办单位" not in closed
    assert "结束工单" in post(agent_client, "reopen", ticket)

    ticket.refresh_from_db()
    assert (ticket.state, ticket.transferred_to) == ("open", "市住建局")
    assert AuditEvent.objects.count() == 3


def test_closing_twice_is_a_conflict_said_in_place(agent_client: Client, ticket: Ticket) -> None:
    post(agent_client, "close", ticket)

    response = agent_client.post(reverse("ticket_close", args=[ticket.number]), headers=HTMX)

    assert response.status_code == 409
    assert "不能这样操作" in response.content.decode()


def test_without_javascript_each_deed_leads_back_to_the_lookup(agent_client: Client, ticket: Ticket) -> None:
    response = agent_client.post(reverse("ticket_notes", args=[ticket.number]), {"notes": "甲", "lookup": "7"})

    assert response["Location"] == f"{reverse('ticket', args=[ticket.number])}?lookup=7"


def test_without_javascript_a_refusal_has_a_page(agent_client: Client, ticket: Ticket) -> None:
    response = agent_client.post(reverse("ticket_transfer", args=[ticket.number]), {"to": ""})

    assert response.status_code == 400
    assert "请写明转办单位。" in response.content.decode()


def test_markup_in_a_ticket_is_escaped(agent_client: Client) -> None:
    ticket = make_ticket("<script>alert(1)</script>", notes="</textarea><script>", caller="<b>")

    page = fetch(agent_client, ticket)

    assert "<script>" not in page
    assert "<b>" not in page.split('class="question"')[1].split("</dl>")[0].replace('<b class="number">', "")


@pytest.mark.parametrize("name", ["adopt", "notes", "transfer", "close", "reopen"])
def test_deeds_take_a_post(agent_client: Client, ticket: Ticket, name: str) -> None:
    assert agent_client.get(reverse(f"ticket_{name}", args=[ticket.number])).status_code == 405


def test_queries_do_not_grow_with_results(
    agent_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    tickets = []
    for count in (1, 10):
        versions = [make_version(f"办法{number}", TEXT + str(number)) for number in range(count)]
        tickets.append(make_ticket())
        make_lookup(versions, ticket=tickets[-1], scores=[1.0 - number / 10 for number in range(count)])
    fetch(agent_client, tickets[0])

    for ticket in tickets:
        with django_assert_num_queries(14):
            fetch(agent_client, ticket)
