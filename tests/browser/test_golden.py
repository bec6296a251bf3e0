"""An administrator keeps golden questions, changes what is live, is held by the gate, overrides it and goes back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from hotline import golden
from hotline.live_settings import get_live_settings
from hotline.models import GoldenQuestion, User
from hotline.services import reranking
from hotline.services.lookups import start_lookup
from hotline.services.tickets import adopt_result, open_ticket
from kb.models import DocumentVersion
from tests.browser.conftest import SignIn
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def administrator(transactional_db: None) -> User:
    return make_user("knowledge_administrator")


@pytest.fixture
def ticket_number(policies: dict[str, DocumentVersion], administrator: User) -> str:
    """A ticket whose answer is adopted."""
    ticket, _ = open_ticket(question="云岚市加装电梯补贴多少钱", by=administrator)
    lookup = start_lookup(question=ticket.question, by=administrator, ticket=ticket)
    reranking.rerank_waiting_lookups()
    result = lookup.results.get(version=policies["lift"])
    shown = result.passages.first()
    assert shown is not None
    adopt_result(ticket=ticket, result=result, passage=shown.passage, by=administrator)
    return ticket.number


def test_gate_holds_a_change_until_it_is_overridden_and_it_can_be_undone(
    sign_in: SignIn, administrator: User, ticket_number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = sign_in(administrator)
    page.goto(f"/tickets/{ticket_number}/")
    page.click("text=加入标准问题")
    expect(page.locator(".notice.success")).to_have_text("已加入标准问题。")
    page.goto("/lab/golden/")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("云岚市既有住宅加装电梯办法")

    page.click(".tabs >> text=设置")
    page.select_option("#id_b-reranker", "lexical")
    page.fill("#settings-note", "只用词法")
    with monkeypatch.context() as patch:
        patch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
        page.click("text=比较并生效")
        expect(page.locator(".banner.doubt")).to_contain_text("已拦下")
    expect(page.locator(".golden-figures .fallen")).to_contain_text("Top-1")
    assert get_live_settings().reranker == "configured"

    page.fill("#override-note", "演练")
    page.click("text=仍要生效")
    expect(page.locator(".notice.success")).to_contain_text("已生效")
    expect(page.locator("tbody tr").first).to_contain_text("放行")
    assert get_live_settings().reranker == "lexical"

    page.click("text=恢复部署时的设置")
    expect(page.locator(".notice.success")).to_contain_text("标准问题的指标没有下降")
    assert get_live_settings().reranker == "configured"
    assert GoldenQuestion.objects.count() == 1


@pytest.mark.parametrize("address", ["/lab/golden/", "/lab/golden/add/", "/lab/settings/", "/lab/thresholds/"])
def test_nothing_runs_out_of_a_narrow_page(sign_in: SignIn, administrator: User, address: str) -> None:
    page = sign_in(administrator, viewport={"width": 390, "height": 800})

    page.goto(address)

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
