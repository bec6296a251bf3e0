"""Reads for the dictionary pages."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Prefetch, Q, QuerySet

from kb.dictionary_kinds import EntryValues
from kb.models import DictionaryChange, DictionaryDraft, DictionaryEntry, DictionaryRelease, IndexVersion

SHOWN_CHANGES = 30  # of one release


def list_entries(*, query: str = "", kind: str = "", state: str = "") -> QuerySet[DictionaryEntry]:
    """Newest change first. `state` is one of EntryFilterForm.STATES."""
    entries = DictionaryEntry.objects.select_related("draft", "updated_by").filter(is_live=state != "retired")
    if kind:
        entries = entries.filter(kind=kind)
    if state == "edited":
        entries = entries.filter(is_builtin=False)
    if query := query.strip():
        entries = entries.filter(Q(text__icontains=query) | Q(other__icontains=query))
    return entries.order_by("-updated_at", "-pk")


def list_values(entries: QuerySet[DictionaryEntry]) -> Iterator[EntryValues]:
    """In the order of the dictionaries, for export."""
    rows = entries.order_by("kind", "pk").values_list(*EntryValues._fields)
    return (EntryValues(*row) for row in rows.iterator(chunk_size=5000))


def count_entries() -> dict[str, int]:
    """Live ones, by kind."""
    return dict(DictionaryEntry.objects.filter(is_live=True).order_by().values_list("kind").annotate(count=Count("pk")))


def list_entry_changes(entry: DictionaryEntry) -> list[DictionaryChange]:
    """Newest first."""
    return list(entry.changes.select_related("release__by", "by").order_by("-pk")[:100])


def list_drafts() -> QuerySet[DictionaryDraft]:
    return DictionaryDraft.objects.select_related("entry", "by").order_by("-at", "-pk")


def list_releases() -> QuerySet[DictionaryRelease]:
    """Newest first, with the number of changes, and the first of these as `shown`."""
    changes = DictionaryChange.objects.select_related("entry", "by").order_by("pk")[:SHOWN_CHANGES]
    return (
        DictionaryRelease.objects.select_related("by")
        .annotate(change_count=Count("changes"))
        .prefetch_related(Prefetch("changes", queryset=changes, to_attr="shown"))
        .order_by("-pk")
    )


def find_rebuild() -> IndexVersion | None:
    """The index that is being built, or waits for it."""
    return IndexVersion.objects.filter(state=IndexVersion.State.BUILDING).order_by("-pk").first()
