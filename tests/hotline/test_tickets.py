"""Tickets: opened once, masked, answered, handed on; with an audit trail."""

from __future__ import annotations

import pytest

from hotline.errors import DeskError, EmptyQuestion, WrongState
from hotline.models import AuditEvent, Result, Ticket, User
from hotline.services import tickets
from hotline.services.feedback import give_feedback
from hotline.services.lookups import start_lookup
from hotline.services.tickets import (
    adopt_result,
    close_ticket,
    open_ticket,
    open_ticket_for_lookup,
    reopen_ticket,
    save_notes,
    transfer_ticket,
)
from kb.models import DocumentVersion, Passage

pytestmark = pytest.mark.django_db


def opened(by: User | None = None, **values: str) -> Ticket:
    return open_ticket(question="楼上漏水", by=by, **values)[0]


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_numbers_count_by_day() -> None:
    first, second = opened(), opened()

    assert first.number.endswith("-0001")
    assert second.number.endswith("-0002")
    assert actions() == ["ticket_opened", "ticket_opened"]


def test_number_taken_at_the_same_moment_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = opened().number
    drawn = iter([taken, "20261121-0777"])
    monkeypatch.setattr(tickets, "_next_number", lambda: next(drawn))

    assert opened().number == "20261121-0777"


def test_external_id_is_idempotent() -> None:
    first, created = open_ticket(question="楼上漏水", by=None, external_id="GD-1")
    again, created_again = open_ticket(question="另一段文字", by=None, external_id="GD-1")

    assert (first.pk, created, created_again) == (again.pk, True, False)
    assert again.question == "楼上漏水"


def test_everything_personal_is_masked() -> None:
    ticket, _ = open_ticket(
        question="我叫张三，13812345678", by=None, caller="13812345678", notes="身份证11010519491231002X"
    )
    ticket = save_notes(ticket=ticket, notes="回电 13987654321", by=User.objects.create_user("a"))

    ticket.refresh_from_db()
    assert ticket.caller == "138****5678"
    assert "13812345678" not in ticket.question
    assert "13987654321" not in ticket.notes


def test_personal_data_in_a_transfer_is_masked(agent: User) -> None:
    ticket = transfer_ticket(ticket=opened(agent), to="住建局王工13812345678", by=agent)

    assert ticket.transferred_to == "住建局王工138****5678"
    assert AuditEvent.objects.get(action="ticket_transferred").details == {"to": "住建局王工138****5678"}


def test_what_masking_lengthens_still_fits_its_column(agent: User) -> None:
    ticket = opened(agent, caller="a@" + "b" * 35 + ".cn", region="青溪区13812345678 " + "a@b.cn " * 12)
    ticket.full_clean()
    assert ticket.caller == "a****@" + "b" * 34
    assert ticket.region.startswith("青溪区138****5678 a****@b.cn ")

    transfer_ticket(ticket=ticket, to="a@b.cn " * 28, by=agent).full_clean()


def test_empty_question_opens_nothing() -> None:
    with pytest.raises(EmptyQuestion):
        open_ticket(question=" ", by=None)
    assert not Ticket.objects.exists()


def test_adopted_passage_becomes_the_answer(policies: dict[str, DocumentVersion], agent: User) -> None:
    ticket = opened(agent)
    lookup = start_lookup(question="电梯补贴", by=agent, ticket=ticket)
    result = lookup.results.get(version=policies["lift"])
    passage = result.passages.all()[0].passage
    ticket = adopt_result(ticket=ticket, result=result, passage=passage, by=agent)

    assert ticket.state == "answered"
    assert passage.text.strip() in ticket.answer
    assert "《云岚市既有住宅加装电梯办法》（云府办规〔2025〕8号）" in ticket.answer
    assert Result.objects.get(is_adopted=True).pk == result.pk
    assert actions()[-1] == "answer_adopted"


def test_foreign_passage_is_not_adopted(policies: dict[str, DocumentVersion], agent: User) -> None:
    ticket = opened(agent)
    lookup = start_lookup(question="电梯补贴", by=agent)
    result = lookup.results.all()[0]
    passage = Passage.objects.exclude(pk__in=result.passages.values("passage")).first()
    assert passage is not None
    with pytest.raises(DeskError) as refusal:
        adopt_result(ticket=ticket, result=result, passage=passage, by=agent)
    assert refusal.value.code == "foreign_passage"


def test_transfer_close_and_reopen(agent: User) -> None:
    ticket = opened(agent)
    with pytest.raises(DeskError, match="转办单位"):
        transfer_ticket(ticket=ticket, to=" ", by=agent)
    assert transfer_ticket(ticket=ticket, to="青溪区住建局", by=agent).state == "transferred"
    assert close_ticket(ticket=ticket, by=agent).state == "closed"
    with pytest.raises(WrongState):
        close_ticket(ticket=ticket, by=agent)
    with pytest.raises(WrongState):
        transfer_ticket(ticket=ticket, to="住建局", by=agent)
    assert reopen_ticket(ticket=ticket, by=agent).state == "open"
    assert actions() == ["ticket_opened", "ticket_transferred", "ticket_closed", "ticket_reopened"]


def test_second_thumb_replaces_the_first(policies: dict[str, DocumentVersion], agent: User) -> None:
    result = start_lookup(question="电梯补贴", by=agent).results.all()[0]
    give_feedback(result=result, is_helpful=True, by=agent)
    give_feedback(result=result, is_helpful=False, by=agent)

    assert result.feedback.get().is_helpful is False


@pytest.mark.usefixtures("policies")
def test_lookup_becomes_a_ticket_once(agent: User) -> None:
    lookup = start_lookup(question="我电话13812345678，电梯补贴", by=agent)

    ticket = open_ticket_for_lookup(lookup=lookup, by=agent)
    again = open_ticket_for_lookup(lookup=lookup, by=agent)
    lookup.refresh_from_db()

    assert (again, lookup.ticket) == (ticket, ticket)
    assert (ticket.question, ticket.agent) == (lookup.question, agent)
    assert "13812345678" not in ticket.question
    assert actions() == ["ticket_opened"]


@pytest.mark.parametrize("typed", ["/楼上漏水", "、楼上漏水", " / 楼上漏水"])
def test_key_that_leads_to_the_box_is_no_part_of_the_question(typed: str) -> None:
    assert tickets.clean_question(typed) == "楼上漏水"


def test_slash_inside_a_question_stays() -> None:
    assert tickets.clean_question("和/或怎么理解") == "和/或怎么理解"


def test_lone_slash_is_no_question() -> None:
    with pytest.raises(EmptyQuestion):
        tickets.clean_question("/")
