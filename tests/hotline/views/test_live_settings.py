"""Live settings: proposed, held, overridden, undone; thresholds as verdicts ask for them."""

from __future__ import annotations

import random
import re

import pytest
from django.test import Client
from django.urls import reverse

from hotline import golden
from hotline.instructions import instruction_text
from hotline.live_settings import forget_live_values, get_live_settings
from hotline.models import (
    GoldenRun,
    InstructionTemplate,
    LexicalModelVersion,
    SavedSettings,
    SecondaryReview,
    User,
)
from hotline.rerankers import load_lexical_model
from hotline.retrieval_settings import name_revision
from hotline.services import live_settings
from hotline.services.golden_questions import add_golden_question
from kb.models import DocumentVersion
from kb.search.types import SearchEngine
from tests.factories import make_lookup, make_ticket, make_version
from tests.opened_forms import read_opened
from tests.policies import publish_samples

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(administrator_client: Client) -> Client:
    return administrator_client


@pytest.fixture
def policies(engine: SearchEngine, administrator: User) -> dict[str, DocumentVersion]:
    policies = publish_samples()
    add_golden_question(question="加装电梯补贴多少钱", document_ids=[policies["lift"].document_id], by=administrator)
    return policies


def propose(client: Client, **data: str) -> str:
    values = {"b-reranker": "lexical", "note": "试试词法"}
    return client.post(reverse("lab_settings"), {**values, **data}, follow=True).content.decode()


@pytest.mark.usefixtures("policies")
def test_settings_go_live_with_who_why_and_figures(client: Client, administrator: User) -> None:
    page = propose(client)

    assert "标准问题的指标没有下降" in page
    assert "试试词法" in page
    assert str(administrator) in page
    assert "Top-1 100.0" in page
    assert get_live_settings().reranker == "lexical"


@pytest.mark.usefixtures("policies")
def test_held_settings_wait_for_a_reason(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1", "mrr5"))
    page = propose(client)
    run = GoldenRun.objects.get()
    address = reverse("lab_golden_override", args=[run.pk])

    assert "已拦下" in page
    assert "Top-1、MRR@5 下降" in page
    assert get_live_settings().reranker == "configured"
    assert client.post(address, {"note": " "}).status_code == 400
    assert "已拦下" in client.get(reverse("lab_settings")).content.decode()

    page = client.post(address, {"note": "业务同意"}, follow=True).content.decode()
    assert "已生效" in page
    assert "放行" in page
    assert get_live_settings().reranker == "lexical"
    assert client.post(address, {"note": "再来"}).status_code == 409


@pytest.mark.usefixtures("policies")
def test_held_settings_are_dropped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
    propose(client)

    page = client.post(reverse("lab_golden_drop", args=[GoldenRun.objects.get().pk]), follow=True).content.decode()

    assert "线上不变" in page
    assert not SavedSettings.objects.exists()


@pytest.mark.usefixtures("policies")
def test_settings_are_undone(client: Client) -> None:
    propose(client)
    first = SavedSettings.objects.get()
    propose(client, **{"b-reranker": "none"})
    assert get_live_settings().reranker == "none"

    client.post(reverse("settings_restore", args=[first.pk]))
    assert get_live_settings().reranker == "lexical"
    client.post(reverse("settings_restore", args=[0]))
    assert get_live_settings().reranker == "configured"


def test_bad_settings_are_refused(client: Client) -> None:
    assert "没有要保存的改动" in propose(client, **{"b-reranker": "configured"})
    assert "首位占比阈值应在 0 与 1 之间" in propose(client, **{"b-first_share_threshold": "7"})


def test_run_says_how_far_it_is_and_then_loads_the_page_again(client: Client) -> None:
    run = GoldenRun.objects.create(kind="settings", state="running", questions=40, done=25, proposal={"settings": {}})
    address = reverse("lab_golden_run", args=[run.pk])

    page = client.get(address).content.decode()
    assert "25 / 80" in page
    assert 'hx-trigger="every 2s"' in page
    GoldenRun.objects.filter(pk=run.pk).update(state="held")
    assert client.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_thresholds_by_line_of_business_are_shown_and_changed(client: Client) -> None:
    page = propose(client, **{"b-category_complaint": "0.6", "b-first_share_threshold": "0.3"})

    assert get_live_settings().thresholds_by_category == {"complaint": 0.6}
    assert "投诉举报的阈值 0.6" in page
    assert re.search(r'name="b-category_complaint" value="0.6"', page)
    assert "0 与 100 之间" in propose(client, **{"b-category_complaint": "-1"})
    propose(client, **{"b-first_share_threshold": "0.3"})
    assert get_live_settings().thresholds_by_category == {}


def test_thresholds_of_another_revision_are_said_not_to_act(client: Client) -> None:
    current = name_revision("lexical", load_lexical_model().revision)
    page = propose(client, **{"b-first_share_threshold": "0.3", "b-thresholds_for": current})
    assert f"阈值只用于 {current}" in page
    assert "不起作用" not in page

    SavedSettings.objects.create(
        settings={
            "first_share_threshold": 0.3456,
            "thresholds_by_category": {"complaint": 0.6},
            "thresholds_for": "lexical old",
        }
    )
    forget_live_values()
    assert "属于 lexical old" in client.get(reverse("lab_settings")).content.decode()
    page = client.get(reverse("lab_thresholds")).content.decode()
    assert "属于 lexical old" in page
    assert "0.3456" not in page


def test_instructions_have_a_history_and_are_undone(client: Client, reviewer_client: Client) -> None:
    for text in ("找出处理期限", "找出责任部门"):
        client.post(reverse("lab_instructions"), {"key": "complaint", "label": "投诉", "text": text})
    first, second = InstructionTemplate.objects.order_by("pk")
    page = client.get(reverse("lab_settings")).content.decode()
    assert page.index("找出责任部门") < page.index("找出处理期限")

    assert reviewer_client.post(reverse("template_restore", args=[first.pk])).status_code == 403
    client.post(reverse("template_restore", args=[first.pk]))
    assert instruction_text("complaint") == "找出处理期限"
    client.post(reverse("template_restore", args=[second.pk]), {"withdraw": "1"})
    assert "停用，改用随产品的" in client.get(reverse("lab_settings")).content.decode()


def judge_lookups(count: int, category: str = "") -> None:
    """Verdicts on lookups whose first is right the surer the greater its share; half of the sure ones were drawn."""
    source = random.Random(5)
    versions = [make_version("甲办法"), make_version("乙办法")]
    revision = load_lexical_model().revision
    for _ in range(count):
        share = source.random()
        ticket = make_ticket(category=category) if category else None
        lookup = make_lookup(versions, scores=[1.0, 0.5], first_share=share, reranker_revision=revision, ticket=ticket)
        chance = 1.0 if share < 0.4 else 0.5
        review = SecondaryReview.objects.create(lookup=lookup, state="decided", verdict="confirmed", chance=chance)
        review.picked.add(lookup.results.get(rank=1 if share > 0.5 or source.random() < 0.3 else 2))


def test_too_few_verdicts_say_so(client: Client) -> None:
    page = client.get(reverse("lab_thresholds")).content.decode()

    assert "只有 0 条复核结论，至少需要 100 条" in page
    assert "采用建议的阈值" not in page
    assert client.post(reverse("lab_thresholds")).status_code == 400


def test_learned_threshold_is_shown_as_a_curve_and_goes_live(client: Client) -> None:
    judge_lookups(130)
    page = client.get(reverse("lab_thresholds")).content.decode()

    assert "<polyline" in page
    assert "采用建议的阈值" in page
    client.post(reverse("lab_thresholds"), {"target": "10"})
    threshold = get_live_settings().first_share_threshold
    assert threshold is not None
    assert 0.2 < threshold <= 0.55
    assert "学习阈值" in SavedSettings.objects.get().note


def test_line_of_business_with_enough_verdicts_has_a_curve_and_a_threshold_that_acts(client: Client) -> None:
    judge_lookups(130, "complaint")
    judge_lookups(20, "regulations")
    page = client.get(reverse("lab_thresholds")).content.decode()

    assert "投诉举报的曲线" in page
    assert "法规规章的曲线" not in page
    client.post(reverse("lab_thresholds"), {"target": "10"})
    live = get_live_settings()
    assert set(live.thresholds_by_category) == {"complaint"}
    assert live.thresholds_for == name_revision("lexical", load_lexical_model().revision)
    shown = client.get(reverse("lab_thresholds")).content.decode()
    assert f"现用 </span>{live.thresholds_by_category['complaint']:.4f}" in shown


def test_target_out_of_range_is_said(client: Client) -> None:
    assert client.get(reverse("lab_thresholds"), {"target": "99"}).status_code == 400


def open_form(client: Client, address: str) -> str:
    return read_opened(client.get(address).content.decode())


@pytest.mark.usefixtures("policies")
def test_form_opened_before_somebody_else_saved_overwrites_nothing(client: Client, administrator: User) -> None:
    opened = open_form(client, reverse("lab_settings"))
    propose(client, note="同事先改了")

    sent = {"b-rewrites": "none", "note": "我的理由", "opened": opened}
    response = client.post(reverse("lab_settings"), sent)

    page = response.content.decode()
    assert response.status_code == 409
    assert f"线上设置已由 {administrator} 在" in page
    assert "同事先改了" in page
    assert 'value="我的理由"' in page
    assert re.search(r'<option value="none" selected>', page)
    assert get_live_settings().rewrites == "default"
    again = read_opened(page)
    client.post(reverse("lab_settings"), {**sent, "opened": again})
    assert get_live_settings().rewrites == "none"


@pytest.mark.usefixtures("policies")
def test_change_that_comes_between_the_form_and_the_comparison_overtakes_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_form(client, reverse("lab_settings"))
    propose(client)
    monkeypatch.setattr(live_settings, "find_saved", lambda: int(opened))

    page = propose(client, **{"b-reranker": "configured", "b-rewrites": "none", "opened": opened})

    assert "提交之后线上设置又有改动" in page
    assert get_live_settings().rewrites == "default"


@pytest.mark.usefixtures("policies")
def test_page_drawn_earlier_restores_no_settings_over_newer_ones(client: Client) -> None:
    propose(client)
    opened = open_form(client, reverse("lab_settings"))
    first = SavedSettings.objects.get()
    propose(client, **{"b-rewrites": "none"})
    for pk in (0, first.pk):
        response = client.post(reverse("settings_restore", args=[pk]), {"opened": opened})
        assert response.status_code == 409
    assert get_live_settings().rewrites == "none"

    client.post(reverse("settings_restore", args=[first.pk]), {"opened": SavedSettings.objects.latest("pk").pk})
    assert get_live_settings().rewrites == "default"


def test_page_drawn_earlier_restores_no_coefficients_over_newer_ones(client: Client) -> None:
    first, second = (LexicalModelVersion.objects.create(revision=name, content={"a": name}) for name in ("一", "二"))

    response = client.post(reverse("model_restore", args=[0]), {"opened": first.pk})

    assert response.status_code == 409
    assert "词法重排系数已由 系统 换过" in response.content.decode()
    assert LexicalModelVersion.objects.latest("pk") == second


def test_page_drawn_earlier_withdraws_no_template_that_somebody_has_changed(client: Client) -> None:
    first = InstructionTemplate.objects.create(key="deadline", label="期限", text="找期限")
    other = InstructionTemplate.objects.create(key="amount", label="金额", text="找金额")
    InstructionTemplate.objects.create(key="deadline", label="期限", text="找办理期限")

    for data in ({"withdraw": "1"}, {}):
        response = client.post(reverse("template_restore", args=[first.pk]), {**data, "opened": other.pk})
        assert response.status_code == 409
        assert "现在是“找办理期限”" in response.content.decode()

    client.post(reverse("template_restore", args=[other.pk]), {"withdraw": "1", "opened": other.pk})
    assert instruction_text("amount") == instruction_text("")
    assert instruction_text("deadline") == "找办理期限"
