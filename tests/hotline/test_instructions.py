"""Instructions are kept version by version; those that lookups are reranked with go live by way of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from pytest_django import Settings

from hotline import golden
from hotline.errors import DeskError
from hotline.instructions import instruction_text, list_instructions
from hotline.models import AuditEvent, GoldenRun, InstructionTemplate, User
from hotline.services import golden_runs, laboratory
from hotline.services.golden_questions import add_golden_question
from hotline.services.laboratory import restore_template, save_template, withdraw_template
from kb.models import DocumentVersion
from reranking.prompts import INSTRUCTION_TEMPLATES
from reranking.types import Ranking, RankingRequest
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]


def test_versions_are_kept_and_undone(agent: User) -> None:
    for text in ("找出处理期限", "找出责任部门 13812345678"):
        assert save_template(key="complaint", label="投诉", text=text, by=agent) is None
    first, second = InstructionTemplate.objects.order_by("pk")
    assert instruction_text("complaint") == second.text == "找出责任部门 138****5678"

    restore_template(template=first, by=agent)
    assert instruction_text("complaint") == "找出处理期限"
    with pytest.raises(DeskError, match="正在使用"):
        restore_template(template=first, by=agent)
    withdraw_template(template=first, by=agent)
    assert instruction_text("complaint") == INSTRUCTION_TEMPLATES["complaint"].text
    assert not any(item.is_own for item in list_instructions())
    assert list(InstructionTemplate.objects.values_list("by", flat=True)) == [agent.pk] * 4
    assert AuditEvent.objects.filter(action="instruction_saved", by=agent).count() == 4


@dataclass
class Reading(FakeReranker):
    """Puts what the instruction names on top."""

    calibrated: bool = True

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return [ranking for request in requests for ranking in self._read(request)]

    def _read(self, request: RankingRequest) -> list[Ranking]:
        named = request.instruction or ""
        self.score = lambda query, candidate: 3.0 if candidate.title[3:] in named else -3.0
        return FakeReranker.rank(self, [request])


@pytest.fixture
def reading(settings: Settings, monkeypatch: pytest.MonkeyPatch, policies: Policies, agent: User) -> None:
    """A neural reranker, and a golden question of complaints about the leak."""
    settings.RERANKER = "qwen"
    monkeypatch.setattr(golden, "QueuedReranker", lambda wait_seconds: Reading())
    add_golden_question(
        question="云岚市楼上漏水物业不管", document_ids=[policies["leak"].document_id], by=agent, category="complaint"
    )


@pytest.mark.usefixtures("reading")
def test_instruction_that_costs_golden_questions_is_held(agent: User) -> None:
    wrong = {"key": "complaint", "label": "投诉", "text": "找出公共租赁住房办法"}
    run = save_template(**wrong, by=agent)
    assert run is not None
    golden_runs.compare_waiting_runs()

    run.refresh_from_db()
    assert (run.kind, run.state, run.fallen[0]) == ("instruction", "held", "top1")
    assert instruction_text("complaint") == INSTRUCTION_TEMPLATES["complaint"].text
    golden_runs.override_run(run=run, note="另有安排", by=agent)
    template = InstructionTemplate.objects.get()
    assert (template.text, template.is_override, template.golden_run) == (wrong["text"], True, run)


@pytest.mark.usefixtures("reading")
def test_instruction_that_helps_goes_live_measured(agent: User) -> None:
    run = save_template(key="complaint", label="投诉", text="找出物业管理条例", by=agent)
    assert run is not None
    golden_runs.compare_waiting_runs()

    run.refresh_from_db()
    assert (run.state, run.figures_after["top1"]) == ("applied", 100)
    assert instruction_text("complaint") == "找出物业管理条例"


@pytest.mark.usefixtures("reading")
def test_template_that_no_lookup_uses_is_saved_at_once(agent: User) -> None:
    assert save_template(key="deadline", label="期限", text="找出期限", by=agent) is None
    assert not GoldenRun.objects.exists()


def test_lexical_reranker_reads_none(settings: Settings) -> None:
    assert not laboratory.is_instruction_read()
    settings.RERANKER = "auto"
    assert laboratory.is_instruction_read()
