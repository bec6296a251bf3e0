"""A policy's versions: drafts, publication, correction, repeal. Each write marks the document for the index."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from itertools import zip_longest
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from kb import tasks
from kb.errors import KnowledgeError, WrongVersionState
from kb.models import Department, DocumentVersion, MetadataChange, Passage, PolicyDocument, Upload
from kb.opened_forms import refuse_changed
from kb.parsing import ParsedDocument
from kb.parsing.document_numbers import normalise_document_number
from kb.passages import PASSAGE_SCHEME, split_passages

State = DocumentVersion.State

CORRECTABLE = (
    "title",
    "document_number",
    "issuer",
    "level",
    "region",
    "category",
    "issued_on",
    "effective_on",
    "expires_on",
    "repealed_on",
    "repealed_by",
)
METADATA_FIELDS = tuple(name for name in CORRECTABLE if name not in {"title", "repealed_by"})


@transaction.atomic
def store_draft(*, upload: Upload | None, document: ParsedDocument) -> DocumentVersion:
    """A parsed document as a draft with its passages; the version that has this very text already, if there is one.

    It becomes a version of the policy with the same external id, or the same title and 发文字号; else of a new one.
    """
    text_sha256 = hashlib.sha256(document.text.encode()).hexdigest()
    policy = _find_policy(document, upload) or _make_policy(document)
    # Two drafts of one policy at once take their numbers one after the other.
    policy = PolicyDocument.objects.select_for_update().get(pk=policy.pk)
    known = policy.versions.filter(text_sha256=text_sha256).first()
    if known:
        return known
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    metadata = {name: getattr(document.metadata, name) for name in METADATA_FIELDS}
    version = DocumentVersion.objects.create(
        document=policy,
        upload=upload,
        number=last + 1,
        title=document.title[:500],
        text=document.text,
        text_sha256=text_sha256,
        page_starts=list(document.page_starts),
        warnings=list(document.warnings),
        repeals=list(document.metadata.repeals),
        passage_scheme=PASSAGE_SCHEME,
        **{name: value for name, value in metadata.items() if value is not None},
    )
    _store_passages(version)
    return version


@transaction.atomic
def publish_versions(*, versions: Iterable[DocumentVersion], by: AbstractBaseUser | None) -> int:
    """Publish drafts and withdrawn versions; those already published are left. Returns how many were published."""
    ids = [version.pk for version in versions]
    fresh = list(_lock(ids, besides=_list_cited_policies(ids)).exclude(state=State.PUBLISHED))
    for version in fresh:
        before, version.state = version.state, State.PUBLISHED
        version.published_at = timezone.now()
        version.published_by = by
        version.save(update_fields=["state", "published_at", "published_by"])
        record_change(version=version, changes={"state": [before, "published"]}, by=by)
    _settle(*sorted({version.document_id for version in fresh}))
    for version in [*fresh, *_list_repealing(fresh)]:
        _apply_repeals(version, by)
    return len(fresh)


@transaction.atomic
def withdraw_version(*, version: DocumentVersion, by: AbstractBaseUser | None) -> DocumentVersion:
    """Take a published version out of search; it stays readable where it was shown. Raises WrongVersionState."""
    version = _lock([version.pk]).get()
    if version.state != State.PUBLISHED:
        raise WrongVersionState("只有已发布的版本可以撤回。")
    version.state = State.WITHDRAWN
    version.save(update_fields=["state"])
    record_change(version=version, changes={"state": ["published", "withdrawn"]}, by=by)
    _settle(version.document_id)
    return version


def repeal_version(*, version: DocumentVersion, on: date, reason: str, by: AbstractBaseUser | None) -> DocumentVersion:
    """No longer in force from `on`. Raises KnowledgeError without a reason."""
    if not reason.strip():
        raise KnowledgeError("请写明废止依据。", code="reason_required")
    return correct_metadata(version=version, changes={"repealed_on": on, "repealed_by": reason.strip()}, by=by)


@transaction.atomic
def correct_metadata(
    *, version: DocumentVersion, changes: Mapping[str, Any], by: AbstractBaseUser | None, opened: str = ""
) -> DocumentVersion:
    """Correct what was read from the file, with history. `departments` takes Department rows.

    Raises KnowledgeError for an empty title, an unknown field, or an end before the beginning; ChangedMeanwhile where
    the form was `opened` over other values.
    """
    version = _lock([version.pk]).get()
    refuse_changed(opened, describe_metadata(version))
    differences = {}
    for name, value in changes.items():
        if name == "departments":
            differences.update(_set_departments(version, value))
            continue
        if name not in CORRECTABLE:
            raise KnowledgeError(f"“{name}”不可更改。", code="not_correctable")
        before = getattr(version, name)
        if before != value:
            setattr(version, name, value)
            differences[name] = [_plain(before), _plain(value)]
    _validate(version, differences)
    if differences:
        version.save()
        record_change(version=version, changes=differences, by=by)
        _settle(version.document_id)
    return version


def describe_metadata(version: DocumentVersion) -> dict[str, Any]:
    """What can be corrected, as it is."""
    departments = sorted(department.pk for department in version.departments.all())
    return {**{name: getattr(version, name) for name in CORRECTABLE}, "departments": departments}


@transaction.atomic
def set_as_new_version_of(
    *, version: DocumentVersion, document: PolicyDocument, by: AbstractBaseUser | None
) -> DocumentVersion:
    """Move a version into another policy's chain as its newest; the older ones are superseded from its first day.

    Raises KnowledgeError where that policy already has this text.
    """
    version = _lock([version.pk], besides=[document.pk]).get()
    if version.document_id == document.pk:
        return version
    if document.versions.filter(text_sha256=version.text_sha256).exists():
        raise KnowledgeError("该政策已有正文完全相同的版本。", code="same_text", status=409)
    before = version.document_id
    version.document = document
    version.number = (document.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    version.save(update_fields=["document", "number"])
    record_change(version=version, changes={"document": [before, document.pk]}, by=by)
    _settle(before, document.pk)
    return version


def record_change(*, version: DocumentVersion, changes: dict[str, Any], by: AbstractBaseUser | None) -> None:
    MetadataChange.objects.create(version=version, changes=changes, by=by)  # type: ignore[misc]


def _find_policy(document: ParsedDocument, upload: Upload | None) -> PolicyDocument | None:
    """Rows of one file are policies of their own, unless they name the same external id."""
    if document.external_id:
        return PolicyDocument.objects.filter(external_id=document.external_id).first()
    number = document.metadata.document_number
    if not number:
        return None
    same = PolicyDocument.objects.filter(versions__title=document.title, versions__document_number=number)
    return same.exclude(versions__upload=upload).first() if upload else same.first()


def _make_policy(document: ParsedDocument) -> PolicyDocument:
    """A new one, or the one that somebody made with the same external id at the same time."""
    if document.external_id:
        return PolicyDocument.objects.get_or_create(external_id=document.external_id)[0]
    return PolicyDocument.objects.create()


def _store_passages(version: DocumentVersion) -> None:
    spans = split_passages(version.text, page_starts=version.page_starts)
    Passage.objects.bulk_create(
        [
            Passage(
                version=version,
                ordinal=span.ordinal,
                start=span.start,
                end=span.end,
                header=span.header,
                text=span.body(version.text),
                heading_path=list(span.heading_path),
                page=span.page,
            )
            for span in spans
        ],
        batch_size=1000,
    )


def _settle(*policy_ids: int) -> None:
    """Which version supersedes which, and a new revision for the index to follow."""
    for policy_id in policy_ids:
        _settle_one(policy_id)
    if len(policy_ids) == 1:
        tasks.enqueue(tasks.sync_document, policy_ids[0])
    elif policy_ids:
        tasks.enqueue(tasks.sync_stale_documents)


def _settle_one(policy_id: int) -> None:
    _lock_policies([policy_id])  # who publishes another version of it at the same time is waited for and seen
    versions = list(DocumentVersion.objects.filter(document_id=policy_id, state=State.PUBLISHED))
    versions.sort(key=lambda version: (_first_day(version), version.number))
    for version, later in zip_longest(versions, versions[1:]):
        superseded_on = _first_day(later) if later else None
        if version.superseded_on != superseded_on:
            version.superseded_on = superseded_on
            version.save(update_fields=["superseded_on"])
    PolicyDocument.objects.filter(pk=policy_id).update(revision=F("revision") + 1)


def _list_repealing(versions: list[DocumentVersion]) -> list[DocumentVersion]:
    """Published versions that say they repeal one of these: the newer policy may have come first."""
    names = {name for version in versions for name in (version.document_number, version.title) if name}
    others = DocumentVersion.objects.filter(state=State.PUBLISHED).exclude(repeals=[])
    ids = [pk for pk, repeals in others.values_list("pk", "repeals") if names & {_cited_name(each) for each in repeals}]
    return list(others.filter(pk__in=ids))


def _cited_name(cited: str) -> str:
    """What tells the cited policy apart: its 发文字号 where one is cited, else its title."""
    title, _, number = cited.removeprefix("《").partition("》")
    return normalise_document_number(number.strip("（） ()")) or title


def _list_cited_policies(ids: list[int]) -> list[int]:
    """What these versions say they repeal, published or not: whichever is published second must see the first."""
    repeals = DocumentVersion.objects.filter(pk__in=ids).exclude(repeals=[]).values_list("repeals", flat=True)
    names = {_cited_name(cited) for each in repeals for cited in each}
    named = DocumentVersion.objects.filter(Q(title__in=names) | Q(document_number__in=names))
    return list(named.values_list("document_id", flat=True)) if names else []


def _apply_repeals(version: DocumentVersion, by: AbstractBaseUser | None) -> None:
    """What the text says it repeals is repealed from its first day, where 发文字号 or full title leave no doubt."""
    for cited in version.repeals:
        name = _cited_name(cited)
        by_title = f"《{name}》" in cited
        named = Q(title=name) if by_title else Q(document_number=name)
        others = DocumentVersion.objects.filter(named, state=State.PUBLISHED, repealed_on=None)
        others = others.exclude(document_id=version.document_id)
        if by_title and others.order_by().values("document_id").distinct().count() > 1:
            continue  # 实施细则 of the same title in several districts: a person must say which
        for other in others:
            repeal_version(version=other, on=_first_day(version), reason=f"{version.citation}：同时废止", by=by)


def _first_day(version: DocumentVersion) -> date:
    published = timezone.localdate(version.published_at) if version.published_at else timezone.localdate()
    return version.effective_on or version.issued_on or published


def _validate(version: DocumentVersion, changed: Collection[str]) -> None:
    """Dates as they were read from the file stand in the way of no other correction."""
    if not version.title.strip():
        raise KnowledgeError("标题不能为空。", code="title_required")
    has_both = version.effective_on and version.expires_on and not {"effective_on", "expires_on"}.isdisjoint(changed)
    if has_both and version.expires_on < version.effective_on:  # type: ignore[operator]
        raise KnowledgeError("失效日期早于施行日期。", code="dates_reversed")


def _set_departments(version: DocumentVersion, departments: Iterable[Department]) -> dict[str, list[Any]]:
    before = sorted(version.departments.values_list("code", flat=True))
    after = sorted(department.code for department in departments)
    if before == after:
        return {}
    version.departments.set(departments)
    return {"departments": [before, after]}


def _lock(ids: list[int], *, besides: Collection[int] = ()) -> Any:
    """Versions, and before them their policies and those `besides`, in one order for everyone: no deadlock."""
    own = DocumentVersion.objects.filter(pk__in=ids).values_list("document_id", flat=True)
    _lock_policies({*own, *besides})
    return DocumentVersion.objects.select_for_update().filter(pk__in=ids).order_by("pk")


def _lock_policies(ids: Collection[int]) -> None:
    # no_key: a draft that refers to the policy need not wait
    list(PolicyDocument.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk"))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
