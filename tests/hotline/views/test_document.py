"""The document column: full text opened at the passage, ready to be copied and adopted."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from hotline.models import Lookup, Result, Ticket
from kb.models import Passage
from tests.factories import make_lookup, make_ticket, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def lookup(db: None) -> Lookup:
    return make_lookup([make_version(document_number="一号")], ticket=make_ticket(), scores=[1.0])


def open_document(client: Client, lookup: Lookup) -> str:
    result = lookup.results.get()
    passage = result.passages.first()
    assert passage is not None
    return client.get(reverse("lookup_document", args=[lookup.pk, result.pk, passage.passage_id])).content.decode()


def test_the_whole_text_opens_at_the_passage_with_the_answer_marked(agent_client: Client, lookup: Lookup) -> None:
    page = open_document(agent_client, lookup)

    assert "为规范物业服务，制定本条例。" in page
    assert "第三条 物业服务费" in page
    assert 'id="passage"' in page
    assert "<mark>两个工作日内到场维修</mark>" in page


def test_it_carries_what_is_copied_and_what_is_adopted(agent_client: Client, lookup: Lookup) -> None:
    page = open_document(agent_client, lookup)
    ticket, result = Ticket.objects.get(), Result.objects.get()

    assert 'data-copy="两个工作日内到场维修\n——《云岚市物业管理条例》（一号），第二章 物业服务 第二条"' in page
    assert f'action="{reverse("ticket_adopt", args=[ticket.number])}"' in page
    assert f'name="result" value="{result.pk}"' in page
    assert f'name="passage" value="{Passage.objects.get().pk}"' in page


def test_a_closed_ticket_adopts_nothing(agent_client: Client, lookup: Lookup) -> None:
    Ticket.objects.update(state="closed")

    assert "adopt-form" not in open_document(agent_client, lookup)


def test_a_table_in_the_text_has_cells(agent_client: Client) -> None:
    text = "第一条 标准如下：\n| 类别 | 元 |\n| --- | --- |\n| 博士 | 3000 |\n"

    page = open_document(agent_client, make_lookup([make_version(text=text)], scores=[1.0]))

    assert page.count('<span class="cell">') == 4
    assert "---" not in page


def test_markup_in_the_text_and_the_copied_answer_is_escaped(agent_client: Client) -> None:
    text = '第一条 "><script>alert(1)</script>。\n'

    page = open_document(agent_client, make_lookup([make_version('"><script>', text)], mark="<script>", scores=[1.0]))

    assert "<script" not in page
    assert 'data-copy="&lt;script&gt;' in page


@pytest.mark.parametrize("wrong", ["lookup", "result"])
def test_a_result_of_another_lookup_is_not_there(agent_client: Client, lookup: Lookup, wrong: str) -> None:
    other = make_lookup([make_version()], scores=[1.0])
    result, passage = lookup.results.get(), Passage.objects.first()
    assert passage is not None
    pks = {"lookup": [other.pk, result.pk], "result": [lookup.pk, other.results.get().pk]}[wrong]

    assert agent_client.get(reverse("lookup_document", args=[*pks, passage.pk])).status_code == 404


def test_it_takes_a_fixed_number_of_queries(
    agent_client: Client, lookup: Lookup, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    result = lookup.results.get()
    passage = result.passages.first()
    assert passage is not None

    with django_assert_num_queries(8):
        agent_client.get(reverse("lookup_document", args=[lookup.pk, result.pk, passage.passage_id]))
