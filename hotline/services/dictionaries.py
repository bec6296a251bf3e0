"""The gate of the dictionaries: drafts are tried first, held where a figure falls, and overridden with a reason."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from hotline import tasks
from hotline.dictionary_trials import try_drafts
from hotline.errors import DeskError
from hotline.masking import mask_note
from hotline.models import User
from hotline.services.audit import record_event
from kb.live_dictionaries import read_release
from kb.models import DictionaryRelease, DictionaryTrial
from kb.services.dictionaries import release_drafts, sync_builtin_entries
from kb.services.dictionary_drafts import digest_drafts
from kb.tasks import enqueue

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
MAX_ATTEMPTS = 3
NOTE_LIMIT = 500
State = DictionaryTrial.State


class ReleaseHeld(DeskError):
    """The drafts do not go live as they are; the message says why."""

    code = "release_held"
    status = 409


@transaction.atomic
def request_trial(*, by: User) -> DictionaryTrial:
    """Try the drafts as they are now; the worker does it. Raises DeskError where there are none."""
    drafts = digest_drafts()
    if not drafts:
        raise DeskError("没有待生效的草稿。", code="no_drafts")
    if not read_release():
        sync_builtin_entries(by=by)
    known = DictionaryTrial.objects.filter(state__in=[State.WAITING, State.RUNNING], drafts_sha256=drafts).first()
    if known:
        return known
    trial = DictionaryTrial.objects.create(drafts_sha256=drafts, release_id=read_release(), by=by)
    enqueue(tasks.try_dictionaries)
    return trial


def run_waiting_trials() -> int:
    """Try what waits, and what a killed worker left. Returns how many trials were made."""
    made = 0
    while trial := _claim():
        made += 1
        _run(trial)
    return made


def find_trial(drafts_sha256: str) -> DictionaryTrial | None:
    """The newest trial of these drafts (`digest_drafts`) against the dictionaries as they are now."""
    current = DictionaryTrial.objects.filter(drafts_sha256=drafts_sha256, release=read_release() or None)
    return current.order_by("-pk").first() if drafts_sha256 else None


def find_running_trial() -> DictionaryTrial | None:
    """The newest trial where it waits or runs. Costs one row, however many drafts there are."""
    newest = DictionaryTrial.objects.order_by("-pk").first()
    return newest if newest and newest.state in {State.WAITING, State.RUNNING} else None


def explain_hold(trial: DictionaryTrial | None) -> str:
    """Why the drafts may not go live without a reason given; empty where they may."""
    if trial is None or trial.state != State.DONE:
        return "草稿还没有试用过。"
    if trial.comparison.get("golden", {}).get("fallen"):
        return "标准问题的指标有下降。"
    return ""


@transaction.atomic
def put_live(*, by: User, drafts_sha256: str, note: str = "", is_override: bool = False) -> DictionaryRelease:
    """The drafts that were seen go live together.

    Raises ReleaseHeld where they were not tried or a figure falls, unless `is_override` with a note; WrongVersionState
    where the drafts have changed.
    """
    trial = find_trial(drafts_sha256)
    hold = explain_hold(trial)
    note = mask_note(note, NOTE_LIMIT)
    if hold and not is_override:
        raise ReleaseHeld(f"{hold}如仍要生效，请勾选并写明理由。")
    if hold and not note:
        raise ReleaseHeld("请写明仍要生效的理由。", code="reason_required")
    comparison = trial.comparison if trial and trial.state == State.DONE else {}
    release = release_drafts(
        by=by, drafts_sha256=drafts_sha256, note=note, comparison=comparison, is_override=bool(hold)
    )
    record_event(action="dictionaries_released", subject=release, by=by, hold=hold, note=note)
    return release


def _claim() -> DictionaryTrial | None:
    now = timezone.now()
    late = Q(state=State.RUNNING, lease_expires_at__lt=now)
    error = f"试用时工作进程连续 {MAX_ATTEMPTS} 次中断或没有进度（可能内存不足），已停下，草稿未受影响；可以重新试用。"
    DictionaryTrial.objects.filter(late, attempts__gte=MAX_ATTEMPTS).update(state=State.FAILED, error=error)
    free = Q(state=State.WAITING) | late
    taken = {"state": State.RUNNING, "lease_expires_at": now + LEASE, "attempts": F("attempts") + 1}
    for pk in DictionaryTrial.objects.filter(free).order_by("pk").values_list("pk", flat=True):
        if DictionaryTrial.objects.filter(free, pk=pk).update(**taken):
            return DictionaryTrial.objects.get(pk=pk)
    return None


def _run(trial: DictionaryTrial) -> None:
    try:
        if digest_drafts() != trial.drafts_sha256:
            raise DeskError("草稿在试用前又有变化，请重新试用。", code="drafts_changed")
        trial.comparison = try_drafts(lambda done: _note_progress(trial, done))
        trial.state = State.DONE
    except DeskError as error:
        trial.state, trial.error = State.FAILED, str(error)
    except Exception:
        logger.exception("dictionary trial %s failed", trial.pk)
        trial.state, trial.error = State.FAILED, "试用时出错，草稿未受影响；请重试或联系管理员。"
    trial.save(update_fields=["state", "error", "comparison"])


def _note_progress(trial: DictionaryTrial, done: int) -> None:
    DictionaryTrial.objects.filter(pk=trial.pk).update(
        comparison={"asked": done}, lease_expires_at=timezone.now() + LEASE
    )
