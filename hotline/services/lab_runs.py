"""Runs of the laboratory: a file of questions asked under two settings, bit by bit, by whichever worker is free.

A claim is a lease, renewed with each batch that is stored: a worker that dies costs a batch, and the next one goes on
from there. Between two slices the lease says until when the ring for the next is awaited; then the sweep rings.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from hotline import tasks
from hotline.errors import DeskError, WrongState
from hotline.live_settings import get_live_settings
from hotline.masking import mask_note
from hotline.measurement import LabelledQuestion, MeasuredRow, add_up, gather_conditions, measure_batches
from hotline.models import APIKey, LabRow, LabRun, User
from hotline.question_files import AskedRow, read_questions
from hotline.retrieval_settings import RetrievalSettings
from hotline.services.audit import record_event
from hotline.services.lookups import readable_departments
from hotline.services.tickets import clean_question
from kb.selectors import find_documents_by_name
from kb.tasks import enqueue

logger = logging.getLogger(__name__)

BATCH = 4  # questions reranked at once: what a killed worker loses, and what a waiting lookup waits for
SLICE_SECONDS = 1.5  # then the worker looks after others; the run rings for itself again
SLICE_ROWS = 400
LEASE = timedelta(minutes=3)
MAX_ATTEMPTS = 3
JUDGED_PLACES = 10  # a right policy that moves below them has not moved for anybody
NAME_LIMIT, UNKNOWN_LIMIT = 200, 500
State = LabRun.State
Change = LabRow.Change


def create_run(
    *,
    name: str,
    data: bytes,
    settings: RetrievalSettings,
    by: User | None,
    api_key: APIKey | None = None,
    baseline: RetrievalSettings | None = None,
    as_of: date | None = None,
) -> LabRun:
    """Store the file's questions, masked, and ring for a worker. `baseline` None: the live settings of now.

    Raises QuestionFileError.
    """
    asked = read_questions(name, data)
    found = find_documents_by_name(answer for row in asked for answer in row.answers)
    departments = readable_departments(by, api_key)
    with transaction.atomic():
        run = LabRun.objects.create(
            name=mask_note(name, NAME_LIMIT),
            file_digest=hashlib.sha256(data).hexdigest(),
            settings=settings.to_json(),
            baseline=(get_live_settings() if baseline is None else baseline).to_json(),
            as_of=as_of or timezone.localdate(),
            departments=None if departments is None else list(departments),
            questions_total=len(asked),
            lease_expires_at=timezone.now() + LEASE,
            by=by,
            api_key=api_key,
        )
        rows = (_make_row(run, ordinal, row, found) for ordinal, row in enumerate(asked, start=1))
        LabRow.objects.bulk_create(rows, batch_size=500)
        record_event(action="lab_run_created", subject=run, by=by, api_key=api_key, questions=len(asked))
        enqueue(tasks.work_on_lab_run, run.pk)
    return run


@transaction.atomic
def stop_run(*, run: LabRun, by: User | None) -> LabRun:
    """Raises WrongState for one that is over."""
    run = LabRun.objects.select_for_update().get(pk=run.pk)
    if not run.is_open:
        raise WrongState(f"这次实验{run.get_state_display()}，不能停止。")
    _release(run, State.STOPPED)
    record_event(action="lab_run_stopped", subject=run, by=by)
    return run


@transaction.atomic
def resume_run(*, run: LabRun, by: User | None) -> LabRun:
    """From the first question that was not asked. Raises WrongState for one that was neither stopped nor failed."""
    run = LabRun.objects.select_for_update().get(pk=run.pk)
    if not run.is_resumable:
        raise WrongState(f"这次实验{run.get_state_display()}，不能继续。")
    run.attempts, run.error = 0, ""
    _release(run, State.WAITING)
    record_event(action="lab_run_resumed", subject=run, by=by)
    enqueue(tasks.work_on_lab_run, run.pk)
    return run


def neglected_runs() -> list[int]:
    """What a killed worker or a lost ring left."""
    late = Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=timezone.now())
    runs = LabRun.objects.filter(late, state__in=[State.WAITING, State.RUNNING])
    return list(runs.order_by("id").values_list("pk", flat=True))


def work_on_run(*, run_id: int, seconds: float = SLICE_SECONDS) -> bool:
    """About `seconds` of work, where nobody else is at it. Returns whether more is left: ring again."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    run = _claim(run_id, holder)
    if run is None:
        return False
    try:
        return _work(run, holder, time.monotonic() + seconds)
    except DeskError as error:  # the search engine is away, or the index is gone: said, and to be resumed
        logger.warning("run %s stopped: %s", run.pk, error)
        run.error = str(error)
        _settle(run, holder, State.FAILED)
        return False


@transaction.atomic
def _claim(run_id: int, holder: str) -> LabRun | None:
    """None where it is over or another has it."""
    now = timezone.now()
    free = Q(state=State.WAITING) | Q(state=State.RUNNING, lease_expires_at__lt=now)
    can_skip = connection.features.has_select_for_update_skip_locked
    run = LabRun.objects.select_for_update(skip_locked=can_skip).filter(free, pk=run_id).first()
    if run is None:
        return None
    run.attempts += 1
    run.state, run.lease_holder, run.lease_expires_at = State.RUNNING, holder, now + LEASE
    if run.attempts > MAX_ATTEMPTS:
        run.error = f"实验连续 {MAX_ATTEMPTS} 次中断或没有进度，已停下；可以继续。"
        _release(run, State.FAILED)
        return None
    run.save()
    return run


def _work(run: LabRun, holder: str, deadline: float) -> bool:
    rows = list(run.rows.filter(is_done=False).order_by("ordinal")[:SLICE_ROWS])
    at = 0
    for measured, baseline in _measure(run, rows):
        batch = rows[at : at + len(measured)]
        at += len(measured)
        if not _store(run, holder, batch, measured, baseline):
            return False
        if time.monotonic() > deadline:
            break
    if run.rows.filter(is_done=False).exists():
        return _settle(run, holder, State.WAITING)
    run.figures = add_up_run(run)
    run.finished_at = timezone.now()
    _settle(run, holder, State.DONE)
    return False


def _measure(run: LabRun, rows: Sequence[LabRow]) -> Iterator[tuple[list[MeasuredRow], list[MeasuredRow]]]:
    """Batch after batch under both settings; equal settings are asked once."""
    questions = [LabelledQuestion(row.question, frozenset(row.right_document_ids), row.category) for row in rows]
    departments = None if run.departments is None else tuple(run.departments)

    def ask(settings: RetrievalSettings) -> Iterator[list[MeasuredRow]]:
        return measure_batches(questions, settings, as_of=run.as_of, departments=departments, size=BATCH)

    settings, baseline = RetrievalSettings.from_json(run.settings), RetrievalSettings.from_json(run.baseline)
    if settings == baseline:
        return ((batch, batch) for batch in ask(settings))
    return zip(ask(settings), ask(baseline), strict=True)


@transaction.atomic
def _store(
    run: LabRun,
    holder: str,
    rows: Sequence[LabRow],
    measured: Sequence[MeasuredRow],
    baseline: Sequence[MeasuredRow],
) -> bool:
    """False where the run was stopped or its lease has gone to another."""
    mine = LabRun.objects.select_for_update().filter(pk=run.pk, state=State.RUNNING, lease_holder=holder)
    if not mine.exists():
        return False
    for row, now, before in zip(rows, measured, baseline, strict=True):
        row.measured, row.baseline, row.is_done = now.to_json(), before.to_json(), True
        row.change = judge_change(before, now)
    run.measured_on = {
        "measured": gather_conditions(measured, run.measured_on.get("measured")),
        "baseline": gather_conditions(baseline, run.measured_on.get("baseline")),
    }
    LabRow.objects.bulk_update(rows, ["measured", "baseline", "is_done", "change"])
    mine.update(
        questions_done=F("questions_done") + len(rows),
        attempts=0,
        measured_on=run.measured_on,
        lease_expires_at=timezone.now() + LEASE,
    )
    return True


def judge_change(before: MeasuredRow, now: MeasuredRow) -> str:
    """Whether the first right policy moved among the first JUDGED_PLACES."""
    if not now.is_labelled:
        return Change.UNLABELLED
    was, is_now = (min(row.right_rank or JUDGED_PLACES + 1, JUDGED_PLACES + 1) for row in (before, now))
    return Change.BETTER if is_now < was else Change.WORSE if is_now > was else Change.SAME


def add_up_run(run: LabRun) -> dict[str, object]:
    """`measured` and `baseline`: Figures as JSON; `changes`: how many questions are better, worse and the same."""
    rows = list(run.rows.filter(is_done=True).values_list("measured", "baseline", "change"))
    return {
        "measured": add_up([MeasuredRow.from_json(measured) for measured, _, _ in rows]).to_json(),
        "baseline": add_up([MeasuredRow.from_json(baseline) for _, baseline, _ in rows]).to_json(),
        "changes": {
            change: sum(row[2] == change for row in rows) for change in (Change.BETTER, Change.WORSE, Change.SAME)
        },
    }


@transaction.atomic
def _settle(run: LabRun, holder: str, state: LabRun.State) -> bool:
    """Give the lease back. False where another has done something to the run meanwhile (a stop): that stays."""
    mine = LabRun.objects.select_for_update().filter(pk=run.pk, state=State.RUNNING, lease_holder=holder)
    settled = mine.update(
        state=state,
        lease_holder="",
        lease_expires_at=timezone.now() + LEASE if state == State.WAITING else None,
        attempts=0,
        error=run.error,
        figures=run.figures,
        finished_at=run.finished_at,
    )
    return settled > 0


def _release(run: LabRun, state: LabRun.State) -> None:
    run.state, run.lease_holder = state, ""
    run.lease_expires_at = timezone.now() + LEASE if state == State.WAITING else None
    run.save()


def _make_row(run: LabRun, ordinal: int, asked: AskedRow, found: dict[str, frozenset[int]]) -> LabRow:
    unknown = [answer for answer in asked.answers if not found.get(answer)]
    right = sorted({pk for answer in asked.answers for pk in found.get(answer, ())})
    return LabRow(
        run=run,
        ordinal=ordinal,
        question=clean_question(asked.question),
        category=asked.category,
        right_document_ids=right,
        unknown_answers=mask_note("；".join(unknown), UNKNOWN_LIMIT),
    )
