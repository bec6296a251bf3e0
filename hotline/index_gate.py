"""The golden questions as the gate of rebuilt indexes (kb.index_gate.IndexGate)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

if TYPE_CHECKING:
    from hotline.models import GoldenRun


def check_index(*, index: str, live: str, override: str, on_beat: Callable[[], None]) -> str:
    """Runs in the process that rebuilds. What it finds is kept as a golden run, with whatever overrode it."""
    from hotline.errors import DeskError
    from hotline.golden import Side, compare_on_golden
    from hotline.live_settings import get_live_settings
    from hotline.models import GoldenQuestion, GoldenRun
    from hotline.services.golden_runs import beat, store_comparison

    if not GoldenQuestion.objects.exists():
        return ""
    stopped = GoldenRun.objects.filter(kind=GoldenRun.Kind.INDEX, state=GoldenRun.State.RUNNING)
    stopped.update(state=GoldenRun.State.FAILED, error="构建中断。", finished_at=timezone.now())
    run = GoldenRun.objects.create(kind=GoldenRun.Kind.INDEX, state=GoldenRun.State.RUNNING, proposal={"index": index})
    settings = get_live_settings()

    def tell(done: int) -> None:
        beat(run, done)
        on_beat()

    before, after = Side(replace(settings, index=live)), Side(replace(settings, index=index))
    try:
        comparison = compare_on_golden(before=before, after=after, on_progress=tell)
    except DeskError as error:
        run.error = str(error)
        return _settle(run, override)
    store_comparison(run, comparison)
    return _settle(run, override) if comparison.is_held else _pass(run)


def _pass(run: GoldenRun) -> str:
    run.state, run.finished_at = run.State.APPLIED, timezone.now()
    run.save()
    return ""


def _settle(run: GoldenRun, override: str) -> str:
    from hotline.labels import FIGURES, name_codes
    from hotline.masking import mask_note
    from hotline.services.audit import record_event

    if not override.strip():
        run.state = run.State.HELD
        run.save()
        return run.error or f"标准问题的 {'、'.join(name_codes(run.fallen, FIGURES))} 下降。"
    with transaction.atomic():
        run.override_note = mask_note(override, 200)
        record_event(action="golden_override", subject=run, by=None, note=run.override_note, fallen=run.fallen)
        return _pass(run)
