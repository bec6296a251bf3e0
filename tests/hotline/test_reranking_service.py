"""Waiting lookups are claimed with a lease, ranked as one batch, decided, checked by machine and stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hotline.models import InstructionTemplate, Lookup, SecondaryReview, User
from hotline.services import reranking
from hotline.services.lookups import start_lookup
from hotline.services.reranking import claim_waiting_lookups, rerank_lookups, rerank_waiting_lookups
from hotline.services.tickets import open_ticket_for_lookup
from kb.models import DocumentVersion
from reranking.prompts import INSTRUCTION_TEMPLATES
from reranking.types import Candidate
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]
QUESTION = "云岚市楼上漏水物业不管，多久维修"  # 云岚市 is in every title: all are candidates


def prefer(title: str, lead: float = 5.0):
    """A score that puts one policy `lead` log-odds ahead."""

    def score(query: str, candidate: Candidate) -> float:
        return lead if title in candidate.title else 0.0

    return score


def ask(question: str = QUESTION) -> Lookup:
    return start_lookup(question=question, by=None)


def finish(lookup: Lookup) -> Lookup:
    rerank_waiting_lookups()
    return Lookup.objects.get(pk=lookup.pk)


def test_order_gap_and_reranker_are_stored(policies: Policies, reranker: FakeReranker) -> None:
    reranker.score = prefer("物业")
    lookup = finish(ask())

    first = lookup.results.get(rank=1)
    assert first.version_id == policies["leak"].pk
    assert (first.log_odds, lookup.gap) == (5.0, 5.0)
    assert (lookup.reranker, lookup.reranker_revision) == ("fake", "fake-1")
    assert lookup.state == "done"
    assert lookup.reasons == []
    assert not hasattr(lookup, "review")
    assert lookup.milliseconds["rerank"] >= 0


def test_what_waits_together_is_one_batch(policies: Policies, reranker: FakeReranker) -> None:
    for number in range(5):
        ask(f"云岚市电梯补贴{number}")
    assert rerank_waiting_lookups() == 5

    assert reranker.calls[0] == 5


def test_batches_have_a_limit(policies: Policies, reranker: FakeReranker) -> None:
    reranker.score = prefer("加装电梯")
    for _ in range(3):
        ask("云岚市电梯补贴")

    assert [rerank_waiting_lookups(limit=2) for _ in range(3)] == [2, 1, 0]
    assert reranker.calls == [2, 1]
    assert not Lookup.objects.exclude(state="done").exists()


def test_claim_is_exclusive_until_its_lease_ends(policies: Policies) -> None:
    lookup = ask()
    assert [claimed.pk for claimed in claim_waiting_lookups(holder="a", limit=10)] == [lookup.pk]
    assert claim_waiting_lookups(holder="b", limit=10) == []

    Lookup.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert [claimed.attempts for claimed in claim_waiting_lookups(holder="b", limit=10)] == [2]


def test_suspects_are_claimed_alone(policies: Policies) -> None:
    suspect, innocent, fresh = ask(), ask(), ask()
    Lookup.objects.exclude(pk=fresh.pk).update(attempts=2)
    claimed = [[item.pk for item in claim_waiting_lookups(holder="a", limit=10)] for _ in range(4)]

    assert claimed == [[suspect.pk], [innocent.pk], [fresh.pk], []]


def test_fresh_lookups_do_not_wait_for_a_suspect_asked_later(policies: Policies) -> None:
    fresh, suspect, other = ask(), ask(), ask()
    Lookup.objects.filter(pk=suspect.pk).update(attempts=2)

    assert [item.pk for item in claim_waiting_lookups(holder="a", limit=10)] == [fresh.pk, other.pk]


def test_late_worker_does_not_overwrite(policies: Policies, reranker: FakeReranker) -> None:
    reranker.score = prefer("物业")
    ask()
    late = claim_waiting_lookups(holder="late", limit=1)
    Lookup.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    rerank_lookups(claim_waiting_lookups(holder="quick", limit=1), holder="quick")
    reranker.score = prefer("公共租赁")
    rerank_lookups(late, holder="late")

    assert Lookup.objects.get().results.get(rank=1).version_id == policies["leak"].pk


def test_unavailable_reranker_leaves_first_stage_order_and_asks_a_reviewer(
    policies: Policies, reranker: FakeReranker
) -> None:
    reranker.is_down = True
    lookup = finish(ask())

    assert lookup.reasons == ["reranker_unavailable"]
    assert (lookup.reranker, lookup.gap) == ("", None)
    assert all(result.rank == result.first_stage_rank for result in lookup.results.all())
    assert lookup.review.state == "waiting"


def test_reranker_that_cannot_start_is_an_unavailable_one(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise FileNotFoundError("coefficients")

    monkeypatch.setattr(reranking, "get_reranker", fail)

    assert finish(ask()).reasons == ["reranker_unavailable"]


def test_lookup_that_kills_workers_is_finished_without_reranker(policies: Policies, reranker: FakeReranker) -> None:
    lookup = ask()
    Lookup.objects.update(attempts=reranking.MAX_ATTEMPTS)

    assert finish(lookup).reasons == ["reranker_unavailable"]
    assert reranker.requests == []


def test_lookup_that_breaks_the_reranker_leaves_it_to_the_others(policies: Policies, reranker: FakeReranker) -> None:
    def score(query: str, candidate: Candidate) -> float:
        if "停水" in query:
            raise ZeroDivisionError
        return 5.0 if "物业" in candidate.title else 0.0

    reranker.score = score
    bad, good = ask("云岚市停水"), ask()
    rerank_waiting_lookups()

    assert Lookup.objects.get(pk=bad.pk).reasons == ["reranker_unavailable"]
    assert Lookup.objects.get(pk=good.pk).gap == 5.0


def test_trouble_with_one_lookup_leaves_the_others(
    policies: Policies, reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = ask("云岚市电梯补贴"), ask("漏水维修")
    finish_lookup = reranking.finish_lookup

    def fail_on_bad(lookup: Lookup, **values: object) -> None:
        if lookup.pk == bad.pk:
            raise RuntimeError("disk full")
        finish_lookup(lookup, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(reranking, "finish_lookup", fail_on_bad)
    rerank_waiting_lookups()

    assert Lookup.objects.get(pk=good.pk).state == "done"
    assert Lookup.objects.get(pk=bad.pk).state == "reranking"


def test_small_gap_that_holds_on_fuller_text_is_settled_by_machine(policies: Policies, reranker: FakeReranker) -> None:
    reranker.calibrated = True
    reranker.score = lambda query, c: (1.1 if len(reranker.calls) < 2 else 6.0) if "物业" in c.title else 1.0
    lookup = finish(ask())

    assert lookup.reasons == ["small_score_gap"]
    assert lookup.review.state == "settled"
    assert lookup.review.machine_check["gap"] == 5.0


def test_small_gap_that_stays_goes_to_a_reviewer(policies: Policies, reranker: FakeReranker) -> None:
    reranker.calibrated = True
    reranker.score = lambda query, c: 1.1 if "物业" in c.title else 1.0
    lookup = finish(ask())

    assert lookup.reasons == ["small_score_gap"]
    assert lookup.review.state == "waiting"
    assert lookup.review.machine_check["is_settled"] is False


def test_doubtful_lookups_are_stored_first_then_checked_in_one_call(policies: Policies, reranker: FakeReranker) -> None:
    stored: list[set[tuple[str, str]]] = []

    def score(query: str, candidate: Candidate) -> float:
        stored.append(set(Lookup.objects.values_list("state", "review__state")))
        return 1.1 if "物业" in candidate.title else 1.0

    reranker.calibrated, reranker.score = True, score
    first, second = ask(), ask()
    rerank_waiting_lookups()

    assert reranker.calls[0] == 2
    assert len(reranker.calls) == 2
    assert stored[-1] == {("done", "checking")}
    assert {Lookup.objects.get(pk=lookup.pk).review.state for lookup in (first, second)} == {"waiting"}


def test_check_that_fails_leaves_the_answer_and_asks_a_reviewer(policies: Policies, reranker: FakeReranker) -> None:
    def score(query: str, candidate: Candidate) -> float:
        reranker.is_down = True  # from the next call on
        return 1.1 if "物业" in candidate.title else 1.0

    reranker.calibrated, reranker.score = True, score
    lookup = finish(ask())

    assert lookup.results.get(rank=1).version_id == policies["leak"].pk
    assert (lookup.reasons, lookup.review.state) == (["small_score_gap"], "waiting")


def test_check_whose_worker_was_killed_goes_to_a_reviewer(
    policies: Policies, reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker.calibrated, reranker.score = True, lambda query, c: 1.1 if "物业" in c.title else 1.0
    monkeypatch.setattr(reranking, "settle_doubts", lambda *_: None)
    lookup = finish(ask())
    rerank_waiting_lookups()
    assert Lookup.objects.get(pk=lookup.pk).review.state == "checking"

    SecondaryReview.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    rerank_waiting_lookups()

    assert Lookup.objects.get(pk=lookup.pk).review.state == "waiting"


def test_late_check_does_not_overrule_a_reviewer(
    policies: Policies, reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = reranking.settle_doubts

    def settle_late(*given: Any) -> None:
        SecondaryReview.objects.update(state="decided")
        settle(*given)

    reranker.calibrated, reranker.score = True, lambda query, c: 1.1 if "物业" in c.title else 1.0
    monkeypatch.setattr(reranking, "settle_doubts", settle_late)

    assert finish(ask()).review.state == "decided"


def test_ranking_that_took_long_has_a_fresh_lease_to_be_stored(
    policies: Policies, reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(query: str, candidate: Candidate) -> float:
        Lookup.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        return 0.0

    taken: list[Lookup] = []
    reranker.score = score
    monkeypatch.setattr(reranking, "_store_order", lambda *_: taken.extend(claim_waiting_lookups(holder="b", limit=1)))

    assert finish(ask()).state == "done"
    assert taken == []


def test_ticket_opened_while_its_lookup_is_reranked_keeps_it(
    policies: Policies, reranker: FakeReranker, agent: User
) -> None:
    lookup = ask()

    def score(query: str, candidate: Candidate) -> float:
        open_ticket_for_lookup(lookup=lookup, by=agent)
        return 0.0

    reranker.score = score

    assert finish(lookup).ticket is not None


def test_disagreement_with_the_first_stage_is_said(policies: Policies, reranker: FakeReranker) -> None:
    reranker.score = prefer("公共租赁")
    lookup = finish(ask())

    assert lookup.results.get(rank=1).version_id == policies["rent"].pk
    assert lookup.results.get(first_stage_rank=1).version_id == policies["leak"].pk
    assert lookup.reasons == ["first_stage_disagrees"]


def test_low_best_counts_only_for_calibrated_rerankers(policies: Policies, reranker: FakeReranker) -> None:
    reranker.score = lambda query, c: -3.0 if "物业" in c.title else -9.0
    assert finish(ask()).reasons == []
    reranker.calibrated = True

    assert finish(ask()).reasons == ["low_best_score"]


def test_administrators_instruction_goes_before_the_built_in_one(policies: Policies, reranker: FakeReranker) -> None:
    start_lookup(question=QUESTION, by=None, instruction="complaint")
    rerank_waiting_lookups()
    InstructionTemplate.objects.create(key="complaint", label="投诉", text="找出处理依据")
    start_lookup(question=QUESTION, by=None, instruction="complaint")
    rerank_waiting_lookups()

    assert reranker.requests[0].instruction != "找出处理依据"
    assert reranker.requests[-1].instruction == "找出处理依据"


@pytest.mark.parametrize("key", ["", "dropped_since"])
def test_lookup_without_line_of_business_gets_the_general_instruction(
    policies: Policies, reranker: FakeReranker, key: str
) -> None:
    start_lookup(question=QUESTION, by=None, instruction=key)
    rerank_waiting_lookups()
    InstructionTemplate.objects.create(key="general", label="通用", text="找出答案")
    start_lookup(question=QUESTION, by=None, instruction=key)
    rerank_waiting_lookups()

    assert reranker.requests[0].instruction == INSTRUCTION_TEMPLATES["general"].text
    assert reranker.requests[-1].instruction == "找出答案"


def test_running_again_changes_nothing(policies: Policies, reranker: FakeReranker) -> None:
    lookup = finish(ask())

    assert rerank_waiting_lookups() == 0
    assert Lookup.objects.get(pk=lookup.pk).finished_at == lookup.finished_at
