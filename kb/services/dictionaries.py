"""Dictionaries go live: drafts together as a release, the rows of the product, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Min

from kb import indexing
from kb.bulk_rows import write_rows
from kb.dictionary_kinds import SEGMENTED, EntryValues, build_rules
from kb.errors import KnowledgeError
from kb.live_dictionaries import expire_live_rules, load_entries, load_segmentation_dictionary
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease, IndexVersion
from kb.services.builtin_dictionaries import read_builtin_entries
from kb.services.dictionary_drafts import (
    DIGESTED,
    DraftRow,
    digest_drafts,
    forget_drafts,
    lock_dictionaries,
    write_drafts,
)
from kb.services.dictionary_writes import STORED, DraftsChanged, Move, Snapshot, move_entries, put_drafts_live

Action = DictionaryDraft.Action
Origin = DictionaryRelease.Origin
OF_ENTRY = tuple(f"entry__{name}" for name in STORED)


@transaction.atomic
def release_drafts(
    *,
    by: AbstractBaseUser | None,
    drafts_sha256: str,
    note: str = "",
    comparison: Mapping[str, Any] | None = None,
    is_override: bool = False,
) -> DictionaryRelease:
    """Put all drafts live. `drafts_sha256` names those that were seen.

    Raises DraftsChanged where they are others now, KnowledgeError where two of them are for the same word.
    """
    lock_dictionaries()
    locked = DictionaryDraft.objects.select_for_update().order_by("pk")
    seen = list(locked.values_list("pk", "builtin_key", *DIGESTED))
    if not seen:
        raise KnowledgeError("没有待生效的草稿。", code="no_drafts")
    if digest_drafts(values for _, _, *values in seen) != drafts_sha256:
        raise DraftsChanged
    release = DictionaryRelease.objects.create(  # type: ignore[misc]
        by=by,
        origin=Origin.BUILTIN if all(key for _, key, *_ in seen) else Origin.EDITED,
        note=note[:500],
        comparison=dict(comparison or {}),
        is_override=is_override,
    )
    put_drafts_live(release, DictionaryDraft.objects.filter(pk__lte=seen[-1][0]), seen=len(seen))
    return _finish(release)


@transaction.atomic
def restore_release(*, release: DictionaryRelease, by: AbstractBaseUser | None, note: str = "") -> DictionaryRelease:
    """Everything as it was when `release` had gone live, as a release of its own. Drafts stay.

    Raises KnowledgeError where nothing has changed since.
    """
    lock_dictionaries()
    later = DictionaryChange.objects.filter(release__gt=release.pk).order_by().values("entry")
    undone = DictionaryChange.objects.filter(pk__in=later.annotate(first=Min("pk")).values("first"))
    moves = _give_way([_undo(*row) for row in undone.order_by("entry").values_list("entry", "before", *OF_ENTRY)])
    moves = [move for move in moves if move.after != move.before]
    if not moves:
        raise KnowledgeError(f"现在的词典与第 {release.pk} 版相同。", code="nothing_to_restore")
    made = DictionaryRelease.objects.create(  # type: ignore[misc]
        by=by, origin=Origin.RESTORED, note=note[:500] or f"恢复到第 {release.pk} 版"
    )
    move_entries(made, moves)
    return _finish(made)


class BuiltinSync(NamedTuple):
    """What became of the product's rows: the first release of all, or how many drafts there are for them."""

    release: DictionaryRelease | None = None
    drafted: int = 0


@transaction.atomic
def sync_builtin_entries(*, by: AbstractBaseUser | None = None) -> BuiltinSync:
    """Bring in the rows that come with the product: live where there are none yet, else as drafts like any other.

    A row that somebody has changed, retired, drafted or refused is left as it is.
    """
    lock_dictionaries()
    changes = list(_compare_builtin({entry.key: entry for entry in read_builtin_entries()}))
    if DictionaryRelease.objects.exists():
        return BuiltinSync(drafted=_draft_builtin(changes, by=by))
    release = DictionaryRelease.objects.create(by=by, origin=Origin.BUILTIN, note="随产品的词典")  # type: ignore[misc]
    fields = (*STORED, "builtin_key", "updated_at")
    rows = ((*row.values, True, True, row.builtin_key, release.at) for row in changes)
    write_rows(DictionaryEntry, fields, rows)
    return BuiltinSync(_finish(release))


def _compare_builtin(wanted: Mapping[str, EntryValues]) -> Iterator[DraftRow]:
    """What differs between the product's rows and those of them that nobody has changed."""
    entries = list(DictionaryEntry.objects.all())
    known = {entry.builtin_key: entry for entry in entries if entry.builtin_key}
    own = {EntryValues(**entry.values).key for entry in entries}
    for key, values in wanted.items():
        entry = known.get(key)
        if entry is None:
            if key not in own:
                yield DraftRow(values, Action.ADD, None, key)
        elif entry.is_builtin and not entry.is_live:
            yield DraftRow(values, Action.REVIVE, entry.pk, key)
        elif entry.is_builtin and EntryValues(**entry.values) != values:
            yield DraftRow(values, Action.CHANGE, entry.pk, key)
    for key, entry in known.items():
        if entry.is_builtin and entry.is_live and key not in wanted:
            yield DraftRow(EntryValues(**entry.values), Action.RETIRE, entry.pk, key)


def _draft_builtin(changes: Sequence[DraftRow], *, by: AbstractBaseUser | None) -> int:
    """In the place of what an earlier upgrade brought; what somebody has drafted goes before."""
    fields = ("pk", "builtin_key", "entry", "action", *EntryValues._fields)
    drafts = list(DictionaryDraft.objects.order_by("pk").values_list(*fields))
    taken = {entry for _, key, entry, *_ in drafts if key is None and entry}
    words = {EntryValues(*values).key for _, key, _, _, *values in drafts if key is None}
    wanted = [row for row in changes if row.entry not in taken and row.values.key not in words]
    stored = [DraftRow(EntryValues(*values), action, entry, key) for _, key, entry, action, *values in drafts if key]
    if wanted != stored:
        forget_drafts([pk for pk, key, *_ in drafts if key is not None])
        write_drafts(wanted, by=by)
    return len(wanted)


def _undo(entry: int, before: Snapshot | None, *now: Any) -> Move:
    """The way back over the first change that came later: to what was, or out of use for what was not there."""
    current = dict(zip(STORED, now, strict=True))
    return Move(entry, current, {**current, **(before or {"is_live": False})}, is_new=before is None)


def _give_way(moves: Sequence[Move]) -> list[Move]:
    """An entry that came after the release and bears a word that another had then is retired under another name."""
    taken = {_key_of(move.after) for move in moves if not move.is_new}
    return [
        move._replace(after={**move.after, "text": f"{move.after['text'][:80]}（停用{move.entry}）"})
        if move.is_new and _key_of(move.after) in taken
        else move
        for move in moves
    ]


def _key_of(state: Mapping[str, Any]) -> str:
    return EntryValues(**{name: state[name] for name in EntryValues._fields}).key


def _finish(release: DictionaryRelease) -> DictionaryRelease:
    """Note the versions that lookups will record, ask for an index where words are cut otherwise now, tell the rest."""
    release.versions = dict(build_rules(load_entries(), release=release.pk).versions)
    release.save(update_fields=["versions"])
    changes_words = release.changes.filter(entry__kind__in=SEGMENTED).exists()
    if (changes_words or release.origin == Origin.BUILTIN) and needs_rebuild():
        indexing.request_rebuild()
    transaction.on_commit(expire_live_rules)
    return release


def needs_rebuild() -> bool:
    """Whether the live index cuts texts otherwise than one built now would."""
    live = IndexVersion.objects.filter(state=IndexVersion.State.LIVE).order_by("-live_at").first()
    return live is not None and live.dictionary_sha256 != load_segmentation_dictionary().sha256
