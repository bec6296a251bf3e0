"""Reads for the knowledge administrators' pages, each in a fixed number of queries."""

from __future__ import annotations

from datetime import date

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce

from kb.models import DocumentVersion, IndexVersion, Passage, PolicyDocument, Upload
from kb.selectors import searchable_versions

State = DocumentVersion.State
HEAVY = ("text", "page_starts", "warnings")


def list_versions(*, query: str = "", status: str = "", day: date) -> QuerySet[DocumentVersion]:
    """Newest first, without texts. `status` is one of DocumentFilterForm.STATUSES."""
    versions = _with_status(status, day).defer(*HEAVY).select_related("document")
    if query := query.strip():
        versions = versions.filter(_matches(query))
    return versions.order_by("-id")


def list_uploads() -> QuerySet[Upload]:
    """Newest first, with how many versions and drafts each gave."""
    return _count_versions(Upload.objects.select_related("uploaded_by")).order_by("-id")


def load_upload(pk: int) -> Upload | None:
    return list_uploads().filter(pk=pk).first()


def list_upload_versions(upload: Upload) -> QuerySet[DocumentVersion]:
    """In the order of the file, with the number of passages."""
    versions = DocumentVersion.objects.filter(upload=upload).defer(*HEAVY)
    return versions.annotate(passage_count=Count("passages")).order_by("id")


def load_version(pk: int) -> DocumentVersion | None:
    versions = DocumentVersion.objects.select_related("document", "upload", "published_by")
    return versions.defer("text", "page_starts").filter(pk=pk).first()


def list_passages(version: DocumentVersion) -> QuerySet[Passage]:
    return Passage.objects.filter(version=version).order_by("ordinal")


def find_documents(query: str, *, besides: DocumentVersion, limit: int = 8) -> list[DocumentVersion]:
    """The newest version of each policy that matches: what a text may be a newer version of."""
    if not query.strip():
        return []
    found = DocumentVersion.objects.exclude(document=besides.document_id).filter(_matches(query.strip()))
    newest: dict[int, DocumentVersion] = {}
    for version in found.defer(*HEAVY).order_by("-number", "-id")[: 5 * limit]:
        newest.setdefault(version.document_id, version)
    return list(newest.values())[:limit]


def load_document(pk: int) -> PolicyDocument | None:
    return PolicyDocument.objects.filter(pk=pk).first()


def list_document_versions(document: PolicyDocument) -> list[DocumentVersion]:
    """Newest first."""
    return list(document.versions.defer(*HEAVY).select_related("published_by").order_by("-number"))


def list_index_versions() -> list[IndexVersion]:
    """The last twenty, newest first."""
    return list(IndexVersion.objects.order_by("-id")[:20])


def _with_status(status: str, day: date) -> QuerySet[DocumentVersion]:
    """The rule of kb.status as queries; a test holds them equal."""
    published = DocumentVersion.objects.filter(state=State.PUBLISHED)
    ended = Q(repealed_on__lte=day) | Q(superseded_on__lte=day) | Q(expires_on__lt=day)
    if status in (State.DRAFT, State.WITHDRAWN):
        return DocumentVersion.objects.filter(state=status)
    if status == "in_force":
        return searchable_versions(as_of=day)
    if status == "ended":
        return published.filter(ended)
    if status == "not_yet_in_force":
        return (
            published.annotate(starts_on=Coalesce("effective_on", "issued_on")).filter(starts_on__gt=day).exclude(ended)
        )
    return DocumentVersion.objects.all()


def _matches(query: str) -> Q:
    return Q(title__icontains=query) | Q(document_number__icontains=query) | Q(issuer__icontains=query)


def _count_versions(uploads: QuerySet[Upload]) -> QuerySet[Upload]:
    return uploads.annotate(
        version_count=Count("versions"), draft_count=Count("versions", filter=Q(versions__state=State.DRAFT))
    )
