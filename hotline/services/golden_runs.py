"""Changes on their way to live: proposed, compared on the golden questions, applied or held, overridden or dropped."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from hotline import tasks
from hotline.errors import DeskError, WrongState
from hotline.golden import GoldenComparison, compare_on_golden
from hotline.golden_changes import apply_change, describe_base, sides_of
from hotline.live_settings import forget_live_values
from hotline.masking import mask_note
from hotline.models import GoldenQuestion, GoldenRun, User
from hotline.rerankers import is_neural
from hotline.services.audit import record_event
from kb.index_gate import give_up_index
from kb.tasks import enqueue
from reranking.types import RerankerError

logger = logging.getLogger(__name__)

ASKED_AT_ONCE = 10  # golden questions that a page waits for; more are asked by a worker, with a progress bar
STOPPED_AFTER = timedelta(minutes=3)
MAX_ATTEMPTS = 3
NOTE_LIMIT = 200
OWN_ROWS = frozenset({"settings", "model", "instructions"})  # of what is live, those that a change replaces
Kind, State = GoldenRun.Kind, GoldenRun.State


class _TakenOver(Exception):
    """Another worker has the run, or somebody has decided it: what was measured here counts for nothing."""


def propose_change(
    *,
    kind: GoldenRun.Kind,
    proposal: dict[str, Any],
    note: str,
    by: User | None,
    waits: bool = False,
    opened: Mapping[str, int | None] | None = None,
) -> GoldenRun:
    """Compared at once where that is quick or the caller `waits`, else by a worker; live where no figure falls.

    A proposal holds settings as a whole, so it holds for what is live now, or was when its form was `opened` (of the
    rows of `describe_base` those that the form names): another that comes first overtakes it.
    """
    questions = GoldenQuestion.objects.count()
    base = {**describe_base(), **(opened or {})}
    with transaction.atomic():
        run = GoldenRun.objects.create(
            kind=kind,
            proposal={**proposal, "base": base},
            note=mask_note(note, NOTE_LIMIT),
            by=by,
            questions=questions,
        )
        is_quick = waits or (questions <= ASKED_AT_ONCE and not is_neural())
        if not is_quick:
            enqueue(tasks.compare_waiting_runs)
    return compare_run(run) if is_quick else run


def compare_waiting_runs() -> int:
    """What waits, and what a killed worker left. Returns how many were compared."""
    stale = Q(state=State.RUNNING, heartbeat_at__lt=timezone.now() - STOPPED_AFTER)
    waiting = GoldenRun.objects.filter(Q(state=State.WAITING) | stale).exclude(kind=Kind.INDEX).order_by("id")
    runs = list(waiting)
    for run in runs:
        compare_run(run)
    return len(runs)


def compare_run(run: GoldenRun) -> GoldenRun:
    """Ask the golden questions and decide. What keeps it from being compared is kept on the run, for another try."""
    if not _claim(run):
        return run
    try:
        _refuse_overtaken(run, OWN_ROWS)
        run.proposal = {**run.proposal, "base": describe_base()}
        _mine(run).update(proposal=run.proposal)
        before, after = sides_of(run)
        comparison = compare_on_golden(
            before=before, after=after, by=run.by, on_progress=lambda done: _go_on(run, done)
        )
        return _decide(run, comparison)
    except _TakenOver:
        logger.warning("golden run %s was taken over by another worker", run.pk)
    except (DeskError, RerankerError, ValueError) as error:
        logger.exception("golden run %s could not be compared", run.pk)
        _mine(run).update(state=State.FAILED, error=str(error)[:2000], finished_at=timezone.now())
    run.refresh_from_db()
    return run


def store_comparison(run: GoldenRun, comparison: GoldenComparison) -> None:
    """Figures and rows on the run; the state is the caller's."""
    if comparison.before and comparison.after:
        run.figures_before, run.figures_after = comparison.before.to_json(), comparison.after.to_json()
        run.questions = comparison.after.queries
    run.fallen = list(comparison.fallen)
    run.changed_rows = [row.to_json() for row in comparison.changed]
    run.done, run.error = 2 * run.questions, ""


def beat(run: GoldenRun, done: int) -> bool:
    """False where another has the run by now; then nothing is written."""
    now = timezone.now()
    if not _mine(run).update(done=done, heartbeat_at=now):
        return False
    run.done, run.heartbeat_at = done, now
    return True


@transaction.atomic
def override_run(*, run: GoldenRun, note: str, by: User) -> GoldenRun:
    """Make a held change live all the same. Raises DeskError without a reason, WrongState where it is not held."""
    note = mask_note(note, NOTE_LIMIT)
    if not note:
        raise DeskError("指标下降时放行，请写明理由。", code="note_required")
    run = _lock(run, State.HELD)
    run.override_note, run.decided_by = note, by
    _apply(run, by)
    record_event(action="golden_override", subject=run, by=by, note=note, fallen=run.fallen)
    return run


@transaction.atomic
def drop_run(*, run: GoldenRun, by: User | None) -> GoldenRun:
    """Raises WrongState where it is not held."""
    run = _lock(run, State.HELD, State.FAILED)
    run.state, run.decided_by, run.finished_at = State.DROPPED, by, timezone.now()
    run.save()
    if run.kind == Kind.INDEX:
        give_up_index(run.proposal["index"])
    record_event(action="golden_run_dropped", subject=run, by=by)
    return run


@transaction.atomic
def retry_run(*, run: GoldenRun, by: User) -> GoldenRun:
    """Raises WrongState where it has not failed, or where others went live since it was proposed."""
    run = _lock(run, State.FAILED)
    if run.kind == Kind.INDEX:
        raise DeskError("请在“知识库 · 索引”页重新构建索引。")
    _refuse_overtaken(run)
    run.state, run.error, run.done, run.attempts = State.WAITING, "", 0, 0
    run.save()
    record_event(action="golden_run_retried", subject=run, by=by)
    enqueue(tasks.compare_waiting_runs)
    return run


def _claim(run: GoldenRun) -> bool:
    """One worker a run; a stale one may be taken over, but for one that MAX_ATTEMPTS workers have not finished."""
    now = timezone.now()
    free = Q(state=State.WAITING) | Q(state=State.RUNNING, heartbeat_at__lt=now - STOPPED_AFTER)
    taken = GoldenRun.objects.filter(free, pk=run.pk).update(
        state=State.RUNNING, heartbeat_at=now, done=0, attempts=F("attempts") + 1
    )
    run.refresh_from_db()
    if not taken or run.attempts <= MAX_ATTEMPTS:
        return bool(taken)
    error = f"比较时工作进程连续 {MAX_ATTEMPTS} 次中断或没有进度（可能内存不足），已停下，线上不变；可以再比一次。"
    _mine(run).update(state=State.FAILED, error=error, finished_at=now)
    run.refresh_from_db()
    return False


def _mine(run: GoldenRun) -> QuerySet[GoldenRun]:
    """The row while nobody else has taken it over: whoever does leaves a heartbeat of their own."""
    return GoldenRun.objects.filter(pk=run.pk, state=State.RUNNING, heartbeat_at=run.heartbeat_at)


def _go_on(run: GoldenRun, done: int) -> None:
    if not beat(run, done):
        raise _TakenOver


@transaction.atomic
def _decide(run: GoldenRun, comparison: GoldenComparison) -> GoldenRun:
    if not _mine(run).select_for_update().exists():
        raise _TakenOver
    run.refresh_from_db()
    store_comparison(run, comparison)
    if comparison.is_held:
        run.state = State.HELD
        run.save()
        record_event(action="golden_run_held", subject=run, by=run.by, fallen=run.fallen)
    else:
        _apply(run, run.by)
    return run


def _apply(run: GoldenRun, by: User | None) -> None:
    _take_turn()
    _refuse_overtaken(run)
    run.state, run.finished_at = State.APPLIED, timezone.now()
    run.save()
    apply_change(run, by=by)


def _take_turn() -> None:
    """One change at a time becomes live: the oldest run's row is the lock, held until the transaction ends."""
    list(GoldenRun.objects.select_for_update().order_by("pk").values_list("pk")[:1])


def _refuse_overtaken(run: GoldenRun, names: Collection[str] = ()) -> None:
    """Raises WrongState where one of `names` (empty: anything) is not as it was: what the run replaces, or the

    dictionaries and index that it was measured on. An index is compared with the live one by its own gate.
    """
    base, now = run.proposal.get("base", {}), describe_base()
    changed = {name for name in names or now if base.get(name) != now[name]}
    if run.kind != Kind.INDEX and changed & OWN_ROWS:
        raise WrongState("提交之后线上设置又有改动，请按现在的设置重新提交。")
    if run.kind != Kind.INDEX and changed:
        raise WrongState("比较之后词典或索引有改动，请重新比较。")
    forget_live_values()  # what is compared and made live next departs from these rows, not from those of a moment ago


def _lock(run: GoldenRun, *wanted: str) -> GoldenRun:
    run = GoldenRun.objects.select_for_update().get(pk=run.pk)
    if run.state not in wanted:
        raise WrongState(f"这项改动{run.get_state_display()}，不能这样操作。")
    return run
