"""Reads of the knowledge base. `searchable_passages` is the rule of what may be found."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from kb.models import DocumentVersion, IndexVersion, Passage, PolicyDocument
from kb.parsing.document_numbers import normalise_document_number

NAMES_A_QUERY = 200


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


def load_whole_versions(ids: Iterable[int], *, longest: int) -> dict[int, list[Passage]]:
    """All passages, in order, of those versions that have at most `longest`."""
    found: dict[int, list[Passage]] = {}
    for passage in Passage.objects.filter(version__in=list(ids), ordinal__lte=longest).order_by("version", "ordinal"):
        found.setdefault(passage.version_id, []).append(passage)
    return {version: passages for version, passages in found.items() if len(passages) <= longest}


def find_documents_by_name(names: Iterable[str]) -> dict[str, frozenset[int]]:
    """Each name's policies: by their external id, else their id, else the title or 发文字号 of a version.

    Drafts count for nothing. A name that nothing bears is missing.
    """
    wanted = list(dict.fromkeys(names))
    found: dict[str, set[int]] = {}
    for start in range(0, len(wanted), NAMES_A_QUERY):
        for find in (_find_by_external_id, _find_by_id, _find_by_text):
            part = [name for name in wanted[start : start + NAMES_A_QUERY] if name not in found]
            for name, document_id in find(part):
                found.setdefault(name, set()).add(document_id)
    return {name: frozenset(ids) for name, ids in found.items()}


def _find_by_external_id(names: list[str]) -> Iterable[tuple[str, int]]:
    rows = PolicyDocument.objects.filter(external_id__in=names).values_list("external_id", "pk")
    return [(external_id, pk) for external_id, pk in rows if external_id]


def _find_by_id(names: list[str]) -> Iterable[tuple[str, int]]:
    ids = {int(name): name for name in names if name.isascii() and name.isdigit() and len(name) < 19}
    return [(ids[pk], pk) for pk in PolicyDocument.objects.filter(pk__in=ids).values_list("pk", flat=True)]


def _find_by_text(names: list[str]) -> Iterable[tuple[str, int]]:
    numbers = {normalise_document_number(name): name for name in names}
    versions = DocumentVersion.objects.exclude(state=DocumentVersion.State.DRAFT)
    yield from versions.filter(title__in=names).values_list("title", "document_id")
    for number, document_id in versions.filter(document_number__in=numbers).values_list(
        "document_number", "document_id"
    ):
        yield numbers[number], document_id


def live_index_version() -> IndexVersion | None:
    return IndexVersion.objects.filter(state=IndexVersion.State.LIVE).first()
