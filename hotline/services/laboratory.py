"""What the laboratory keeps besides its runs: comparisons, instruction templates and knowledge gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from hotline.errors import DeskError, WrongState
from hotline.masking import mask_personal_data
from hotline.models import InstructionTemplate, KnowledgeGap, LabComparison, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services.audit import record_event
from hotline.services.tickets import clean_question

COMPARISONS_KEPT = timedelta(days=90)


def keep_comparison(
    *,
    question: str,
    first: RetrievalSettings,
    second: RetrievalSettings,
    by: User,
    category: str = "",
    as_of: date | None = None,
) -> LabComparison:
    """Masked, for COMPARISONS_KEPT. `as_of` None: today. Raises EmptyQuestion, QuestionTooLong."""
    question = clean_question(question)
    LabComparison.objects.filter(at__lt=timezone.now() - COMPARISONS_KEPT).delete()
    return LabComparison.objects.create(
        question=question,
        category=category,
        as_of=as_of or timezone.localdate(),
        first=_mask(first).to_json(),
        second=_mask(second).to_json(),
        by=by,
    )


def _mask(settings: RetrievalSettings) -> RetrievalSettings:
    return replace(settings, instruction=mask_personal_data(settings.instruction))


@transaction.atomic
def save_template(*, key: str, label: str, text: str, by: User) -> InstructionTemplate:
    """In the place of the one with the same key. Raises DeskError for an empty text."""
    if not text.strip():
        raise DeskError("指令是空的。", code="empty_instruction")
    template, is_new = InstructionTemplate.objects.update_or_create(
        key=key, defaults={"label": label.strip(), "text": text.strip()}
    )
    record_event(action="instruction_saved", subject=template, by=by, key=key, is_new=is_new)
    return template


@transaction.atomic
def note_gap(*, question: str, note: str, by: User) -> KnowledgeGap:
    """A question noted already and still open is not noted twice. Raises EmptyQuestion, QuestionTooLong."""
    question = clean_question(question)
    known = KnowledgeGap.objects.filter(question=question, closed_at__isnull=True).first()
    if known:
        return known
    gap = KnowledgeGap.objects.create(question=question, note=mask_personal_data(note.strip()), by=by)
    record_event(action="knowledge_gap_noted", subject=gap, by=by)
    return gap


@transaction.atomic
def close_gap(*, gap: KnowledgeGap, by: User) -> KnowledgeGap:
    """Someone has added the policy. Raises WrongState for one that is closed."""
    gap = KnowledgeGap.objects.select_for_update().get(pk=gap.pk)
    if gap.closed_at:
        raise WrongState("这个知识缺口已处理。")
    gap.closed_at, gap.closed_by = timezone.now(), by
    gap.save()
    record_event(action="knowledge_gap_closed", subject=gap, by=by)
    return gap
