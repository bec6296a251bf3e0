"""The tray: what would change, and the button that makes it so."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from hotline.models import User
from hotline.services.dictionaries import run_waiting_trials
from kb.models import DictionaryRelease
from kb.services.dictionary_drafts import digest_drafts, draft_new_entry
from tests.factories import make_lookup

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(administrator_client: Client) -> Client:
    return administrator_client


def test_drafts_are_tried_and_put_live(client: Client, released: DictionaryRelease, administrator: User) -> None:
    make_lookup(question="老房子想加电梯怎么办")
    draft_new_entry(values={"kind": "synonym", "text": "加电梯", "other": "加装电梯"}, by=administrator)
    tray = reverse("dictionary_drafts")
    page = client.get(tray).content.decode()
    assert "还没有试用过" in page
    assert "全部生效" not in page

    panel = client.post(reverse("dictionary_try"), headers={"HX-Request": "true"}).content.decode()
    assert "正在试用" in panel
    run_waiting_trials()
    panel = client.get(reverse("dictionary_trial")).content.decode()
    assert "老房子想加电梯怎么办" in panel
    assert "全部生效" in panel

    page = client.post(reverse("dictionary_live"), {"drafts": digest_drafts()}, follow=True).content.decode()
    assert "已生效，记为第" in page
    assert "没有待生效的草稿" in page


def test_the_page_reads_all_drafts_once_and_a_poll_none(
    client: Client, released: DictionaryRelease, administrator: User, django_assert_max_num_queries: Any
) -> None:
    draft_new_entry(values={"kind": "synonym", "text": "加电梯", "other": "加装电梯"}, by=administrator)

    def list_reads(captured: Any) -> list[str]:
        return [query["sql"] for query in captured.captured_queries if 'FROM "kb_dictionarydraft"' in query["sql"]]

    with django_assert_max_num_queries(20) as page:
        client.get(reverse("dictionary_drafts"))
    assert len([sql for sql in list_reads(page) if "frequency" in sql and "LIMIT" not in sql]) == 1
    client.post(reverse("dictionary_try"), headers={"HX-Request": "true"})
    with django_assert_max_num_queries(6) as poll:
        assert "正在试用" in client.get(reverse("dictionary_trial")).content.decode()

    assert list_reads(poll) == []


def test_what_is_held_is_refused_with_its_reason(
    client: Client, released: DictionaryRelease, administrator: User
) -> None:
    draft_new_entry(values={"kind": "term", "text": "漏水险"}, by=administrator)
    address = reverse("dictionary_live")

    held = client.post(address, {"drafts": digest_drafts()})
    assert held.status_code == 409
    assert "还没有试用过" in held.content.decode()
    stale = client.post(address, {"drafts": "x", "override": "1", "note": "急"})
    assert stale.status_code == 409
    assert "重新试用" in stale.content.decode()

    client.post(address, {"drafts": digest_drafts(), "override": "1", "note": "急"})
    assert DictionaryRelease.objects.first().is_override  # type: ignore[union-attr]


def test_agents_have_no_business_here(agent_client: Client) -> None:
    assert agent_client.get(reverse("dictionary_drafts")).status_code == 403
