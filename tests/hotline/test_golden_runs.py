"""A change on its way to live: compared on the golden questions, applied, held, overridden, dropped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from hotline import golden
from hotline.errors import DeskError, SearchUnavailable, WrongState
from hotline.live_settings import get_live_settings
from hotline.measurement import Figures
from hotline.models import AuditEvent, GoldenRun, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import golden_runs
from hotline.services.golden_questions import add_golden_question
from hotline.services.live_settings import restore_settings, save_settings
from kb.engine import get_search_engine
from kb.models import DocumentVersion
from reranking.types import Ranking, RankingRequest
from tests.dictionaries import release_few
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db

NARROW = RetrievalSettings(rankings=("version_bigrams",))
STRICT = RetrievalSettings(first_share_threshold=0.99)
LAX = RetrievalSettings(first_share_threshold=0.0)


@pytest.fixture
def golden_questions(policies: dict[str, DocumentVersion], agent: User) -> None:
    for name, question in (("lift", "加装电梯补贴多少钱"), ("leak", "楼上漏水物业几天到场"), ("rent", "公租房租金")):
        add_golden_question(question=question, document_ids=[policies[name].document_id], by=agent)


def make_figures(**changes: float | None) -> Figures:
    values = {"top1": 80.0, "mrr5": 85.0, "ndcg3": 84.0, "recall50": 99.0, "sent": 30.0, "top1_of_rest": 95.0}
    return Figures(queries=10, labelled=10, **{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "fallen"),
    [
        ({}, ()),
        ({"top1": 90.0, "sent": 80.0}, ()),
        ({"top1": 79.9}, ("top1",)),
        ({"mrr5": 80.0, "ndcg3": 80.0, "recall50": 98.9}, ("mrr5", "ndcg3", "recall50")),
        ({"top1_of_rest": 90.0}, ()),  # a fall that stays within the target
        ({"top1_of_rest": 89.9}, ("top1_of_rest",)),
        ({"top1_of_rest": None}, ()),  # everything is reviewed
        ({"top1": None}, ("top1",)),
    ],
)
def test_what_counts_as_a_fall(changes: dict[str, float | None], fallen: tuple[str, ...]) -> None:
    assert golden.find_fallen(make_figures(), make_figures(**changes)) == fallen


def test_errors_that_nobody_reviews_any_more_are_a_fall() -> None:
    everything_reviewed = make_figures(sent=100.0, top1_of_rest=None)

    assert golden.find_fallen(everything_reviewed, make_figures(top1_of_rest=70.0)) == ("top1_of_rest",)


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
def test_comparison_that_fails_is_kept_and_tried_again(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(golden_runs, "compare_on_golden", _raise_unavailable)
        run = save_settings(settings=STRICT, note="", by=agent)
    assert (run.state, run.error) == ("failed", "检索服务暂时不可用，请稍后重试；问题已保留。")

    golden_runs.retry_run(run=run, by=agent)
    assert golden_runs.compare_waiting_runs() == 1
    assert get_live_settings() == STRICT


@dataclass
class FailingReranker(FakeReranker):
    """Sound for the first side of a comparison; what goes wrong with the second one is in `trouble`."""

    trouble: str = ""

    def _rank(self, request: RankingRequest) -> Ranking:
        notices = (self.trouble,) if len(self.calls) > 1 and self.trouble else ()
        return replace(super()._rank(request), notices=notices)


@pytest.mark.usefixtures("golden_questions")
@pytest.mark.parametrize(
    ("reranker", "said"),
    [
        (FailingReranker(is_down=True), "3 个标准问题没有正常问完（重排器不可用，以下为初筛次序）"),
        (FailingReranker(trouble="partial_rerank"), "时间所限，只重排了一部分"),
        (FailingReranker(trouble="fell_back"), "首选重排器不可用，已改用后备重排器"),
        (FailingReranker(trouble="semantic_unavailable"), "语义召回不可用"),
    ],
)
def test_questions_that_were_not_asked_as_they_should_measure_nothing(
    agent: User, monkeypatch: pytest.MonkeyPatch, reranker: FailingReranker, said: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(golden, "_reach_reranker", lambda: reranker)
        run = save_settings(settings=STRICT, note="", by=agent)

    assert run.state == "failed"
    assert said in run.error
    assert get_live_settings() == RetrievalSettings()

    golden_runs.retry_run(run=run, by=agent)
    golden_runs.compare_waiting_runs()
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
def test_truncated_texts_are_no_trouble(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "_reach_reranker", lambda: FailingReranker(trouble="truncated"))

    assert save_settings(settings=STRICT, note="", by=agent).state in {"applied", "held"}


@pytest.mark.usefixtures("golden_questions")
def test_many_questions_are_asked_by_the_worker(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_runs, "ASKED_AT_ONCE", 2)
    run = save_settings(settings=STRICT, note="", by=agent)

    assert (run.state, get_live_settings()) == ("waiting", RetrievalSettings())
    assert golden_runs.compare_waiting_runs() == 1
    assert get_live_settings() == STRICT
    assert golden_runs.compare_waiting_runs() == 0


@pytest.mark.usefixtures("golden_questions")
def test_run_of_a_killed_worker_is_taken_over_but_not_one_at_work(agent: User, settings: Settings) -> None:
    settings.RERANKER = "auto"  # elsewhere: nothing is compared at once
    run = save_settings(settings=STRICT, note="", by=agent)
    settings.RERANKER = "lexical"
    GoldenRun.objects.filter(pk=run.pk).update(state="running", heartbeat_at=timezone.now())
    assert golden_runs.compare_waiting_runs() == 0

    GoldenRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert golden_runs.compare_waiting_runs() == 1
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
def test_run_whose_workers_are_killed_every_time_is_given_up_and_tried_again(
    agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden_runs, "ASKED_AT_ONCE", 2)
    run = save_settings(settings=STRICT, note="", by=agent)

    def be_killed(**asked: object) -> object:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(golden_runs, "compare_on_golden", be_killed)
        for _ in range(golden_runs.MAX_ATTEMPTS):
            with pytest.raises(SystemExit):
                golden_runs.compare_waiting_runs()
            GoldenRun.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
        golden_runs.compare_waiting_runs()
    run.refresh_from_db()
    assert (run.state, get_live_settings()) == ("failed", RetrievalSettings())
    assert "连续 3 次中断" in run.error
    assert run.finished_at
    assert golden_runs.compare_waiting_runs() == 0

    golden_runs.retry_run(run=run, by=agent)
    golden_runs.compare_waiting_runs()
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
@pytest.mark.parametrize("is_away", [False, True])
def test_worker_that_was_taken_over_changes_nothing_any_more(
    agent: User, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    compare = golden.compare_on_golden

    def compare_slowly(**asked: object) -> object:
        """So slowly that another takes the run over and applies it meanwhile."""
        GoldenRun.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
        monkeypatch.setattr(golden_runs, "compare_on_golden", compare)
        assert golden_runs.compare_waiting_runs() == 1
        if is_away:
            raise SearchUnavailable
        return compare(**{**asked, "on_progress": None})  # type: ignore[arg-type]

    monkeypatch.setattr(golden_runs, "compare_on_golden", compare_slowly)
    run = save_settings(settings=STRICT, note="", by=agent)

    assert (run.state, run.error) == ("applied", "")
    assert SavedSettings.objects.count() == 1


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


def test_changed_rows_begin_with_the_deepest_fall(policies: dict[str, DocumentVersion], agent: User) -> None:
    row = golden.MeasuredRow("问", (1,), (1,), 1, {}, None, False, (), {})
    places = [(1, 1), (3, 1), (2, None), (1, 2)]
    before, after = (
        [golden.MeasuredRow(**{**_fields(row), "right_rank": pair[side]}) for pair in places] for side in (0, 1)
    )

    assert [(item.before, item.after) for item in golden.find_changed(before, after)] == [(2, None), (1, 2), (3, 1)]


def _fields(row: golden.MeasuredRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


def _raise_unavailable(**_: object) -> None:
    raise SearchUnavailable
