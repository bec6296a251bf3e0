"""Reads of the knowledge base. `searchable_passages` is the rule of what may be found."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from kb.models import DocumentVersion, IndexVersion, Passage, PolicyDocument


def searchable_versions(*, as_of: date | None = None) -> QuerySet[DocumentVersion]:
    """Published versions; with `as_of`, those in force on that day. The same rule as kb.status, as a query."""
    versions = DocumentVersion.objects.filter(state=DocumentVersion.State.PUBLISHED)
    if as_of is None:
        return versions
    return versions.annotate(starts_on=Coalesce("effective_on", "issued_on")).filter(
        Q(starts_on__isnull=True) | Q(starts_on__lte=as_of),
        Q(expires_on__isnull=True) | Q(expires_on__gte=as_of),
        Q(repealed_on__isnull=True) | Q(repealed_on__gt=as_of),
        Q(superseded_on__isnull=True) | Q(superseded_on__gt=as_of),
    )


def searchable_passages(*, as_of: date | None = None) -> QuerySet[Passage]:
    """THE eligibility rule: what the index holds (`as_of` None), and what a search on a day may find."""
    return Passage.objects.filter(version__in=searchable_versions(as_of=as_of))


def permitted_versions(*, departments: tuple[str, ...] | None) -> QuerySet[DocumentVersion]:
    """Versions in any state for everyone or for one of the departments (codes); None: all."""
    if departments is None:
        return DocumentVersion.objects.all()
    restrictions = DocumentVersion.departments.through.objects.filter(documentversion=OuterRef("pk"))
    permitted = restrictions.filter(department__code__in=departments)
    return DocumentVersion.objects.filter(~Exists(restrictions) | Exists(permitted))


def readable_versions(*, departments: tuple[str, ...] | None) -> QuerySet[DocumentVersion]:
    """Published versions for everyone or for one of the departments (codes); None: all."""
    return permitted_versions(departments=departments).filter(state=DocumentVersion.State.PUBLISHED)


def stale_document_ids(limit: int = 1000) -> list[int]:
    """Documents whose latest revision the index has not seen."""
    stale = PolicyDocument.objects.exclude(indexed_revision=F("revision")).order_by("id")
    return list(stale.values_list("pk", flat=True)[:limit])


def load_versions(ids: Iterable[int]) -> dict[int, DocumentVersion]:
    """Without their texts, which may be long."""
    return DocumentVersion.objects.defer("text", "page_starts", "warnings").in_bulk(list(ids))


def load_passages(ids: Iterable[int]) -> dict[int, Passage]:
    return Passage.objects.in_bulk(list(ids))


def live_index_version() -> IndexVersion | None:
    return IndexVersion.objects.filter(state=IndexVersion.State.LIVE).first()
