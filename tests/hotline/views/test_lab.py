"""The laboratory: two settings side by side, instructions, knowledge gaps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from hotline import trials
from hotline.instructions import instruction_text
from hotline.models import InstructionTemplate, KnowledgeGap, LabComparison, LabRow, LabRun, Lookup, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services.laboratory import keep_comparison
from kb.models import DocumentVersion
from kb.search.types import SearchEngine
from reranking.types import Ranking, RankingRequest
from tests.factories import make_user
from tests.hotline.conftest import FakeReranker
from tests.opened_forms import read_opened
from tests.policies import publish_samples

pytestmark = pytest.mark.django_db
QUESTION = "云岚市楼上漏水物业不管，多久维修"
Policies = dict[str, DocumentVersion]
LIVE = RetrievalSettings()


@pytest.fixture
def policies(db: None, engine: SearchEngine) -> Policies:
    return publish_samples()


def ask(client: Client, **sent: str | list[str]) -> HttpResponse:
    """What the page comes to; without settings, those that the empty form has."""
    usual = {"a-reranker": "none", "b-reranker": "configured"}
    return client.post(reverse("lab"), {**usual, **sent}, follow=True)


def fetch(client: Client, **sent: str | list[str]) -> str:
    response = ask(client, **sent) if sent else client.get(reverse("lab"))
    assert response.status_code == 200, response.content.decode()
    return response.content.decode()


def test_agents_have_no_laboratory(agent_client: Client, reviewer_client: Client) -> None:
    for name in ("lab", "lab_runs", "lab_gaps"):
        assert agent_client.get(reverse(name)).status_code == 403
        assert reviewer_client.get(reverse(name)).status_code == 200
    assert "实验台" not in agent_client.get(reverse("console")).content.decode()


def test_first_stage_stands_beside_the_live_settings(reviewer_client: Client, policies: Policies) -> None:
    page = fetch(reviewer_client, q=QUESTION)

    left, right = page.split('aria-label="右列"')
    assert "没有重排，只有初筛次序" in left
    assert "词法重排" in right
    assert "云岚市物业管理条例" in left
    assert "云岚市物业管理条例" in right
    assert 'class="moved same' in right
    assert 'class="moved' not in left
    assert not Lookup.objects.exists()


def test_scores_are_explained(reviewer_client: Client, policies: Policies) -> None:
    page = fetch(reviewer_client, q=QUESTION)

    assert "得分由来" in page
    assert "值 × 权重" in page
    assert "初筛·融合" in page
    assert 'class="token">漏水' in page
    assert 'role="img" aria-label="各候选与第一名的分差' in page


def test_settings_are_kept_with_the_question(reviewer_client: Client, policies: Policies) -> None:
    page = fetch(
        reviewer_client,
        q=QUESTION,
        **{"a-reranker": "lexical", "b-reranker": "lexical", "b-rankings": ["words"], "b-instruction": "找出期限"},
    )

    assert "词元 1/6 路" in page
    assert "它不读指令" in page
    assert "\n找出期限</textarea>" in page


def test_long_question_is_in_no_address_and_kept_masked(reviewer_client: Client, policies: Policies) -> None:
    """A web server takes a request line of 4,094 bytes, and proxies log it."""
    question = "我电话13812345678，" + "楼上漏水物业不管，" * 111
    sent = {"q": question, "b-reranker": "lexical", "b-instruction": "找 13812345678 的 " + "期限" * 240}
    response = reviewer_client.post(reverse("lab"), sent)

    kept = LabComparison.objects.get()
    assert response["Location"] == reverse("lab_comparison", args=[kept.pk])
    page = reviewer_client.get(response["Location"]).content.decode()
    assert "138****5678，楼上漏水" in page
    assert "13812345678" not in page
    assert "13812345678" not in str(kept.second)
    addresses = re.findall(r'(?:href|action|hx-get)="([^"]*)"', page)
    assert f"{reverse('lab_runs')}?comparison={kept.pk}#new-run" in addresses
    assert max(map(len, addresses)) < 100
    assert "漏水" not in unquote("".join(addresses))


def test_only_short_searches_without_personal_data_are_in_addresses() -> None:
    """Whoever adds a form that writes its fields into the address says so here, having thought of what is typed."""
    found = {
        f"{path.parent.name}/{path.name}"
        for path in Path("templates").rglob("*.html")
        for form in re.findall(r"<form\b[^>]*>", path.read_text(encoding="utf-8"))
        if 'method="post"' not in form
    }

    titles, words = {"kb/documents.html", "kb/version.html"}, {"kb/dictionaries.html"}
    assert found == {*titles, *words, "kb/document.html", "lab/thresholds.html", "lab/runs.html"}


def test_comparison_is_shared_tuned_and_forgotten(
    administrator_client: Client, reviewer_client: Client, policies: Policies
) -> None:
    ask(administrator_client, q=QUESTION, **{"b-reranker": "lexical", "b-rewrites": "always"})
    kept = LabComparison.objects.get()

    assert 'aria-label="右列"' in reviewer_client.get(reverse("lab_comparison", args=[kept.pk])).content.decode()
    for name in ("lab_runs", "lab_settings"):
        page = administrator_client.get(reverse(name), {"comparison": kept.pk}).content.decode()
        assert '<option value="always" selected>' in page
        assert '<option value="always" selected>' not in administrator_client.get(reverse(name)).content.decode()
    LabComparison.objects.update(at=timezone.now() - timedelta(days=91))
    ask(administrator_client, q=QUESTION)
    assert reviewer_client.get(reverse("lab_comparison", args=[kept.pk])).status_code == 404


def test_sandbox_puts_the_instruction_on_the_right(reviewer_client: Client, policies: Policies) -> None:
    empty = fetch(reviewer_client, sandbox="1")
    assert not LabComparison.objects.exists()
    ask(reviewer_client, q=QUESTION, sandbox="1")

    kept = LabComparison.objects.get()
    assert kept.first["instruction"] == ""
    assert kept.second["instruction"] in empty
    assert "政策文件段落" in kept.second["instruction"]


def test_gap_and_question_of_a_run_are_tried_by_number(reviewer_client: Client, policies: Policies) -> None:
    gap = KnowledgeGap.objects.create(question="宠物医保")
    settings, baseline = RetrievalSettings(rewrites="always"), RetrievalSettings(rewrites="none")
    run = LabRun.objects.create(
        name="a.csv", settings=settings.to_json(), baseline=baseline.to_json(), as_of="2026-01-01"
    )
    row = LabRow.objects.create(run=run, ordinal=1, question=QUESTION, category="complaint")
    pages = [reviewer_client.get(reverse("lab_gaps")), reviewer_client.get(reverse("lab_run", args=[run.pk]))]

    for page, field in zip(pages, (f'name="gap" value="{gap.pk}"', f'name="row" value="{row.pk}"'), strict=True):
        assert field in page.content.decode()
    reviewer_client.post(reverse("lab"), {"gap": gap.pk})
    reviewer_client.post(reverse("lab"), {"row": row.pk})

    of_row, of_gap = LabComparison.objects.all()
    assert of_gap.question == "宠物医保"
    assert (of_row.question, of_row.category, str(of_row.as_of)) == (QUESTION, "complaint", "2026-01-01")
    assert (of_row.first["rewrites"], of_row.second["rewrites"]) == ("none", "always")
    assert reviewer_client.post(reverse("lab"), {"row": "x"}).status_code == 404


def test_neural_reranker_reads_the_instruction_and_is_advised_on(
    reviewer_client: Client, policies: Policies, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RERANKER = "qwen"

    @dataclass
    class Reading(FakeReranker):
        calibrated: bool = True

        def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
            """Puts what the instruction names on top; everything is about as relevant."""
            self.score = lambda query, c: 3.1 if (requests[0].instruction or "") in c.title else 3.0
            return super().rank(requests)

    monkeypatch.setattr(trials, "QueuedReranker", lambda wait_seconds: Reading())
    page = fetch(
        reviewer_client,
        q=QUESTION,
        **{"a-reranker": "configured", "b-reranker": "configured", "b-instruction": "公共租赁"},
    )

    left, right = page.split('aria-label="右列"')
    assert right.index("云岚市公共租赁住房办法") < right.index("云岚市物业管理条例")
    assert "比左列上升" in right
    assert "P(yes) 0.95" in right
    assert "各候选的相关度" in right
    assert "它不读指令" not in right
    assert "问题太宽，请问清是哪个地区（云岚市、青溪区）" in left
    assert "会送二次校验" in left


def test_movements_are_marked_against_the_left(reviewer_client: Client, policies: Policies) -> None:
    page = fetch(
        reviewer_client, q="云岚市租金", **{"a-reranker": "none", "a-rankings": ["unigrams"], "b-reranker": "none"}
    )

    assert page.count('class="moved') == 3


def test_wrong_settings_are_said_and_kept(reviewer_client: Client, policies: Policies) -> None:
    response = ask(reviewer_client, q=QUESTION, **{"b-gap_base_threshold": "-3"})

    page = response.content.decode()
    assert response.status_code == 400
    assert "分差阈值应在 0 与 100 之间" in page
    assert QUESTION in page
    assert ask(reviewer_client, q=QUESTION, **{"b-index": "nothing"}).status_code == 400
    assert not LabComparison.objects.exists()


def test_search_engine_that_is_away_is_said_in_place(reviewer_client: Client, settings: Settings) -> None:
    settings.SEARCH_URL = "file:///nonexistent/index"
    response = ask(reviewer_client, q=QUESTION)

    assert response.status_code == 503
    assert "检索服务暂时不可用" in response.content.decode()
    assert QUESTION in response.content.decode()


def test_nothing_found_is_said(reviewer_client: Client, policies: Policies) -> None:
    assert "没有找到相关政策" in fetch(reviewer_client, q="龘靐齉")


def test_instruction_is_saved_as_template(administrator_client: Client, reviewer_client: Client) -> None:
    kept = keep_comparison(question="几天办完", first=LIVE, second=LIVE, by=make_user())
    sent = {"key": "deadline", "label": "办理期限", "text": "找出写明期限的条文", "comparison": str(kept.pk)}
    assert reviewer_client.post(reverse("lab_instructions"), sent).status_code == 403
    response = administrator_client.post(reverse("lab_instructions"), sent)

    assert response["Location"] == reverse("lab_comparison", args=[kept.pk])
    assert InstructionTemplate.objects.get(key="deadline").text == "找出写明期限的条文"
    assert "现用的重排不读指令" in administrator_client.get(response["Location"]).content.decode()
    assert "办理期限" in fetch(reviewer_client)
    wrong = administrator_client.post(reverse("lab_instructions"), {**sent, "key": "期限"})
    assert wrong.status_code == 400
    assert "代码只能用字母" in wrong.content.decode()


def test_knowledge_gap_is_noted_masked_and_closed(administrator_client: Client, reviewer_client: Client) -> None:
    sent = {"question": "宠物医保吗，13812345678", "note": "没有相关政策"}
    reviewer_client.post(reverse("lab_gaps"), sent)
    reviewer_client.post(reverse("lab_gaps"), sent)

    gap = KnowledgeGap.objects.get()
    assert "138****5678" in gap.question
    assert "没有相关政策" in reviewer_client.get(reverse("lab_gaps")).content.decode()
    assert reviewer_client.post(reverse("lab_gap_close", args=[gap.pk])).status_code == 403
    administrator_client.post(reverse("lab_gap_close", args=[gap.pk]))
    assert "没有待补充的知识缺口" in reviewer_client.get(reverse("lab_gaps")).content.decode()
    assert "宠物医保" in reviewer_client.get(reverse("lab_gaps"), {"state": "closed"}).content.decode()
    assert administrator_client.post(reverse("lab_gap_close", args=[gap.pk])).status_code == 409


def test_empty_gap_is_refused(reviewer_client: Client) -> None:
    response = reviewer_client.post(reverse("lab_gaps"), {"question": " "})

    assert response.status_code == 400
    assert "请写问题。" in response.content.decode()


def test_template_that_somebody_has_changed_meanwhile_is_not_overwritten(
    administrator_client: Client, policies: Policies, administrator: User
) -> None:
    kept = keep_comparison(question="楼上漏水", first=RetrievalSettings(), second=RetrievalSettings(), by=administrator)
    page = administrator_client.get(reverse("lab_comparison", args=[kept.pk])).content.decode()
    opened = read_opened(page)
    sent = {"key": "deadline", "label": "期限", "text": "找出期限", "opened": opened, "comparison": kept.pk}
    InstructionTemplate.objects.create(key="deadline", label="期限", text="同事写的", by=administrator)

    response = administrator_client.post(reverse("lab_instructions"), sent)

    page = response.content.decode()
    assert response.status_code == 409
    assert "现在是“同事写的”" in page
    assert ">找出期限</textarea>" in page
    assert instruction_text("deadline") == "同事写的"
    again = read_opened(page)
    administrator_client.post(reverse("lab_instructions"), {**sent, "opened": again})
    assert instruction_text("deadline") == "找出期限"
