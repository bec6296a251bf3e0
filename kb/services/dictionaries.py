"""Dictionaries go live: drafts together as a release, the rows of the product, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import CharField, Max, Value
from django.db.models.functions import Cast, Concat

from kb import indexing
from kb.bulk_rows import write_rows
from kb.dictionary_kinds import SEGMENTED, EntryValues, build_rules
from kb.errors import KnowledgeError, WrongVersionState
from kb.live_dictionaries import expire_live_rules, load_entries, load_segmentation_dictionary
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease, IndexVersion
from kb.services.builtin_dictionaries import read_builtin_entries
from kb.services.dictionary_drafts import BATCH, DraftRow, digest_drafts, forget_drafts, write_drafts

Action = DictionaryDraft.Action
Origin = DictionaryRelease.Origin
EntryState = tuple[DictionaryEntry, Mapping[str, Any], AbstractBaseUser | None]
Snapshot = dict[str, Any]
STORED = (*EntryValues._fields, "is_live", "is_builtin")
ENTRY_FIELDS = (*STORED, "builtin_key", "updated_at", "updated_by")


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

    Raises WrongVersionState where they have changed since, KnowledgeError where two of them are for the same word.
    """
    _lock()
    locked = DictionaryDraft.objects.select_for_update(of=("self",)).order_by("pk")
    drafts = list(locked.select_related("entry").prefetch_related("by"))
    if not drafts:
        raise KnowledgeError("没有待生效的草稿。", code="no_drafts")
    if digest_drafts(drafts) != drafts_sha256:
        raise WrongVersionState("草稿在这期间有变化，请重新试用后再生效。")
    release = DictionaryRelease.objects.create(  # type: ignore[misc]
        by=by,
        origin=Origin.BUILTIN if all(draft.builtin_key for draft in drafts) else Origin.EDITED,
        note=note[:500],
        comparison=dict(comparison or {}),
        is_override=is_override,
    )
    states = [
        (draft.entry or DictionaryEntry(builtin_key=draft.builtin_key), _state_of(draft), draft.by) for draft in drafts
    ]
    forget_drafts([draft.pk for draft in drafts])  # one that came meanwhile stays a draft
    _apply(release, states)
    return _finish(release)


@transaction.atomic
def restore_release(*, release: DictionaryRelease, by: AbstractBaseUser | None, note: str = "") -> DictionaryRelease:
    """Everything as it was when `release` had gone live, as a release of its own. Drafts stay.

    Raises KnowledgeError where nothing has changed since.
    """
    _lock()
    wanted: dict[int, Mapping[str, Any] | None] = {}
    later = DictionaryChange.objects.filter(release__gt=release.pk).order_by("-release", "-pk")
    for change in later:
        wanted[change.entry_id] = change.before
    entries = DictionaryEntry.objects.in_bulk(wanted)
    states = [(entries[pk], before or {"is_live": False}, by) for pk, before in wanted.items()]
    states = _give_way(states)
    changed = [(entry, state, who) for entry, state, who in states if {**_snapshot(entry), **state} != _snapshot(entry)]
    if not changed:
        raise KnowledgeError(f"现在的词典与第 {release.pk} 版相同。", code="nothing_to_restore")
    made = DictionaryRelease.objects.create(  # type: ignore[misc]
        by=by, origin=Origin.RESTORED, note=note[:500] or f"恢复到第 {release.pk} 版"
    )
    _apply(made, changed)
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
    _lock()
    changes = list(_compare_builtin({entry.key: entry for entry in read_builtin_entries()}))
    if DictionaryRelease.objects.exists():
        return BuiltinSync(drafted=_draft_builtin(changes, by=by))
    release = DictionaryRelease.objects.create(by=by, origin=Origin.BUILTIN, note="随产品的词典")  # type: ignore[misc]
    new = [(DictionaryEntry(builtin_key=row.builtin_key), _live_state(row.values), None) for row in changes]
    _apply(release, new, with_history=False)
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


def _lock() -> None:
    """One release after the other, so that numbers rise in the order in which they are committed: the first release's
    row is the lock.
    """
    list(DictionaryRelease.objects.select_for_update().order_by("pk").values_list("pk")[:1])


def _state_of(draft: DictionaryDraft) -> dict[str, Any]:
    """An upgrade's draft leaves the row the product's."""
    is_live = draft.action != Action.RETIRE
    return {**draft.values, "is_live": is_live, "is_builtin": draft.builtin_key is not None}


def _live_state(values: EntryValues) -> dict[str, Any]:
    return {**values._asdict(), "is_live": True, "is_builtin": True}


def _give_way(states: Sequence[EntryState]) -> list[EntryState]:
    """An entry that came after the release and bears a word that another had then is retired under another name."""
    taken = {
        EntryValues(**{name: state[name] for name in EntryValues._fields}).key
        for _, state, _ in states
        if "text" in state
    }
    return [
        (entry, {**state, "text": f"{entry.text[:80]}（停用{entry.pk}）"}, by)
        if "text" not in state and EntryValues(**entry.values).key in taken
        else (entry, state, by)
        for entry, state, by in states
    ]


def _snapshot(entry: DictionaryEntry) -> Snapshot:
    return {name: getattr(entry, name) for name in STORED}


def _apply(
    release: DictionaryRelease,
    states: Iterable[EntryState],
    *,
    with_history: bool = True,
) -> None:
    """Give each entry its new values and note what changed. Raises KnowledgeError where two entries collide."""
    changes: list[tuple[DictionaryEntry, Snapshot | None, AbstractBaseUser | None]] = []
    for entry, state, by in states:
        changes.append((entry, _snapshot(entry) if entry.pk else None, by))
        for name, value in state.items():
            setattr(entry, name, value)
        entry.updated_by, entry.updated_at = by, release.at  # type: ignore[assignment]
    renamed = [entry.pk for entry, before, _ in changes if before and before["text"] != entry.text]
    try:
        with transaction.atomic():
            _park_texts(renamed)
            _write_entries([entry for entry, _, _ in changes])
    except IntegrityError as error:
        raise KnowledgeError("两条草稿是同一个词，请改掉一条再生效。", code="entry_known", status=409) from error
    if with_history:
        rows = ((release.pk, each.pk, before, _snapshot(each), by.pk if by else None) for each, before, by in changes)
        write_rows(DictionaryChange, ("release", "entry", "before", "after", "by"), rows)


def _write_entries(entries: Sequence[DictionaryEntry]) -> None:
    """New ones have their ids afterwards. Raises IntegrityError."""
    row_of = attrgetter(*(field.attname for field in map(DictionaryEntry._meta.get_field, ENTRY_FIELDS)))  # type: ignore[union-attr]
    known = [entry for entry in entries if entry.pk]
    write_rows(DictionaryEntry, ("id", *ENTRY_FIELDS), ((entry.pk, *row_of(entry)) for entry in known), overwrites=True)
    new = [entry for entry in entries if not entry.pk]
    last = DictionaryEntry.objects.aggregate(last=Max("pk"))["last"] or 0
    write_rows(DictionaryEntry, ENTRY_FIELDS, map(row_of, new))
    made = DictionaryEntry.objects.filter(pk__gt=last).values_list("pk", *EntryValues._fields)
    ids = {EntryValues(*values).key: pk for pk, *values in made}
    for entry in new:
        entry.pk = ids[EntryValues(**entry.values).key]


def _park_texts(entry_ids: Sequence[int]) -> None:
    """Words may change hands, and both databases look at each row in turn: nobody bears a word meanwhile."""
    for start in range(0, len(entry_ids), BATCH):
        rows = DictionaryEntry.objects.filter(pk__in=entry_ids[start : start + BATCH])
        rows.update(text=Concat(Value("…"), Cast("pk", CharField())))


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
