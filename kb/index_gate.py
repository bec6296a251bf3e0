"""Who may say no before a rebuilt index goes live, and what becomes of an index that is held.

The knowledge base knows of no questions; whoever puts it together with them registers a gate at start-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from django.db import transaction
from django.utils import timezone

from kb import tasks
from kb.errors import WrongIndexState
from kb.models import IndexVersion

State = IndexVersion.State


class IndexGate(Protocol):
    """Compares a filled index with the live one; gives the reason, in Chinese, to hold it back, or nothing.

    `override`: why it shall go live whatever is found. `on_beat` is to be called every minute or more often.
    """

    def __call__(self, *, index: str, live: str, override: str, on_beat: Callable[[], None]) -> str: ...


_gates: list[IndexGate] = []


def register_gate(gate: IndexGate) -> None:
    """One a process; a second one takes the first's place."""
    _gates[:] = [gate]


def ask_gate(*, index: str, live: str | None, override: str, on_beat: Callable[[], None]) -> str:
    """The reason to hold the index back; empty where it may go live, as a first index always may."""
    if live is None or not _gates:
        return ""
    return _gates[0](index=index, live=live, override=override, on_beat=on_beat)


def hold_index(index: IndexVersion, reason: str) -> None:
    """Kept beside the live one until somebody decides."""
    index.state, index.error, index.heartbeat_at = State.HELD, reason[:2000], None
    index.save()


@transaction.atomic
def approve_index(name: str) -> None:
    """A held index shall go live; the worker, which alone writes, makes it so. Raises WrongIndexState."""
    approved = IndexVersion.objects.filter(name=name, state=State.HELD).update(state=State.APPROVED, error="")
    if not approved:
        raise WrongIndexState(f"索引 {name} 已不在等待放行。")
    tasks.enqueue(tasks.reindex_all)


def give_up_index(name: str) -> None:
    """A held index that nobody wants; it goes when the next one is live."""
    IndexVersion.objects.filter(name=name, state=State.HELD).update(error="已放弃，下次重建后清除。")


def find_approved(engine: str) -> IndexVersion | None:
    """The newest that shall go live."""
    return IndexVersion.objects.filter(state=State.APPROVED, engine=engine).order_by("-id").first()


def list_superseded(index: IndexVersion) -> list[IndexVersion]:
    """Held and approved ones that another index has overtaken by going live."""
    kept = IndexVersion.objects.filter(state__in=[State.HELD, State.APPROVED], engine=index.engine)
    return list(kept.filter(started_at__lt=index.started_at or timezone.now()).exclude(pk=index.pk))
