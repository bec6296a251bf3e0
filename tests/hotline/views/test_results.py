"""The results column: what it shows of each result, and when it stops asking."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from hotline.models import Lookup, User
from tests.factories import TEXT, make_lookup, make_review, make_version, rerank_lookup

pytestmark = pytest.mark.django_db


def fetch(client: Client, lookup: Lookup, **query: str) -> tuple[int, str]:
    response = client.get(reverse("lookup_results", args=[lookup.pk]), query)
    return response.status_code, response.content.decode()


def test_first_stage_results_come_first_and_the_page_asks_on(agent_client: Client) -> None:
    status, page = fetch(agent_client, make_lookup([make_version()]))

    assert status == 200
    assert "未重排" in page
    assert "BM25 初筛" in page
    assert 'hx-trigger="every 300ms"' in page
    assert 'aria-busy="true"' in page


def test_while_nothing_has_changed_nothing_is_sent(agent_client: Client) -> None:
    lookup = make_lookup([make_version()])
    _, page = fetch(agent_client, lookup)
    seen = page.split("?seen=")[1].split('"')[0]

    assert fetch(agent_client, lookup, seen=seen) == (204, "")


def test_a_slow_reranking_is_said_and_asked_after_less_often(agent_client: Client) -> None:
    lookup = make_lookup([make_version()])
    Lookup.objects.filter(pk=lookup.pk).update(created_at=timezone.now() - timedelta(seconds=30))

    _, page = fetch(agent_client, lookup)

    assert 'hx-trigger="every 2s"' in page
    assert "重排比平时慢" in page


def test_the_reranked_order_replaces_the_first_and_the_page_stops_asking(agent_client: Client) -> None:
    lookup = make_lookup([make_version("甲办法"), make_version("乙办法")])
    rerank_lookup(lookup, [0.5, 2.5])

    _, page = fetch(agent_client, lookup, seen="waiting-none-300ms")

    assert page.index("乙办法") < page.index("甲办法")
    assert "hx-trigger" not in page
    assert "未重排" not in page
    assert "排序 词法重排" in page
    assert "初筛第 2" in page


def test_while_a_review_waits_the_page_asks_seldom(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    make_review(lookup)

    _, page = fetch(agent_client, lookup)

    assert 'hx-trigger="every 4s"' in page
    assert "请核对" in page
    assert "已送复核" in page
    assert "前两名太接近" in page
    assert "前两名分差 0.42，阈值 0.86" in page


def test_while_the_machine_checks_the_page_asks_often(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    make_review(lookup, state="checking")

    _, page = fetch(agent_client, lookup)

    assert 'hx-trigger="every 1s"' in page
    assert "机器正在校验" in page
    assert "已送复核" not in page


def test_the_verdict_is_shown_and_ends_the_asking(agent_client: Client, reviewer: User) -> None:
    lookup = make_lookup([make_version("甲办法"), make_version("乙办法")], scores=[1.0, 0.9])
    review = make_review(lookup, state="decided", verdict="confirmed", note="按乙办法答复", reviewer=reviewer)
    review.picked.set([lookup.results.get(rank=2)])

    _, page = fetch(agent_client, lookup)

    assert "已复核：第 2 项 正确" in page
    assert "按乙办法答复" in page
    assert "复核选定" in page
    assert "hx-trigger" not in page


def test_a_verdict_that_none_is_right_is_red(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    make_review(lookup, state="decided", verdict="none_right")

    _, page = fetch(agent_client, lookup)

    assert "以下均不正确" in page
    assert "banner danger" in page


def test_what_the_machine_settled_is_no_doubt(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    make_review(lookup, state="settled")

    _, page = fetch(agent_client, lookup)

    assert "机器校验已核对" in page
    assert "banner settled" in page
    assert "hx-trigger" not in page


def test_each_result_carries_what_an_agent_must_know(agent_client: Client) -> None:
    version = make_version(
        "加装电梯办法",
        document_number="云府办规〔2025〕8号",
        region="青溪区",
        effective_on=date(2025, 3, 1),
        repealed_on=date(2026, 1, 1),
    )

    _, page = fetch(agent_client, make_lookup([version], scores=[1.0]))

    for text in ("加装电梯办法", "云府办规〔2025〕8号", "青溪区", "2025-03-01 施行", "2026-01-01 废止", "已废止"):
        assert text in page
    assert 'class="tag danger">已废止' in page
    assert "<mark>两个工作日内到场维修</mark>" in page
    assert "第二章 物业服务 第二条" in page


def test_uncalibrated_scores_are_called_relative(agent_client: Client) -> None:
    _, page = fetch(agent_client, make_lookup([make_version()], scores=[1.0]))

    assert "相对得分" in page
    assert "相关度" not in page


def test_calibrated_scores_are_probabilities(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0], is_calibrated=True, reranker="Qwen3-Reranker-0.6B")

    _, page = fetch(agent_client, lookup)

    assert "相关度</span> 0.90" in page
    assert "Qwen3-Reranker-0.6B" in page


def test_when_the_reranker_failed_the_order_is_named_honestly(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], state="done", reasons=["reranker_unavailable"])
    make_review(lookup)

    _, page = fetch(agent_client, lookup)

    assert "重排器不可用" in page
    assert "未重排" in page
    assert "BM25 初筛" in page


def test_nothing_found_says_what_to_try(agent_client: Client) -> None:
    lookup = make_lookup([], state="done", reasons=["nothing_found"])
    make_review(lookup)

    _, page = fetch(agent_client, lookup)

    assert "没有找到相关政策" in page
    assert "换一种说法" in page


def test_policy_text_is_never_markup(agent_client: Client) -> None:
    evil = "第一条 <script>alert(1)</script><img src=x onerror=alert(1)>两个工作日内到场维修。\n"
    version = make_version("<b>标题</b>", evil, document_number='"><script>')

    _, page = fetch(agent_client, make_lookup([version], question="<i>问</i>", mark="alert(1)", scores=[1.0]))

    assert "<script" not in page
    assert "<img" not in page
    assert "<b>标题" not in page
    assert "&lt;script&gt;<mark>alert(1)</mark>&lt;/script&gt;" in page


def test_asking_in_vain_costs_three_queries_beside_the_session(
    agent_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    lookup = make_lookup([make_version()])

    with django_assert_num_queries(2 + 3 + 1):
        assert fetch(agent_client, lookup, seen="waiting-none-300ms") == (204, "")


def test_queries_do_not_grow_with_results(
    agent_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def count(results: int) -> Lookup:
        versions = [make_version(f"办法{number}", TEXT + str(number)) for number in range(results)]
        return make_lookup(versions, scores=[1.0 - number / 10 for number in range(results)])

    few, many = count(1), count(10)
    address = "lookup_results"
    agent_client.get(reverse(address, args=[few.pk]))

    for lookup in (few, many):
        with django_assert_num_queries(9):
            agent_client.get(reverse(address, args=[lookup.pk]))


def test_a_lookup_drawn_at_random_is_no_doubt_to_the_agent(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0], reasons=["quality_sample"])

    assert "请核对" not in fetch(agent_client, lookup)[1]
    lookup.reasons = ["small_score_gap", "quality_sample"]
    lookup.save()
    page = fetch(agent_client, lookup)[1]
    assert "请核对" in page
    assert "随机抽检" not in page
