"""A question is masked, searched, stored with its candidates, and waits for the reranker."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.models import Permission
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from hotline import tasks
from hotline.errors import EmptyQuestion, QuestionTooLong, SearchUnavailable
from hotline.models import Lookup, User
from hotline.services.lookups import readable_departments, start_lookup
from hotline.services.reranking import load_candidates
from hotline.services.tickets import QUESTION_LIMIT, open_ticket
from hotline.understanding import FUSED_KINDS
from kb import indexing
from kb.live_dictionaries import forget_live_rules
from kb.models import Department, DocumentVersion, Passage
from kb.services.versions import correct_metadata, repeal_version
from tests.dictionaries import release_few

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]


def found(lookup: Lookup) -> list[int]:
    return [result.version_id for result in lookup.results.all()]


def test_first_stage_is_stored_and_waits(policies: Policies, agent: User) -> None:
    lookup = start_lookup(question="楼上漏水物业不管", by=agent)

    assert lookup.state == "waiting"
    assert found(lookup)[0] == policies["leak"].pk
    assert lookup.asked_by == agent
    assert set(lookup.milliseconds) >= {"understanding", "first_stage"}
    assert lookup.variants.get(ordinal=0).is_used
    first = lookup.results.first()
    assert first is not None
    assert first.features["bigrams_share"] == 1.0


def test_best_passage_comes_highlighted(policies: Policies) -> None:
    lookup = start_lookup(question="楼上漏水多久维修", by=None)

    row = lookup.results.get(version=policies["leak"]).passages.first()
    assert row is not None
    marked = [row.passage.text[start:end] for start, end in row.highlights]
    assert any("两个工作日" in text for text in marked)


def test_personal_data_never_reaches_the_database(policies: Policies) -> None:
    lookup = start_lookup(question="我电话13812345678，楼上漏水", by=None)

    lookup.refresh_from_db()
    assert "13812345678" not in lookup.question
    assert "138****5678" in lookup.question
    assert all("13812345678" not in variant.text for variant in lookup.variants.all())


def test_ring_follows_the_commit(
    policies: Policies,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[tuple[object, ...]] = []
    monkeypatch.setattr(tasks.rerank_waiting_lookups, "apply_async", lambda args: rung.append(args))
    with django_capture_on_commit_callbacks(execute=True):
        start_lookup(question="电梯补贴", by=None)

    assert rung == [()]


def test_lost_broker_loses_nothing(
    policies: Policies,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(args: object) -> None:
        raise ConnectionError("broker away")

    monkeypatch.setattr(tasks.rerank_waiting_lookups, "apply_async", fail)
    with django_capture_on_commit_callbacks(execute=True):
        lookup = start_lookup(question="电梯补贴", by=None)

    assert Lookup.objects.get(pk=lookup.pk).state == "waiting"


@pytest.mark.parametrize(("question", "error"), [("  ", EmptyQuestion), ("问" * (QUESTION_LIMIT + 1), QuestionTooLong)])
def test_unusable_question_is_refused(question: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        start_lookup(question=question, by=None)
    assert not Lookup.objects.exists()


def test_no_index_is_said_and_nothing_is_stored(settings: Settings) -> None:
    settings.SEARCH_URL = "file:///nonexistent/index"
    with pytest.raises(SearchUnavailable):
        start_lookup(question="电梯补贴", by=None)
    assert not Lookup.objects.exists()


def test_nothing_found_goes_to_the_review_desk(policies: Policies) -> None:
    lookup = start_lookup(question="龘靐齉", by=None)

    assert lookup.state == "done"
    assert lookup.reasons == ["nothing_found"]
    assert lookup.review.state == "waiting"


def test_search_asks_as_of_a_day(policies: Policies) -> None:
    repeal_version(version=policies["lift"], on=date(2026, 6, 1), reason="新办法", by=None)
    indexing.sync_document(policies["lift"].document_id)
    lift = policies["lift"].pk

    assert lift not in found(start_lookup(question="电梯补贴", by=None, as_of=date(2026, 6, 1)))
    assert lift in found(start_lookup(question="电梯补贴", by=None, as_of=date(2026, 5, 31)))
    everything = start_lookup(
        question="电梯补贴", by=None, as_of=date(2026, 6, 1), filters={"include_not_in_force": True}
    )
    assert lift in found(everything)


def test_region_filter(policies: Policies) -> None:
    lookup = start_lookup(question="租金多少", by=None, filters={"regions": ["青溪区"]})

    assert found(lookup) == [policies["rent"].pk]
    assert lookup.filters["regions"] == ["青溪区"]


def test_department_permission(policies: Policies, agent: User) -> None:
    inside = Department.objects.create(code="housing", name="住建局")
    correct_metadata(version=policies["lift"], changes={"departments": [inside]}, by=None)
    indexing.sync_document(policies["lift"].document_id)
    lift = policies["lift"].pk

    assert lift not in found(start_lookup(question="电梯补贴", by=agent))
    agent.department = inside
    assert lift in found(start_lookup(question="电梯补贴", by=agent))


def test_knowledge_administrators_read_everything(agent: User) -> None:
    assert readable_departments(agent) == ()
    agent.user_permissions.add(Permission.objects.get(codename="manage_knowledge"))
    assert readable_departments(User.objects.get(pk=agent.pk)) is None


def test_ticket_hands_its_category_on_as_instruction(policies: Policies, agent: User) -> None:
    ticket, _ = open_ticket(question="电梯补贴", by=agent, category="complaint")

    assert start_lookup(question=ticket.question, by=agent, ticket=ticket).instruction == "complaint"


def test_passage_that_left_the_database_is_left_out(policies: Policies) -> None:
    Passage.objects.filter(version=policies["leak"]).delete()

    assert policies["leak"].pk not in found(start_lookup(question="楼上漏水", by=None))


def test_weak_search_is_made_again_with_rewrites_and_says_so(policies: Policies) -> None:
    lookup = start_lookup(question="公租房漏水了房东踢皮球咋整", by=None)

    used = {variant.kind for variant in lookup.variants.all()[1:] if variant.is_used}
    assert used
    assert used <= FUSED_KINDS
    assert any(name.startswith("variant_") for name in lookup.results.all()[0].features)


def test_rewrites_that_the_agent_switched_off_are_not_searched(policies: Policies) -> None:
    lookup = start_lookup(question="公租房漏水了房东踢皮球咋整", by=None, variant_texts=[])

    assert [variant.ordinal for variant in lookup.variants.all() if variant.is_used] == [0]


def test_place_of_the_question_is_kept_with_the_results(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that reranks and what is learned later need no gazetteer: it may have changed by then."""
    lookup = start_lookup(question="云岚市漏水", by=None)
    release_few(monkeypatch)
    forget_live_rules()

    assert {result.features["place_same"] for result in lookup.results.all()} == {1.0}
    assert {candidate.features["place_same"] for candidate in load_candidates([lookup])[lookup.pk]} == {1.0}
