"""Drafts of dictionary entries: written one by one or imported, acting on nothing before they go live."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from kb.bulk_rows import write_rows
from kb.dictionary_kinds import EntryValues, clean_values
from kb.errors import KnowledgeError
from kb.models import DictionaryDraft, DictionaryEntry, DictionaryRelease
from kb.opened_forms import ChangedMeanwhile, refuse_changed
from kb.query_understanding.rules import RuleError

Action = DictionaryDraft.Action
BATCH = 500
RETIRED_MEANWHILE = "你打开这一页之后有人改过这里，没有停用；请重新打开，看过现在的内容再停用。"
DIGESTED = ("action", "entry_id", *EntryValues._fields)  # what makes one draft differ from another


class EntryRefused(KnowledgeError):
    """The values make no usable entry; the message says why."""

    code = "entry_refused"


class EntryKnown(KnowledgeError):
    """There is such an entry or draft already."""

    code = "entry_known"
    status = 409


class DraftRow(NamedTuple):
    """A draft to be written; `entry` is the id of the one that it is for."""

    values: EntryValues
    action: DictionaryDraft.Action
    entry: int | None
    builtin_key: str | None = None


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """How many rows became drafts, how many were live as they are, and what is wrong with the others, by line."""

    added: int
    changed: int
    unchanged: int
    refusals: tuple[tuple[int, str], ...]

    @property
    def stored(self) -> int:
        return self.added + self.changed


def lock_dictionaries() -> None:
    """One writer after the other, within a transaction: of drafts, and of releases, so that their numbers rise in the
    order in which they are committed. The first release's row is the lock.
    """
    list(DictionaryRelease.objects.select_for_update().order_by("pk").values_list("pk")[:1])


@transaction.atomic
def draft_new_entry(*, values: Mapping[str, Any], by: AbstractBaseUser | None) -> DictionaryDraft:
    """An entry to be added; one that was retired comes back with these values. Raises EntryRefused, EntryKnown."""
    lock_dictionaries()
    wanted = _clean(values)
    entry = _find_entry(wanted)
    if entry and entry.is_live:
        raise EntryKnown(f"“{entry}”已在词典中，请直接修改。")
    if _drafts_like(wanted).exists() or (entry and DictionaryDraft.objects.filter(entry=entry).exists()):
        raise EntryKnown(f"“{wanted.text}”已有草稿，请在待生效中修改。")
    action = Action.REVIVE if entry else Action.ADD
    return DictionaryDraft.objects.create(**wanted._asdict(), action=action, entry=entry, by=by)  # type: ignore[misc]


@transaction.atomic
def draft_change(
    *, entry: DictionaryEntry, values: Mapping[str, Any], by: AbstractBaseUser | None, opened: str = ""
) -> DictionaryDraft | None:
    """An entry to be changed; None where nothing differs (any more).

    Raises EntryRefused, EntryKnown, ChangedMeanwhile where the form was `opened` over other values.
    """
    lock_dictionaries()
    entry = DictionaryEntry.objects.get(pk=entry.pk)
    refuse_changed(opened, _describe_now(entry))
    wanted = _clean({**values, "kind": entry.kind})
    other = _find_entry(wanted)
    if (other and other.pk != entry.pk) or _drafts_like(wanted).exclude(entry=entry).exists():
        raise EntryKnown(f"“{wanted.text}”已在词典或草稿中，不能有两条。")
    if entry.is_live and wanted == EntryValues(**entry.values):
        DictionaryDraft.objects.filter(entry=entry).delete()
        return None
    action = Action.CHANGE if entry.is_live else Action.REVIVE
    return _put_draft(entry, wanted, action, by)


@transaction.atomic
def change_draft(
    *, draft: DictionaryDraft, values: Mapping[str, Any], by: AbstractBaseUser | None, opened: str = ""
) -> DictionaryDraft | None:
    """Correct a draft. Raises as draft_change, and ChangedMeanwhile where it is gone."""
    lock_dictionaries()
    stored = DictionaryDraft.objects.select_for_update().filter(pk=draft.pk).first()
    if stored is None:
        raise ChangedMeanwhile
    draft = stored
    if draft.entry:
        return draft_change(entry=draft.entry, values=values, by=by, opened=opened)
    refuse_changed(opened, describe_wanted(draft))
    wanted = _clean({**values, "kind": draft.kind})
    if _find_entry(wanted) or _drafts_like(wanted).exclude(pk=draft.pk).exists():
        raise EntryKnown(f"“{wanted.text}”已在词典或草稿中，不能有两条。")
    for name, value in wanted._asdict().items():
        setattr(draft, name, value)
    draft.by, draft.builtin_key = by, None  # type: ignore[assignment]
    draft.save()
    return draft


def describe_wanted(row: DictionaryDraft | DictionaryEntry) -> dict[str, Any]:
    """What a form is opened over, a draft or an entry without one: its values, and whether they act or shall."""
    draft, entry = (row, row.entry) if isinstance(row, DictionaryDraft) else (None, row)
    return {**row.values, "action": draft and draft.action, "is_live": entry and entry.is_live}


@transaction.atomic
def draft_retirement(*, entry: DictionaryEntry, by: AbstractBaseUser | None, opened: str = "") -> DictionaryDraft:
    """An entry that shall no longer act.

    Raises KnowledgeError for one that does not act anyhow, ChangedMeanwhile where the page was `opened` over other
    values.
    """
    lock_dictionaries()
    entry = DictionaryEntry.objects.get(pk=entry.pk)
    refuse_changed(opened, _describe_now(entry), message=RETIRED_MEANWHILE)
    if not entry.is_live:
        raise KnowledgeError("这一词条已经停用。", code="wrong_state", status=409)
    return _put_draft(entry, EntryValues(**entry.values), Action.RETIRE, by)


def drop_drafts(*, drafts: Iterable[int] | None = None) -> int:
    """Throw drafts away (None: all of them). Returns how many there were.

    What an upgrade of the product brought is refused for good: its rows are as if somebody had changed them.
    """
    wanted = list(DictionaryDraft.objects.values_list("pk", flat=True) if drafts is None else drafts)
    return sum(_drop(wanted[start : start + BATCH]) for start in range(0, len(wanted), BATCH))


@transaction.atomic
def _drop(ids: Sequence[int]) -> int:
    lock_dictionaries()
    builtin = DictionaryDraft.objects.filter(pk__in=ids, builtin_key__isnull=False)
    DictionaryEntry.objects.filter(draft__in=builtin).update(is_builtin=False)
    for draft in builtin.filter(entry=None):
        DictionaryEntry.objects.create(**draft.values, builtin_key=draft.builtin_key, is_live=False)
    return forget_drafts(ids)


def forget_drafts(ids: Sequence[int]) -> int:
    """Take away drafts that went live or are replaced. Returns how many there were."""
    batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    return sum(DictionaryDraft.objects.filter(pk__in=batch).delete()[0] for batch in batches)


def write_drafts(rows: Iterable[DraftRow], *, by: AbstractBaseUser | None) -> None:
    """There must be none for the same words yet. Raises IntegrityError."""
    stamp = (by.pk if by else None, timezone.now())
    fields = (*EntryValues._fields, "action", "entry", "builtin_key", "by", "at")
    write_rows(
        DictionaryDraft, fields, ((*row.values, str(row.action), row.entry, row.builtin_key, *stamp) for row in rows)
    )


@transaction.atomic
def import_drafts(
    *, rows: Sequence[tuple[int, Mapping[str, Any]]], by: AbstractBaseUser | None, keep_good: bool = False
) -> ImportOutcome:
    """Rows of a file, each with its line, as drafts; a word that is live already is changed.

    Nothing is stored of a file with a row that cannot be used, unless `keep_good`.
    """
    wanted, refusals = _read_rows(rows)
    lock_dictionaries()
    known = {values.key: (pk, is_live, values) for pk, is_live, values in _read_entries()}
    drafts: list[DraftRow] = []
    unchanged = 0
    for entry_values in wanted.values():
        pk, is_live, values = known.get(entry_values.key, (None, False, None))
        if is_live and values == entry_values:
            unchanged += 1
        else:
            action = Action.ADD if pk is None else Action.CHANGE if is_live else Action.REVIVE
            drafts.append(DraftRow(entry_values, action, pk))
    if not refusals or keep_good:
        _replace_drafts(wanted.keys(), drafts, by=by)
    added = sum(row.action == Action.ADD for row in drafts)
    return ImportOutcome(added, len(drafts) - added, unchanged, tuple(refusals))


def digest_drafts(drafts: Iterable[Sequence[object]] | None = None) -> str:
    """Which drafts there are: equal ones give an equal SHA-256; empty without any.

    `drafts`: their DIGESTED values, by id; None: those in the database.
    """
    stored = DictionaryDraft.objects.order_by("pk").values_list(*DIGESTED).iterator(chunk_size=5000)
    digest = hashlib.sha256()
    count = 0
    for count, row in enumerate(stored if drafts is None else drafts, start=1):  # noqa: B007
        digest.update("\t".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest() if count else ""


def _clean(values: Mapping[str, Any]) -> EntryValues:
    try:
        return clean_values(values)
    except RuleError as error:
        raise EntryRefused(f"{error}。") from error


def _read_rows(
    rows: Sequence[tuple[int, Mapping[str, Any]]],
) -> tuple[dict[str, EntryValues], list[tuple[int, str]]]:
    """The usable rows by their key, and why the others are not."""
    wanted: dict[str, EntryValues] = {}
    lines: dict[str, int] = {}
    refusals: list[tuple[int, str]] = []
    for line, values in rows:
        try:
            entry = clean_values(values)
        except RuleError as error:
            refusals.append((line, f"{error}"))
            continue
        known = wanted.setdefault(entry.key, entry)
        first = lines.setdefault(entry.key, line)
        if known != entry:
            refusals.append((line, f"“{entry.text}”与第 {first} 行重复而内容不同"))
    return wanted, refusals


def _read_entries() -> Iterator[tuple[int, bool, EntryValues]]:
    rows = DictionaryEntry.objects.values_list("pk", "is_live", *EntryValues._fields)
    return ((pk, is_live, EntryValues(*values)) for pk, is_live, *values in rows.iterator(chunk_size=5000))


def _find_entry(values: EntryValues) -> DictionaryEntry | None:
    return DictionaryEntry.objects.filter(**values.identity).first()


def _drafts_like(values: EntryValues) -> Any:
    return DictionaryDraft.objects.filter(**values.identity)


def _describe_now(entry: DictionaryEntry) -> dict[str, Any]:
    draft = DictionaryDraft.objects.select_related("entry").filter(entry=entry).first()
    return describe_wanted(draft or entry)


def _put_draft(
    entry: DictionaryEntry, values: EntryValues, action: DictionaryDraft.Action, by: AbstractBaseUser | None
) -> DictionaryDraft:
    fields = {**values._asdict(), "action": action, "builtin_key": None, "by": by}
    return DictionaryDraft.objects.update_or_create(entry=entry, defaults=fields)[0]


def _replace_drafts(keys: Iterable[str], drafts: Sequence[DraftRow], *, by: AbstractBaseUser | None) -> None:
    """`drafts` in the place of those for the same words."""
    wanted = set(keys)
    entries = {row.entry for row in drafts if row.entry}
    known = DictionaryDraft.objects.values_list("pk", "entry", *EntryValues._fields)
    forget_drafts([pk for pk, entry, *values in known if entry in entries or EntryValues(*values).key in wanted])
    write_drafts(drafts, by=by)
