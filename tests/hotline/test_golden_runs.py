"""A change on its way to live: compared on the golden questions, applied, held, overridden, dropped."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hotline import golden
from hotline.errors import DeskError, WrongState
from hotline.live_settings import get_live_settings
from hotline.models import AuditEvent, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import golden_runs
from hotline.services.golden_questions import add_golden_question
from hotline.services.live_settings import restore_settings, save_settings
from kb.engine import get_search_engine
from kb.models import DocumentVersion
from tests.dictionaries import release_few

pytestmark = pytest.mark.django_db

NARROW = RetrievalSettings(rankings=("version_bigrams",))
STRICT = RetrievalSettings(first_share_threshold=0.99)
LAX = RetrievalSettings(first_share_threshold=0.0)


def test_without_golden_questions_a_change_goes_live_unmeasured(agent: User, policies: object) -> None:
    run = save_settings(settings=NARROW, note="先试试", by=agent)

    assert (run.state, run.questions, run.figures_after) == ("applied", 0, {})
    assert get_live_settings() == NARROW
    saved = SavedSettings.objects.get()
    assert (saved.note, saved.by, saved.golden_run, saved.is_override) == ("先试试", agent, run, False)
    assert AuditEvent.objects.get(action="settings_saved").by == agent


@pytest.mark.usefixtures("golden_questions")
def test_change_that_costs_nothing_goes_live_with_its_figures(agent: User) -> None:
    run = save_settings(settings=STRICT, note="", by=agent)

    assert run.state == "applied"
    assert run.figures_before["top1"] == run.figures_after["top1"] == 100
    assert run.done == 6


@pytest.mark.usefixtures("golden_questions")
def test_change_is_held_when_a_figure_falls_and_overridden_with_a_reason(
    agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
    run = save_settings(settings=NARROW, note="", by=agent)

    assert (run.state, run.fallen) == ("held", ["top1"])
    assert get_live_settings() == RetrievalSettings()
    with pytest.raises(DeskError, match="理由"):
        golden_runs.override_run(run=run, note="  ", by=agent)

    golden_runs.override_run(run=run, note="已与业务核实", by=agent)
    run.refresh_from_db()

    assert (run.state, run.override_note, run.decided_by) == ("applied", "已与业务核实", agent)
    assert get_live_settings() == NARROW
    assert SavedSettings.objects.get().is_override
    assert AuditEvent.objects.get(action="golden_override").details["note"] == "已与业务核实"
    with pytest.raises(WrongState):
        golden_runs.override_run(run=run, note="再来", by=agent)


@pytest.mark.usefixtures("golden_questions")
def test_held_change_can_be_dropped(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
    run = golden_runs.drop_run(run=save_settings(settings=NARROW, note="", by=agent), by=agent)

    assert run.state == "dropped"
    assert not SavedSettings.objects.exists()


def test_saved_settings_are_undone_by_saving_earlier_ones(agent: User, policies: object) -> None:
    save_settings(settings=NARROW, note="", by=agent)
    first = SavedSettings.objects.get()
    save_settings(settings=STRICT, note="", by=agent)

    restore_settings(saved=first, by=agent)
    assert get_live_settings() == NARROW
    restore_settings(saved=None, by=agent)
    assert get_live_settings() == RetrievalSettings()
    assert SavedSettings.objects.count() == 4
    with pytest.raises(DeskError, match="没有要保存的改动"):
        restore_settings(saved=None, by=agent)


def test_earlier_settings_are_named_by_the_time_of_the_place(agent: User, policies: object) -> None:
    save_settings(settings=NARROW, note="", by=agent)
    SavedSettings.objects.update(at=datetime(2026, 3, 1, 17, 5, tzinfo=UTC))
    first = SavedSettings.objects.get()
    save_settings(settings=STRICT, note="", by=agent)

    assert restore_settings(saved=first, by=agent).note == "恢复 2026-03-02 01:05 的设置"


@pytest.mark.usefixtures("golden_questions")
def test_comparison_does_not_hold_for_settings_changed_meanwhile(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
        held = save_settings(settings=NARROW, note="", by=agent)
    save_settings(settings=STRICT, note="", by=agent)

    with pytest.raises(WrongState, match="重新提交"):
        golden_runs.override_run(run=held, note="仍要", by=agent)


@pytest.mark.usefixtures("golden_questions")
def test_change_that_another_overtook_while_it_waited_reverts_nothing(
    agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden_runs, "ASKED_AT_ONCE", 2)
    save_settings(settings=STRICT, note="", by=agent)
    second = save_settings(settings=LAX, note="", by=agent)
    golden_runs.compare_waiting_runs()
    second.refresh_from_db()

    assert get_live_settings() == STRICT
    assert (second.state, second.error) == ("failed", "提交之后线上设置又有改动，请按现在的设置重新提交。")
    with pytest.raises(WrongState, match="重新提交"):
        golden_runs.retry_run(run=second, by=agent)

    save_settings(settings=LAX, note="", by=agent)
    golden_runs.compare_waiting_runs()
    assert get_live_settings() == LAX


@pytest.mark.usefixtures("golden_questions")
def test_comparison_holds_for_the_dictionaries_that_it_was_made_with(
    agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
    run = save_settings(settings=LAX, note="", by=agent)
    assert run.proposal["base"]["index"] == get_search_engine().live_index()
    release = release_few(monkeypatch)

    with pytest.raises(WrongState, match="词典或索引有改动"):
        golden_runs.override_run(run=run, note="业务同意", by=agent)
    again = save_settings(settings=LAX, note="", by=agent)
    assert again.proposal["base"]["dictionary"] == release.pk
    assert golden_runs.override_run(run=again, note="业务同意", by=agent).state == "applied"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (RetrievalSettings(index="20260101"), "启用中的索引"),
        (RetrievalSettings(instruction="随便写的指令"), "已存的模板"),
        (RetrievalSettings(), "没有要保存的改动"),
    ],
)
def test_what_cannot_be_live_is_refused(agent: User, wanted: RetrievalSettings, message: str) -> None:
    with pytest.raises(DeskError, match=message):
        save_settings(settings=wanted, note="", by=agent)


def test_threshold_of_a_line_of_business_goes_through_the_gate(
    policies: dict[str, DocumentVersion], agent: User
) -> None:
    """Its golden questions are judged by it; those of others are not."""
    lift = policies["lift"].document_id
    add_golden_question(question="云岚市加装电梯补贴多少钱", document_ids=[lift], by=agent, category="complaint")
    add_golden_question(question="云岚市楼上漏水物业几天到场", document_ids=[policies["leak"].document_id], by=agent)

    run = save_settings(settings=RetrievalSettings(thresholds_by_category={"complaint": 1.0}), note="", by=agent)

    assert run.figures_after["sent"] - run.figures_before["sent"] == 50
