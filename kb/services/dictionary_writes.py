"""What a release writes: its history, and the entries as they are from then on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Case, CharField, DateTimeField, F, Func, Max, QuerySet, When
from django.db.models import Value as Constant
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, JSONObject
from django.db.models.sql.compiler import SQLCompiler

from kb.bulk_rows import write_rows, write_selected
from kb.dictionary_kinds import EntryValues
from kb.errors import KnowledgeError, WrongVersionState
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease
from kb.services.dictionary_drafts import BATCH

Snapshot = dict[str, Any]
STORED = (*EntryValues._fields, "is_live", "is_builtin")
STAMPED = (*STORED, "updated_at", "updated_by")
WORDED = ("kind", "text", "other")  # of which no two entries may have the same
RELEASE_COLLIDES = "两条草稿是同一个词，请改掉一条再生效。"
RESTORE_COLLIDES = "要恢复的词与现在的另一词条是同一个词，没有恢复；请先改掉那一条再恢复。"


class Move(NamedTuple):
    """An entry's state and the one that it gets. `is_new`: it was not there in the release that is gone back to."""

    entry: int
    before: Snapshot
    after: Snapshot
    is_new: bool = False


class DraftsChanged(WrongVersionState):
    """They are not those that were seen."""

    def __init__(self) -> None:
        super().__init__("草稿在这期间有变化，请重新试用后再生效。")


def put_drafts_live(release: DictionaryRelease, drafts: QuerySet[DictionaryDraft], *, seen: int) -> None:
    """Entries become what the drafts say, history says so, the drafts go; all of it within the database.

    Raises KnowledgeError where two entries collide, DraftsChanged where a statement meets others than the `seen` ones.
    """
    with _collisions_said(RELEASE_COLLIDES):
        count = _change_known(release, drafts.exclude(entry=None)) + _add_new(release, drafts.filter(entry=None))
    _agree(seen, count, drafts.delete()[0])


def move_entries(release: DictionaryRelease, moves: Sequence[Move]) -> None:
    """Raises KnowledgeError where two entries collide."""
    by = release.by_id
    changes = ((release.pk, move.entry, move.before, move.after, by) for move in moves)
    rows = ((move.entry, *(move.after[name] for name in STORED), release.at, by) for move in moves)
    with _collisions_said(RESTORE_COLLIDES):
        write_rows(DictionaryChange, ("release", "entry", "before", "after", "by"), changes)
        renamed = [move.entry for move in moves if any(move.before[name] != move.after[name] for name in WORDED)]
        for start in range(0, len(renamed), BATCH):
            _park_texts(DictionaryEntry.objects.filter(pk__in=renamed[start : start + BATCH]))
        write_rows(DictionaryEntry, ("id", *STAMPED), rows, overwrites=True)


def _change_known(release: DictionaryRelease, drafts: QuerySet[DictionaryDraft]) -> int:
    state = _drafted_state()
    before = _snapshot({name: F(f"entry__{name}") for name in STORED})
    changes = drafts.values_list(Constant(release.pk), "entry", before, _snapshot(state), "by")
    noted = write_selected(DictionaryChange, ("release", "entry", "before", "after", "by"), changes)
    same = {name: F(f"draft__{name}") for name in WORDED}
    _park_texts(DictionaryEntry.objects.filter(draft__in=drafts).exclude(**same))
    rows = drafts.values_list("entry", *state.values(), _moment(release), "by")
    return _agree(noted, write_selected(DictionaryEntry, ("id", *STAMPED), rows, overwrites=True))


def _add_new(release: DictionaryRelease, drafts: QuerySet[DictionaryDraft]) -> int:
    last = DictionaryEntry.objects.aggregate(last=Max("pk"))["last"] or 0
    rows = drafts.order_by("pk").values_list(*_drafted_state().values(), _moment(release), "by", "builtin_key")
    added = write_selected(DictionaryEntry, (*STAMPED, "builtin_key"), rows)
    made = DictionaryEntry.objects.filter(pk__gt=last, is_live=True)  # nothing else makes entries that are live
    after = _snapshot({name: F(name) for name in STORED})
    changes = made.order_by("pk").values_list(Constant(release.pk), "pk", after, "updated_by")
    return _agree(added, write_selected(DictionaryChange, ("release", "entry", "after", "by"), changes))


def _agree(*counts: int) -> int:
    """Each statement sees the drafts anew, with those that an earlier transaction has committed meanwhile."""
    if len(set(counts)) > 1:
        raise DraftsChanged
    return counts[0]


def _drafted_state() -> dict[str, Combinable]:
    """What an entry's values become by its draft. An upgrade's draft leaves the row the product's."""
    is_retired = When(action=DictionaryDraft.Action.RETIRE, then=Constant(False))
    is_edited = When(builtin_key=None, then=Constant(False))
    truth = BooleanField()
    return {
        **{name: F(name) for name in EntryValues._fields},
        "is_live": Case(is_retired, default=Constant(True), output_field=truth),
        "is_builtin": Case(is_edited, default=Constant(True), output_field=truth),
    }


def _snapshot(state: Mapping[str, Combinable]) -> JSONObject:
    truths = {"both", "is_live", "is_builtin"}
    return JSONObject(**{name: _JSONTruth(value) if name in truths else value for name, value in state.items()})


class _JSONTruth(Func):
    """A truth value as JSON has it: SQLite knows but numbers."""

    arity = 1
    template = "%(expressions)s"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        template = "JSON(CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END)"
        return self.as_sql(compiler, connection, template=template, **extra)


def _moment(release: DictionaryRelease) -> Constant:
    return Constant(release.at, DateTimeField())


def _park_texts(entries: QuerySet[DictionaryEntry]) -> None:
    """Words may change hands, and both databases look at each row in turn: nobody bears a word meanwhile."""
    entries.update(text=Concat(Constant("…"), Cast("pk", CharField())))


@contextmanager
def _collisions_said(message: str) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise KnowledgeError(message, code="entry_known", status=409) from error
