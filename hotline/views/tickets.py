"""The list of tickets, one ticket's console, and what is done to it."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hotline import selectors
from hotline.errors import DeskError
from hotline.forms import AdoptForm, NotesForm, TicketSearchForm, TransferForm, first_error
from hotline.models import Ticket
from hotline.services import tickets as ticket_service
from hotline.views.base import ANSWER_CALLS, REVIEW_LOOKUPS, desk_view, redirect_to_search
from hotline.views.lookups import console_context
from kb.models import Passage
from kb.web import is_htmx, paginate, read_id


@require_http_methods(["GET", "POST"])
@desk_view(ANSWER_CALLS, REVIEW_LOOKUPS)
def list_tickets(request: HttpRequest) -> HttpResponse:
    """What is sought is posted, as it may be a caller's number; the address holds it masked."""
    form = TicketSearchForm(request.POST if request.method == "POST" else request.GET)
    chosen = form.cleaned_data if form.is_valid() else {"q": "", "state": ""}
    if request.method == "POST":
        return redirect_to_search("tickets", {**chosen, "q": selectors.mask_ticket_query(chosen["q"])})
    tickets = selectors.list_tickets(query=chosen["q"], state=chosen["state"])
    return render(request, "tickets/list.html", {"form": form, "rows": paginate(request, tickets)})


@require_GET
@desk_view(ANSWER_CALLS, REVIEW_LOOKUPS)
def show_ticket(request: HttpRequest, number: str) -> HttpResponse:
    """The console: the ticket's latest lookup, or the one that `?lookup=` names."""
    ticket = _load_or_404(number)
    lookup = selectors.load_ticket_lookup(ticket, read_id(request.GET.get("lookup")))
    context = console_context(request, lookup=lookup, ticket=ticket)
    return render(request, "console/show.html", {**context, "history": selectors.list_ticket_lookups(ticket)})


@require_POST
@desk_view(ANSWER_CALLS)
def adopt_result(request: HttpRequest, number: str) -> HttpResponse:
    ticket, form = _load_or_404(number), AdoptForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    result = get_object_or_404(selectors.readable_results(request.user), pk=form.cleaned_data["result"])
    passage = get_object_or_404(Passage, pk=form.cleaned_data["passage"])
    ticket_service.adopt_result(ticket=ticket, result=result, passage=passage, by=request.user)
    return _show_work(request, number, "已采纳，答复已写入工单。", adopted_result=result.pk)


@require_POST
@desk_view(ANSWER_CALLS)
def save_notes(request: HttpRequest, number: str) -> HttpResponse:
    ticket, form = _load_or_404(number), NotesForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    ticket_service.save_notes(ticket=ticket, notes=form.cleaned_data["notes"], by=request.user)
    return _show_work(request, number, "备注已保存。")


@require_POST
@desk_view(ANSWER_CALLS)
def transfer_ticket(request: HttpRequest, number: str) -> HttpResponse:
    ticket, form = _load_or_404(number), TransferForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    ticket_service.transfer_ticket(ticket=ticket, to=form.cleaned_data["to"], by=request.user)
    return _show_work(request, number, f"已转办：{form.cleaned_data['to']}。")


@require_POST
@desk_view(ANSWER_CALLS)
def close_ticket(request: HttpRequest, number: str) -> HttpResponse:
    ticket_service.close_ticket(ticket=_load_or_404(number), by=request.user)
    return _show_work(request, number, "工单已结束。")


@require_POST
@desk_view(ANSWER_CALLS)
def reopen_ticket(request: HttpRequest, number: str) -> HttpResponse:
    ticket_service.reopen_ticket(ticket=_load_or_404(number), by=request.user)
    return _show_work(request, number, "工单已重新打开。")


def _load_or_404(number: str) -> Ticket:
    ticket = selectors.load_ticket(number)
    if ticket is None:
        raise Http404
    return ticket


def _show_work(request: HttpRequest, number: str, message: str, **context: object) -> HttpResponse:
    """The ticket's column as it is now, or its page again without JavaScript."""
    if is_htmx(request):
        return render(request, "console/_work.html", {"ticket": _load_or_404(number), "done": message, **context})
    messages.success(request, message)
    lookup = read_id(request.POST.get("lookup"))
    response = redirect("ticket", number)
    if lookup:
        response["Location"] += f"?lookup={lookup}"
    return response
