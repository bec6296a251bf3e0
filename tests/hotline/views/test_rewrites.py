"""On the ticket's page: the steps of understanding, taken back and restored; rewrites, asked for and asked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from hotline import rewriting
from hotline.models import AuditEvent, Lookup, QueryVariant, User
from hotline.services.lookups import start_lookup
from hotline.services.reranking import load_candidates
from kb import retrieval
from kb.search.types import SearchEngineUnavailable
from tests.factories import make_lookup, make_ticket, make_user, make_version
from tests.hotline.test_rewriting import complete
from tests.hotline.views.conftest import HTMX
from tests.reranking.serving import Answer, ScriptedHost, serve_script

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("policies")]
QUESTION = "你好，请问公租房怎么申请？"
MADE = {
    "synonyms": "保障性租赁住房怎么申请？",
    "expanded": "公共租赁住房保障对象怎么申请？",
    "policy_form": "公共租赁住房申请条件和程序是什么？",
}


@pytest.fixture
def asked(agent: User) -> Lookup:
    return start_lookup(question=QUESTION, by=agent, ticket=make_ticket(QUESTION))


@pytest.fixture
def model(settings: Settings) -> Iterator[ScriptedHost]:
    def script(number: int, body: bytes) -> Answer:
        return complete(MADE)

    with serve_script(script) as host:
        settings.REWRITE_URL, settings.REWRITE_MODEL = f"{host.url}/v1", "qwen"
        rewriter = rewriting.get_rewriter()
        assert rewriter is not None
        with closing(rewriter):
            yield host
    rewriting._make_rewriter.cache_clear()


def place_of(lookup: Lookup, before: str) -> int:
    return next(place for place, step in enumerate(lookup.steps) if step["before"] == before)


def show(client: Client, lookup: Lookup) -> str:
    return client.get(reverse("ticket", args=[lookup.ticket.number]), {"lookup": lookup.pk}).content.decode()  # type: ignore[union-attr]


def test_lookup_keeps_its_steps_and_the_versions_of_the_dictionaries(asked: Lookup) -> None:
    asked.refresh_from_db()

    assert {"key": "filler:请问", "before": "请问", "after": ""}.items() <= asked.steps[place_of(asked, "请问")].items()
    assert set(asked.rule_versions) >= {"fillers", "synonyms", "abbreviations"}
    assert asked.without == []


def test_each_step_is_shown_with_its_reason_and_a_button(agent_client: Client, asked: Lookup) -> None:
    page = show(agent_client, asked)

    for place, step in enumerate(asked.steps):
        assert step["reason"] in page
        assert f'name="remove" value="{place}"' in page
    assert "<del>请问</del>" in page
    assert "公租房→公共租赁住房" in page


def test_step_is_removed_and_restored_by_one_click(agent_client: Client, asked: Lookup) -> None:
    removed = agent_client.post(reverse("ask_again", args=[asked.pk]), {"remove": place_of(asked, "请问")})
    again = Lookup.objects.latest("id")
    page = show(agent_client, again)

    assert removed["Location"].endswith(f"?lookup={again.pk}")
    assert (again.ticket, again.question, again.without) == (asked.ticket, QUESTION, ["filler:请问"])
    assert "请问" in again.variants.all()[0].text
    assert "请问 未改" in page

    agent_client.post(reverse("ask_again", args=[again.pk]), {"restore": "0"})
    restored = Lookup.objects.latest("id")

    assert restored.without == []
    assert restored.variants.all()[0].text == asked.variants.all()[0].text


def test_chosen_rewrite_stays_chosen_where_a_step_is_removed(agent_client: Client, asked: Lookup) -> None:
    expanded = asked.variants.get(kind="expanded")
    agent_client.post(reverse("ask_again", args=[asked.pk]), {"chooses_variants": "1", "with": expanded.text})
    chosen = Lookup.objects.latest("id")
    agent_client.post(reverse("ask_again", args=[chosen.pk]), {"remove": place_of(chosen, "请问")})
    again = Lookup.objects.latest("id")

    assert [variant.kind for variant in chosen.variants.all()[1:] if variant.is_used] == ["expanded"]
    assert [variant.kind for variant in again.variants.all()[1:] if variant.is_used] == ["expanded"]
    assert again.variants.get(kind="expanded").text != expanded.text


@pytest.mark.parametrize("data", [{"remove": "99"}, {"remove": "-1"}, {"remove": "x"}, {"restore": "0"}])
def test_step_that_is_not_there_is_said(agent_client: Client, asked: Lookup, data: dict[str, str]) -> None:
    response = agent_client.post(reverse("ask_again", args=[asked.pk]), data)

    assert response.status_code == 400
    assert "没有这一步" in response.content.decode()
    assert Lookup.objects.count() == 1


def test_day_and_filters_stay_when_asked_again(agent_client: Client, agent: User) -> None:
    lookup = start_lookup(question=QUESTION, by=agent, filters={"regions": ["云岚市"]}, instruction="complaint")
    agent_client.post(reverse("ask_again", args=[lookup.pk]), {"remove": "0"})
    again = Lookup.objects.latest("id")

    assert (again.as_of, again.filters, again.instruction) == (lookup.as_of, lookup.filters, "complaint")
    assert again.ticket is None


def test_without_a_search_engine_the_lookup_stays(
    agent_client: Client, asked: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise SearchEngineUnavailable("down")

    monkeypatch.setattr(retrieval, "_retrieve", fail)
    response = agent_client.post(reverse("ask_again", args=[asked.pk]), {"remove": "0"}, follow=True)

    assert response.redirect_chain[0][0].endswith(f"?lookup={asked.pk}")
    assert "检索服务暂时不可用" in response.content.decode()


def test_without_a_model_the_rules_rewrites_are_explained(agent_client: Client, asked: Lookup) -> None:
    expanded = asked.variants.get(kind="expanded")
    response = agent_client.post(reverse("offer_rewrites", args=[asked.pk]), headers=HTMX)
    part = response.content.decode()

    assert "未配置大模型" in part
    assert f'<p class="why muted">{expanded.explanation}</p>' in part
    assert f'name="with" value="{QUESTION}"' in part
    assert expanded.explanation not in show(agent_client, asked).replace(f'title="{expanded.explanation}"', "")


def test_the_models_rewrites_are_offered_once_and_asked_with(
    agent_client: Client, asked: Lookup, model: ScriptedHost
) -> None:
    for _ in range(2):
        part = agent_client.post(reverse("offer_rewrites", args=[asked.pk]), headers=HTMX).content.decode()
    made = asked.variants.filter(kind__startswith="model_")

    assert len(model.bodies) == 1
    assert MADE["policy_form"] in part
    assert {variant.text for variant in made} <= set(MADE.values())
    assert not any(variant.is_used for variant in made)
    assert AuditEvent.objects.filter(action="rewrites_offered").count() == 1

    agent_client.post(reverse("ask_again", args=[asked.pk]), {"chooses_variants": "1", "with": MADE["policy_form"]})
    again = Lookup.objects.latest("id")

    assert [v.text for v in again.variants.all()[1:] if v.is_used] == [MADE["policy_form"]]
    assert again.variants.filter(kind="model_synonyms").exists()


def test_when_the_model_fails_the_rules_rewrites_stay_and_it_is_said(
    agent_client: Client, asked: Lookup, model: ScriptedHost
) -> None:
    model.script = lambda number, body: complete("不是 JSON")
    part = agent_client.post(reverse("offer_rewrites", args=[asked.pk]), headers=HTMX).content.decode()

    assert "不合格式" in part
    assert "再试一次" in part
    assert asked.variants.get(kind="expanded").text in part
    assert not QueryVariant.objects.filter(kind__startswith="model_").exists()


def test_without_javascript_the_page_comes_again(agent_client: Client, asked: Lookup, model: ScriptedHost) -> None:
    page = agent_client.post(reverse("offer_rewrites", args=[asked.pk]), follow=True).content.decode()

    assert MADE["policy_form"] in page


def test_asking_a_question_never_asks_the_model(agent_client: Client, model: ScriptedHost) -> None:
    agent_client.post(reverse("ask"), {"question": QUESTION}, follow=True)

    assert model.bodies == []


def test_one_who_only_reviews_sees_the_steps_and_cannot_ask(sign_in: Callable[[User], Client], asked: Lookup) -> None:
    reader = make_user("")
    reader.user_permissions.add(Permission.objects.get(codename="review_lookups"))
    client = sign_in(reader)
    page = show(client, asked)

    assert "<del>请问</del>" in page
    assert 'name="remove"' not in page
    assert 'name="with"' not in page
    assert client.post(reverse("ask_again", args=[asked.pk]), {"remove": "0"}).status_code == 403
    assert client.post(reverse("offer_rewrites", args=[asked.pk])).status_code == 403


def test_lookup_from_before_steps_were_kept_is_shown(agent_client: Client) -> None:
    lookup = make_lookup([make_version()], scores=[1.0])
    page = agent_client.get(reverse("lookup", args=[lookup.pk])).content.decode()

    assert 'class="steps"' not in page
    assert "智能改写" in page


def test_choice_of_no_rewrite_stays_where_a_step_is_removed(agent_client: Client, asked: Lookup) -> None:
    agent_client.post(reverse("ask_again", args=[asked.pk]), {"chooses_variants": "1"})
    chosen = Lookup.objects.latest("id")
    agent_client.post(reverse("ask_again", args=[chosen.pk]), {"remove": place_of(chosen, "请问")})
    again = Lookup.objects.latest("id")

    assert (asked.rewrites_chosen, chosen.rewrites_chosen, again.rewrites_chosen) == (False, True, True)
    assert not any(variant.is_used for variant in again.variants.all()[1:])


def test_ticket_s_region_is_a_step_and_counts_for_the_reranker(agent_client: Client, agent: User) -> None:
    ticket = make_ticket(QUESTION, region="青溪区")
    lookup = start_lookup(question=QUESTION, by=agent, ticket=ticket)
    assert "青溪区→本地与上级优先" in show(agent_client, lookup)
    assert any(name.startswith("place_") for name in load_candidates([lookup])[lookup.pk][0].features)

    agent_client.post(reverse("ask_again", args=[lookup.pk]), {"remove": place_of(lookup, "青溪区")})
    again = Lookup.objects.latest("id")
    assert again.without == ["place:青溪区"]
    assert not any(name.startswith("place_") for c in load_candidates([again])[again.pk] for name in c.features)
