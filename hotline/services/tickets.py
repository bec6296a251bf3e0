"""Tickets: open, note, adopt an answer, transfer, close. Texts are masked before they are stored."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from hotline.errors import DeskError, EmptyQuestion, QuestionTooLong, WrongState
from hotline.masking import mask_personal_data
from hotline.models import APIKey, Lookup, Result, Ticket, User
from hotline.presentation import locate_marks
from hotline.services.audit import record_event
from kb.models import Passage

QUESTION_LIMIT = 5000
CALLER_LIMIT, REGION_LIMIT, TRANSFER_LIMIT = 40, 100, 200  # characters that the columns hold
State = Ticket.State


def open_ticket(
    *,
    question: str,
    by: User | None,
    caller: str = "",
    category: str = "",
    region: str = "",
    external_id: str | None = None,
    notes: str = "",
    api_key: APIKey | None = None,
) -> tuple[Ticket, bool]:
    """The ticket, and whether it is new: the same `external_id` gives the ticket it already has.

    Raises EmptyQuestion, QuestionTooLong.
    """
    values = {
        "external_id": external_id or None,
        "question": clean_question(question),
        "caller": mask_personal_data(caller)[:CALLER_LIMIT],  # a masked e-mail address may be longer
        "category": category,
        "region": mask_personal_data(region)[:REGION_LIMIT],
        "notes": mask_personal_data(notes),
        "agent": by,
    }
    while True:
        if external_id and (known := Ticket.objects.filter(external_id=external_id).first()):
            return known, False
        number = _next_number()
        try:
            with transaction.atomic():
                ticket = Ticket.objects.create(number=number, **values)
                record_event(action="ticket_opened", subject=ticket, by=by, api_key=api_key)
            return ticket, True
        except IntegrityError:  # somebody opened one with the same external id or number at this moment
            if not Ticket.objects.filter(Q(number=number) | Q(external_id=external_id or "")).exists():
                raise


@transaction.atomic
def open_ticket_for_lookup(*, lookup: Lookup, by: User) -> Ticket:
    """The lookup becomes the first of a new ticket; one that has a ticket keeps it."""
    lookup = Lookup.objects.select_for_update().get(pk=lookup.pk)
    if lookup.ticket:
        return lookup.ticket
    ticket, _ = open_ticket(question=lookup.question, by=by)
    lookup.ticket = ticket
    lookup.save(update_fields=["ticket"])
    return ticket


def clean_question(text: str) -> str:
    """Trimmed and masked; the key that leads to the box (/, 、 of an input method) is no part of what was typed in it.

    Raises EmptyQuestion, QuestionTooLong.
    """
    text = text.strip().lstrip("/、").lstrip()
    if not text:
        raise EmptyQuestion
    if len(text) > QUESTION_LIMIT:
        raise QuestionTooLong(QUESTION_LIMIT)
    return mask_personal_data(text)


@transaction.atomic
def adopt_result(*, ticket: Ticket, result: Result, passage: Passage, by: User) -> Ticket:
    """The passage is the ticket's answer. Raises WrongState for a closed ticket, DeskError for a foreign passage."""
    ticket = _lock(ticket)
    if ticket.state == State.CLOSED:
        raise WrongState("工单已结束，不能再采纳。")
    shown = result.passages.filter(passage=passage).first()
    if result.lookup.ticket_id != ticket.pk or shown is None:
        raise DeskError("这段文字不是本工单检索到的结果。", code="foreign_passage")
    Result.objects.filter(lookup__ticket=ticket, is_adopted=True).update(is_adopted=False)
    Result.objects.filter(pk=result.pk).update(is_adopted=True)
    ticket.adopted_passage = passage
    ticket.answer = compose_answer(passage, spans=shown.highlights)
    ticket.state = State.ANSWERED
    ticket.save()
    record_event(action="answer_adopted", subject=ticket, by=by, result=result.pk, passage=passage.pk)
    return ticket


def compose_answer(passage: Passage, *, spans: list[list[int]]) -> str:
    """The whole passage, citing the article that its marked sentences (`spans`) stand in."""
    place = locate_marks(passage.text, passage.heading_path, spans)
    return f"{passage.searchable_text.strip()}\n——{passage.version.citation}" + (f"，{place}" if place else "")


def save_notes(*, ticket: Ticket, notes: str, by: User) -> Ticket:
    return _change(ticket, by, "notes_saved", notes=mask_personal_data(notes.strip()))


def transfer_ticket(*, ticket: Ticket, to: str, by: User) -> Ticket:
    """Hand it to another authority. Raises DeskError without one, WrongState for a closed ticket."""
    if not to.strip():
        raise DeskError("请填写转办单位。", code="transfer_target_required")
    to = mask_personal_data(to.strip())[:TRANSFER_LIMIT]
    return _change(ticket, by, "ticket_transferred", refuse=(State.CLOSED,), state=State.TRANSFERRED, transferred_to=to)


def close_ticket(*, ticket: Ticket, by: User) -> Ticket:
    """Raises WrongState for one that is closed already."""
    return _change(ticket, by, "ticket_closed", refuse=(State.CLOSED,), state=State.CLOSED)


def reopen_ticket(*, ticket: Ticket, by: User) -> Ticket:
    """Raises WrongState for one that is open."""
    return _change(ticket, by, "ticket_reopened", refuse=(State.OPEN,), state=State.OPEN)


@transaction.atomic
def _change(ticket: Ticket, by: User, action: str, *, refuse: tuple[Ticket.State, ...] = (), **fields: str) -> Ticket:
    ticket = _lock(ticket)
    if ticket.state in refuse:
        raise WrongState(f"工单现为“{ticket.get_state_display()}”，不能这样操作。")
    for name, value in fields.items():
        setattr(ticket, name, value)
    ticket.save()
    record_event(action=action, subject=ticket, by=by, to=fields.get("transferred_to", ""))
    return ticket


def _lock(ticket: Ticket) -> Ticket:
    return Ticket.objects.select_for_update().get(pk=ticket.pk)


def _next_number() -> str:
    """YYYYMMDD-NNNN, counted by day; two at once collide on the unique column and one tries again."""
    day = f"{timezone.localdate():%Y%m%d}-"
    last = Ticket.objects.filter(number__startswith=day).order_by("-id").values_list("number", flat=True).first()
    return f"{day}{int(last.removeprefix(day)) + 1 if last else 1:04d}"
