"""What the laboratory keeps besides its runs: instruction templates and knowledge gaps."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from hotline.errors import DeskError, WrongState
from hotline.masking import mask_personal_data
from hotline.models import InstructionTemplate, KnowledgeGap, User
from hotline.services.audit import record_event
from hotline.services.tickets import clean_question


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
