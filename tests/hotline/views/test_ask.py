"""Asking from the page, through to the first results."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from hotline.models import Lookup, Ticket, User
from kb import retrieval
from kb.search.types import SearchEngineUnavailable
from tests.factories import make_ticket
from tests.hotline.views.conftest import HTMX

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("policies")]
QUESTION = "楼上漏水物业多久到场维修"


def test_a_question_opens_a_ticket_and_shows_the_first_results(agent_client: Client, agent: User) -> None:
    response = agent_client.post(
        reverse("ask"), {"question": QUESTION, "caller": "13812340000", "notes": "急"}, follow=True
    )
    ticket, page = Ticket.objects.get(), response.content.decode()

    assert response.redirect_chain[0][0] == f"/tickets/{ticket.number}/?lookup={Lookup.objects.get().pk}"
    assert (ticket.agent, ticket.notes) == (agent, "急")
    assert "13812340000" not in page
    assert "云岚市物业管理条例" in page
    assert "未重排" in page
    assert "<mark>" in page


def test_a_question_in_a_ticket_belongs_to_it(agent_client: Client) -> None:
    ticket = make_ticket()

    agent_client.post(reverse("ask"), {"question": QUESTION, "ticket": ticket.number})

    assert Lookup.objects.get().ticket == ticket
    assert Ticket.objects.count() == 1


def test_one_may_look_something_up_without_a_ticket(agent_client: Client) -> None:
    response = agent_client.post(reverse("ask"), {"question": QUESTION, "only_lookup": "1"}, follow=True)

    assert Ticket.objects.count() == 0
    assert response.redirect_chain[0][0] == reverse("lookup", args=[Lookup.objects.get().pk])
    assert "未建工单" in response.content.decode()


def test_day_and_filters_are_asked_with_and_shown_again(agent_client: Client) -> None:
    data = {"question": QUESTION, "as_of": "2025-06-01", "region": "云岚市", "include_ended": "1", "only_lookup": "1"}

    page = agent_client.post(reverse("ask"), data, follow=True).content.decode()
    lookup = Lookup.objects.get()

    assert lookup.as_of.isoformat() == "2025-06-01"
    assert lookup.filters["regions"] == ["云岚市"]
    assert lookup.filters["include_not_in_force"] is True
    assert 'value="2025-06-01"' in page
    assert 'name="region" list="regions" size="5" placeholder="不限" value="云岚市"' in page
    assert 'name="include_ended" value="1" checked' in page


@pytest.mark.parametrize(
    ("data", "message"),
    [({"question": " "}, "请输入问题。"), ({"question": "楼上漏水", "as_of": "2025-13-01"}, "日期应写作 2025-03-01。")],
)
def test_what_is_wrong_is_said(agent_client: Client, data: dict[str, str], message: str) -> None:
    response = agent_client.post(reverse("ask"), data)

    assert response.status_code == 400
    assert message in response.content.decode()
    assert Lookup.objects.count() == 0


def test_with_htmx_what_is_wrong_is_said_in_the_notice_line(agent_client: Client) -> None:
    response = agent_client.post(reverse("ask"), {"question": ""}, headers=HTMX)

    assert response["HX-Retarget"] == "#notice"
    assert response.content.decode().strip() == '<p class="notice error">请输入问题。</p>'


def test_without_a_search_engine_the_question_is_kept_in_the_ticket(
    agent_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise SearchEngineUnavailable("down")

    monkeypatch.setattr(retrieval, "_retrieve", fail)

    page = agent_client.post(reverse("ask"), {"question": QUESTION}, follow=True).content.decode()

    assert Ticket.objects.get().question == QUESTION
    assert "检索服务暂时不可用" in page
    assert "还没有检索结果" in page
    assert f'<input type="hidden" name="question" value="{QUESTION}">' in page


def test_without_a_search_engine_a_bare_lookup_says_so(agent_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise SearchEngineUnavailable("down")

    monkeypatch.setattr(retrieval, "_retrieve", fail)

    response = agent_client.post(reverse("ask"), {"question": QUESTION, "only_lookup": "1"})

    page = response.content.decode()

    assert response.status_code == 503
    assert "检索服务暂时不可用" in page
    assert f"required>{QUESTION}</textarea>" in page
    assert '<input type="hidden" name="only_lookup" value="1">' in page


def test_a_post_without_the_csrf_token_is_refused(agent: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(agent)

    response = client.post(reverse("ask"), {"question": QUESTION})

    assert response.status_code == 403
    assert "页面已过期" in response.content.decode()
    assert Lookup.objects.count() == 0
