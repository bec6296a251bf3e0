"""Golden questions: added by hand, from an adopted ticket, from a verdict or from a table; changed and removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from hotline.errors import DeskError
from hotline.masking import mask_note
from hotline.models import GoldenQuestion, Lookup, Result, SecondaryReview, Ticket, User
from hotline.models.golden import digest_of
from hotline.question_files import read_questions
from hotline.services.audit import record_event
from hotline.services.tickets import clean_question
from kb.models import PolicyDocument
from kb.opened_forms import refuse_changed
from kb.selectors import find_documents_by_name

NOTE_LIMIT = 200
TROUBLES_SAID = 5


class DuplicateQuestion(DeskError):
    code = "duplicate_question"
    status = 409

    def __init__(self) -> None:
        super().__init__("标准问题里已有这个问题。")


@dataclass(frozen=True, slots=True)
class ImportedRow:
    question: str
    document_ids: tuple[int, ...]
    category: str = ""
    note: str = ""


@transaction.atomic
def add_golden_question(
    *,
    question: str,
    document_ids: Collection[int],
    by: User | None,
    category: str = "",
    note: str = "",
    lookup: Lookup | None = None,
) -> GoldenQuestion:
    """Personal data are masked. Raises EmptyQuestion, QuestionTooLong, DuplicateQuestion, DeskError."""
    question = clean_question(question)
    documents = _load_documents(document_ids)
    try:
        with transaction.atomic():
            row = GoldenQuestion.objects.create(
                question=question,
                digest=digest_of(question),
                category=category,
                note=mask_note(note, NOTE_LIMIT),
                lookup=lookup,
                added_by=by,
            )
    except IntegrityError as error:
        raise DuplicateQuestion from error
    row.documents.set(documents)
    record_event(action="golden_question_added", subject=row, by=by, documents=sorted(document_ids))
    return row


@transaction.atomic
def change_golden_question(
    *,
    row: GoldenQuestion,
    question: str,
    document_ids: Collection[int],
    category: str,
    note: str,
    by: User,
    opened: str = "",
) -> GoldenQuestion:
    """Raises as add_golden_question, and ChangedMeanwhile where the form was `opened` over other values."""
    row = GoldenQuestion.objects.select_for_update().get(pk=row.pk)
    refuse_changed(opened, describe_question(row))
    row.question = clean_question(question)
    row.digest = digest_of(row.question)
    row.category, row.note = category, mask_note(note, NOTE_LIMIT)
    documents = _load_documents(document_ids)
    if GoldenQuestion.objects.filter(digest=row.digest).exclude(pk=row.pk).exists():
        raise DuplicateQuestion
    before = sorted(row.documents.values_list("pk", flat=True))
    row.save()
    row.documents.set(documents)
    record_event(
        action="golden_question_changed", subject=row, by=by, before=before, documents=sorted(set(document_ids))
    )
    return row


def describe_question(row: GoldenQuestion) -> dict[str, object]:
    """What a form changes, as it is."""
    documents = sorted(row.documents.values_list("pk", flat=True))
    return {"question": row.question, "documents": documents, "category": row.category, "note": row.note}


@transaction.atomic
def remove_golden_question(*, row: GoldenQuestion, by: User) -> None:
    record_event(action="golden_question_removed", subject=row, by=by, question=row.question)
    row.delete()


def add_from_ticket(*, ticket: Ticket, by: User) -> GoldenQuestion:
    """The question that the adopted answer was found with. Raises DeskError where nothing is adopted."""
    adopted = Result.objects.filter(lookup__ticket=ticket, is_adopted=True)
    result = adopted.select_related("lookup", "version").order_by("-lookup_id").first()
    if result is None:
        raise DeskError("这张工单还没有采纳答复，不能加入标准问题。", code="nothing_adopted")
    return add_golden_question(
        question=result.lookup.question,
        document_ids=[result.version.document_id],
        by=by,
        category=ticket.category,
        note=f"工单 {ticket.number}",
        lookup=result.lookup,
    )


def add_from_review(*, review: SecondaryReview, by: User) -> GoldenQuestion:
    """The reviewed question with the results that were picked. Raises DeskError without any."""
    picked = list(review.picked.values_list("version__document_id", flat=True))
    if not picked:
        raise DeskError("这条复核没有选定正确的结果，不能加入标准问题。", code="nothing_picked")
    ticket = review.lookup.ticket
    return add_golden_question(
        question=review.lookup.question,
        document_ids=set(picked),
        by=by,
        category=ticket.category if ticket else "",
        note="复核结论",
        lookup=review.lookup,
    )


def import_golden_file(*, name: str, data: bytes, by: User | None) -> tuple[int, int]:
    """A TXT, CSV or XLSX file of questions with their policies; how many were added and changed. All or nothing.

    Raises QuestionFileError, and DeskError naming the rows whose policies are missing or unknown.
    """
    asked = read_questions(name, data, fewest=1)
    found = find_documents_by_name(answer for row in asked for answer in row.answers)
    troubles = [
        f"第 {number} 个问题{'没有写政策' if not row.answers else '的政策不在知识库'}"
        for number, row in enumerate(asked, start=1)
        if not row.answers or not found.keys() >= set(row.answers)
    ]
    if troubles:
        more = f"等 {len(troubles)} 处" if len(troubles) > TROUBLES_SAID else ""
        raise DeskError(f"没有导入：{'；'.join(troubles[:TROUBLES_SAID])}{more}。", code="unknown_document")
    rows = [
        ImportedRow(row.question, tuple(frozenset().union(*(found[a] for a in row.answers))), row.category, row.note)
        for row in asked
    ]
    return import_golden_questions(rows=rows, by=by)


@transaction.atomic
def import_golden_questions(*, rows: Sequence[ImportedRow], by: User | None) -> tuple[int, int]:
    """How many were added and how many changed; a question that is known takes the file's policies. All or nothing.

    Line of business and note are taken where the file names them. Raises as add_golden_question.
    """
    added = changed = 0
    for item in rows:
        known = GoldenQuestion.objects.filter(digest=digest_of(clean_question(item.question))).first()
        if known is None:
            add_golden_question(
                question=item.question, document_ids=item.document_ids, by=by, category=item.category, note=item.note
            )
            added += 1
        else:
            changed += _bring_up_to_date(known, item, by)
    return added, changed


def _bring_up_to_date(known: GoldenQuestion, item: ImportedRow, by: User | None) -> bool:
    """Whether anything changed."""
    wanted = (item.category or known.category, mask_note(item.note, NOTE_LIMIT) or known.note)
    is_same = set(known.documents.values_list("pk", flat=True)) == set(item.document_ids)
    if is_same and wanted == (known.category, known.note):
        return False
    known.category, known.note = wanted
    known.save()
    known.documents.set(_load_documents(item.document_ids))
    record_event(action="golden_question_changed", subject=known, by=by, documents=sorted(item.document_ids))
    return True


def _load_documents(document_ids: Collection[int]) -> list[PolicyDocument]:
    documents = list(PolicyDocument.objects.filter(pk__in=document_ids))
    if not documents:
        raise DeskError("请至少选一项正确的政策。", code="documents_required")
    if len(documents) != len(set(document_ids)):
        raise DeskError("所选政策不在知识库中。", code="unknown_document")
    return documents
