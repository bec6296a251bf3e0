"""A run asks its questions bit by bit; stopped, interrupted or failed it goes on where it was."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone
from pytest_django import Settings

from hotline import tasks
from hotline.errors import WrongState
from hotline.measurement import Figures
from hotline.models import AuditEvent, LabRun, User
from hotline.question_files import QuestionFileError
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import lab_runs
from hotline.services.lab_runs import create_run, neglected_runs, resume_run, stop_run, work_on_run
from kb.models import DocumentVersion
from tests.hotline.test_measurement import make_row

pytestmark = pytest.mark.django_db
Policies = dict[str, DocumentVersion]
FIRST_STAGE = RetrievalSettings(reranker="none")


def make_file(count: int = 50) -> bytes:
    """Questions about the lift and the leak, one by title, one by 发文字号, one by a title that nothing bears."""
    rows = [
        "云岚市加装电梯补贴多少,云府办规[2025]8号",
        "云岚市楼上漏水找谁,《云岚市物业管理条例》",
        "我电话13812345678，公租房租金多少,没有这个办法",
    ]
    return "\n".join(["问题,正确文件", *(rows[number % 3] for number in range(count))]).replace("，", "、").encode()


def start(count: int = 50, settings: RetrievalSettings = FIRST_STAGE, by: User | None = None) -> LabRun:
    return create_run(name="问题.csv", data=make_file(count), settings=settings, by=by)


def work(run: LabRun, seconds: float = 60) -> LabRun:
    work_on_run(run_id=run.pk, seconds=seconds)
    run.refresh_from_db()
    return run


def test_questions_are_stored_masked_with_their_right_policies(policies: Policies, agent: User) -> None:
    run = start(by=agent)

    rows = list(run.rows.all())
    assert (run.state, run.questions_total, len(rows)) == ("waiting", 50, 50)
    assert rows[0].right_document_ids == [policies["lift"].document_id]
    assert rows[1].right_document_ids == [policies["leak"].document_id]
    assert (rows[2].right_document_ids, rows[2].unknown_answers) == ([], "没有这个办法")
    assert "13812345678" not in rows[2].question
    assert AuditEvent.objects.filter(action="lab_run_created", by=agent).exists()


def test_refused_file_leaves_nothing(policies: Policies) -> None:
    with pytest.raises(QuestionFileError):
        start(count=3)
    assert not LabRun.objects.exists()


def test_run_is_asked_under_both_settings(policies: Policies) -> None:
    run = work(start(settings=RetrievalSettings(reranker="lexical")))

    assert (run.state, run.questions_done) == ("done", 50)
    figures = Figures.from_json(run.figures["measured"])
    assert (figures.queries, figures.labelled, figures.top1) == (50, 34, 100)
    assert figures.milliseconds["total"]["median"] > 0
    assert run.figures["changes"] == {"better": 0, "worse": 0, "same": 34}
    row = run.rows.first()
    assert row is not None
    assert row.measured["order"][0] == policies["lift"].document_id
    assert row.baseline["right_rank"] == 1


def test_slice_ends_in_time_and_the_next_goes_on(policies: Policies) -> None:
    run = work(start(), seconds=0)
    assert (run.state, run.questions_done) == ("waiting", lab_runs.BATCH)

    run = work(run)
    assert (run.state, run.questions_done) == ("done", 50)
    assert not run.rows.filter(is_done=False).exists()


def test_task_rings_again_while_more_is_left(
    policies: Policies, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    monkeypatch.setattr(lab_runs, "SLICE_ROWS", 25)
    monkeypatch.setattr(lab_runs, "work_on_run", partial(work_on_run, seconds=60))
    rung: list[tuple[int]] = []
    monkeypatch.setattr(tasks.work_on_lab_run, "apply_async", rung.append)
    run = start()
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            tasks.work_on_lab_run(run.pk)

    run.refresh_from_db()
    assert run.state == "done"
    assert rung == [(run.pk,)]  # after the first slice; the second finished it, the third found nothing to do


def test_killed_worker_loses_only_its_batch(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start()
    store, stored = lab_runs._store, []

    def die_at_the_third(*args: object) -> bool:
        stored.append(1)
        if len(stored) == 3:
            raise KeyboardInterrupt
        return store(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(lab_runs, "_store", die_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            work_on_run(run_id=run.pk, seconds=60)
    run.refresh_from_db()
    assert (run.state, run.questions_done) == ("running", 2 * lab_runs.BATCH)
    assert neglected_runs() == []
    assert not work_on_run(run_id=run.pk)  # the lease still holds

    LabRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert neglected_runs() == [run.pk]
    assert work(run).state == "done"
    assert run.questions_done == 50


def test_run_that_keeps_killing_workers_is_given_up(policies: Policies) -> None:
    run = start()
    LabRun.objects.update(attempts=lab_runs.MAX_ATTEMPTS)
    assert work(run).state == "failed"
    assert "中断" in run.error

    resume_run(run=run, by=None)
    assert work(run).state == "done"


def test_search_engine_that_is_away_stops_the_run(policies: Policies, settings: Settings) -> None:
    run = start()
    url, settings.SEARCH_URL = settings.SEARCH_URL, "file:///nonexistent/index"
    assert work(run).state == "failed"
    assert "检索服务" in run.error

    settings.SEARCH_URL = url
    resume_run(run=run, by=None)
    assert work(run).state == "done"


def test_stopped_run_is_left_alone_until_resumed(policies: Policies) -> None:
    run = work(start(), seconds=0)
    stop_run(run=run, by=None)
    assert work(run).questions_done == lab_runs.BATCH
    with pytest.raises(WrongState):
        stop_run(run=run, by=None)

    resume_run(run=run, by=None)
    assert work(run).state == "done"
    with pytest.raises(WrongState):
        resume_run(run=run, by=None)


def test_stop_during_a_slice_holds(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start()
    judge = lab_runs.judge_change

    def stop_meanwhile(*args: object) -> str:
        LabRun.objects.filter(state="running").update(state="stopped", lease_holder="")
        return judge(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lab_runs, "judge_change", stop_meanwhile)
    assert not work_on_run(run_id=run.pk, seconds=60)
    run.refresh_from_db()
    assert run.state == "stopped"


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [(2, 1, "better"), (1, 3, "worse"), (1, 1, "same"), (None, 10, "better"), (30, 12, "same"), (None, 40, "same")],
)
def test_change_is_judged_among_the_first_ten(before: int | None, now: int | None, change: str) -> None:
    assert lab_runs.judge_change(make_row(before), make_row(now)) == change


def test_change_of_the_unlabelled_is_not_judged() -> None:
    unlabelled = make_row(None, right_document_ids=())
    assert lab_runs.judge_change(unlabelled, unlabelled) == ""
