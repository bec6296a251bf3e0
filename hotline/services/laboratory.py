"""What the laboratory keeps besides its runs: comparisons, instruction templates and knowledge gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from hotline.errors import DeskError, LiveChanged, WrongState
from hotline.golden_changes import find_newest, store_template
from hotline.instructions import list_live_keys
from hotline.live_settings import get_live_settings
from hotline.masking import mask_personal_data
from hotline.models import GoldenRun, InstructionTemplate, KnowledgeGap, LabComparison, User
from hotline.rerankers import is_neural
from hotline.retrieval_settings import RetrievalSettings
from hotline.services.audit import record_event
from hotline.services.golden_runs import propose_change
from hotline.services.tickets import clean_question
from reranking.prompts import INSTRUCTION_TEMPLATES

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


def find_newest_template() -> int:
    """The number of the template version that was saved last, which a form carries along; 0 without any."""
    return find_newest(InstructionTemplate.objects) or 0


def save_template(*, key: str, label: str, text: str, by: User, opened: int | None = None) -> GoldenRun | None:
    """A new version of the template `key`; earlier ones are kept.

    Where lookups are reranked with it the golden questions decide, as the run that comes back says; None: it is saved.
    Raises DeskError for an empty text. `opened`: what `find_newest_template` said when the form was opened; raises
    LiveChanged where a version of this template has come since.
    """
    _refuse_changed(key, opened)
    if not text.strip():
        raise DeskError("指令是空的。", code="empty_instruction")
    return _propose(key=key, label=label.strip(), text=mask_personal_data(text.strip()), by=by)


def restore_template(*, template: InstructionTemplate, by: User, opened: int | None = None) -> GoldenRun | None:
    """An earlier version again. As `save_template`; raises DeskError for the live one."""
    _refuse_changed(template.key, opened)
    newest = InstructionTemplate.objects.filter(key=template.key).order_by("-id").first()
    if newest and (newest.label, newest.text) == (template.label, template.text):
        raise DeskError("这一版正在使用。", code="nothing_changed")
    return _propose(key=template.key, label=template.label, text=template.text, by=by)


def withdraw_template(*, template: InstructionTemplate, by: User, opened: int | None = None) -> GoldenRun | None:
    """The built-in one of the same key again, or none. As `save_template`; raises DeskError where settings name it."""
    _refuse_changed(template.key, opened)
    if template.key == get_live_settings().instruction and template.key not in INSTRUCTION_TEMPLATES:
        raise DeskError("线上设置正用这个模板，请先改设置。", code="template_in_use")
    return _propose(key=template.key, label=template.label, text="", by=by)


def _refuse_changed(key: str, opened: int | None) -> None:
    if opened is None:
        return
    newer = InstructionTemplate.objects.filter(key=key, pk__gt=opened).select_related("by").order_by("-id").first()
    if newer:
        when = f"{timezone.localtime(newer.at):%m-%d %H:%M}"
        now = f"现在是“{newer.text}”" if newer.text else "已停用"
        raise LiveChanged(f"指令模板 {key} 已由 {newer.by or '系统'} 在 {when} 改过，{now}")


def is_instruction_read() -> bool:
    """Whether what orders lookups may heed instructions; the lexical reranker does not."""
    return is_neural() and get_live_settings().reranker == "configured"


def _propose(*, key: str, label: str, text: str, by: User) -> GoldenRun | None:
    if key in list_live_keys(get_live_settings()) and is_instruction_read():
        proposal = {"instruction": {"key": key, "label": label, "text": text}}
        return propose_change(kind=GoldenRun.Kind.INSTRUCTION, proposal=proposal, note="", by=by)
    with transaction.atomic():
        store_template(key=key, label=label, text=text, by=by)
    return None


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
