"""Asking, and reading what was found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from hotline import selectors
from hotline.errors import DeskError, SearchUnavailable
from hotline.forms import AskForm, FeedbackForm, NewTicketForm, first_error
from hotline.models import Lookup, Ticket
from hotline.services import feedback as feedback_service
from hotline.services import lookups as lookup_service
from hotline.services import tickets as ticket_service
from hotline.views.base import ANSWER_CALLS, REVIEW_LOOKUPS, desk_view
from kb.web import read_id

SLOW_AFTER = timedelta(seconds=8)


@require_POST
@desk_view(ANSWER_CALLS)
def ask(request: HttpRequest) -> HttpResponse:
    """A question in a ticket, in a new ticket, or on its own."""
    form, details = AskForm(request.POST), NewTicketForm(request.POST)
    if not form.is_valid() or not details.is_valid():
        raise DeskError(first_error(details if form.is_valid() else form))
    ticket = _choose_ticket(request, form, details)
    try:
        lookup = lookup_service.start_lookup(
            question=form.cleaned_data["question"],
            by=request.user,
            ticket=ticket,
            as_of=form.cleaned_data["as_of"],
            filters=form.filters(),
            variant_texts=request.POST.getlist("variant") if "chooses_variants" in request.POST else None,
        )
    except SearchUnavailable as error:
        if ticket is None:
            return _offer_retry(request, str(error), status=error.status)
        messages.error(request, str(error))
        return redirect("ticket", ticket.number)
    return redirect(lookup_address(lookup))


@require_GET
@desk_view(ANSWER_CALLS, REVIEW_LOOKUPS)
def show_lookup(request: HttpRequest, pk: int) -> HttpResponse:
    lookup = load_or_404(pk)
    if lookup.ticket:
        return redirect(lookup_address(lookup))
    return render(request, "console/show.html", console_context(request, lookup=lookup, ticket=None))


@require_GET
@desk_view(ANSWER_CALLS, REVIEW_LOOKUPS)
def show_results(request: HttpRequest, pk: int) -> HttpResponse:
    """The results column for polling: 204 while nothing has changed since `seen`."""
    lookup = load_or_404(pk)
    poll = poll_interval(lookup)
    if request.GET.get("seen") == f"{selectors.lookup_token(lookup)}-{poll}":
        return HttpResponse(status=204)
    page = selectors.load_lookup_page(lookup, user=request.user)
    context = {"page": page, "poll": poll, "ticket": lookup.ticket, "facets": selectors.list_facets()}
    return render(request, "console/_results.html", context)


@require_GET
@desk_view(ANSWER_CALLS, REVIEW_LOOKUPS)
def show_document(request: HttpRequest, pk: int, result_pk: int, passage_pk: int) -> HttpResponse:
    """The document column, opened at a passage."""
    lookup = load_or_404(pk)
    pane = selectors.load_document_pane(lookup, user=request.user, result_id=result_pk, passage_id=passage_pk)
    if pane is None:
        raise Http404
    return render(request, "console/_document.html", {"pane": pane, "lookup": lookup, "ticket": lookup.ticket})


@require_POST
@desk_view(ANSWER_CALLS)
def open_ticket(request: HttpRequest, pk: int) -> HttpResponse:
    """What was only looked up becomes a ticket."""
    lookup = load_or_404(pk)
    ticket = ticket_service.open_ticket_for_lookup(lookup=lookup, by=request.user)
    messages.success(request, f"已建工单 {ticket.number}。")
    return redirect(f"{reverse('ticket', args=[ticket.number])}?lookup={lookup.pk}")


@require_POST
@desk_view(ANSWER_CALLS)
def give_feedback(request: HttpRequest, pk: int) -> HttpResponse:
    result = get_object_or_404(selectors.readable_results(request.user).select_related("lookup__ticket"), pk=pk)
    form = FeedbackForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    is_helpful = form.cleaned_data["is_helpful"]
    feedback_service.give_feedback(result=result, is_helpful=is_helpful, by=request.user)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "console/_thumbs.html", {"result": result, "thumb": is_helpful})
    return redirect(lookup_address(result.lookup))


def load_or_404(pk: int) -> Lookup:
    lookup = selectors.load_lookup(pk)
    if lookup is None:
        raise Http404
    return lookup


def lookup_address(lookup: Lookup) -> str:
    if lookup.ticket:
        return f"{reverse('ticket', args=[lookup.ticket.number])}?lookup={lookup.pk}"
    return reverse("lookup", args=[lookup.pk])


def console_context(request: HttpRequest, *, lookup: Lookup | None, ticket: Ticket | None) -> dict[str, Any]:
    """The three columns. `?result=…&passage=…` opens a document without JavaScript."""
    context: dict[str, Any] = {"ticket": ticket, "lookup": lookup, "facets": selectors.list_facets()}
    if lookup is None:
        return context
    page = selectors.load_lookup_page(lookup, user=request.user)
    wanted = {name: read_id(request.GET.get(name)) for name in ("result", "passage")}
    pane = selectors.load_document_pane(
        lookup, user=request.user, result_id=wanted["result"], passage_id=wanted["passage"]
    )
    return {
        **context,
        "page": page,
        "pane": pane,
        "poll": poll_interval(lookup),
        "has_picked": wanted["result"] is not None,
    }


def poll_interval(lookup: Lookup) -> str:
    """How soon to ask again: soon while machines work on it, seldom for a reviewer, never when nothing can change."""
    if selectors.is_checked_now(lookup):
        return "1s"
    if lookup.is_final:
        return "4s" if selectors.awaits_verdict(lookup) else ""
    return "300ms" if timezone.now() - lookup.created_at < SLOW_AFTER else "2s"


def _choose_ticket(request: HttpRequest, form: AskForm, details: NewTicketForm) -> Ticket | None:
    chosen = form.cleaned_data
    if chosen["ticket"]:
        return get_object_or_404(Ticket, number=chosen["ticket"])
    if chosen["only_lookup"]:
        return None
    ticket, _ = ticket_service.open_ticket(
        question=chosen["question"],
        by=request.user,
        caller=details.cleaned_data["caller"],
        category=details.cleaned_data["ticket_category"],
        region=details.cleaned_data["ticket_region"],
        notes=details.cleaned_data["notes"],
    )
    return ticket


def _offer_retry(request: HttpRequest, message: str, *, status: int) -> HttpResponse:
    """What was asked, ready to be asked again."""
    asked = [(name, values) for name, values in request.POST.lists() if name not in ("question", "csrfmiddlewaretoken")]
    context = {"message": message, "question": request.POST["question"], "asked": asked}
    return render(request, "console/unavailable.html", context, status=status)
