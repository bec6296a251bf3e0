"""The first page: a new call for agents, the desk's own first page for others."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from hotline import selectors
from hotline.forms import AskForm, NewTicketForm
from hotline.views.base import ANSWER_CALLS, MANAGE_KNOWLEDGE, REVIEW_LOOKUPS, desk_view

FIRST_PAGES = ((REVIEW_LOOKUPS, "reviews"), (MANAGE_KNOWLEDGE, "kb:uploads"))


@require_GET
@desk_view()
def show_console(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(ANSWER_CALLS):
        for permission, page in FIRST_PAGES:
            if request.user.has_perm(permission):
                return redirect(page)
        raise PermissionDenied
    context = {
        "ask_form": AskForm(initial={"as_of": timezone.localdate()}),
        "ticket_form": NewTicketForm(),
        "facets": selectors.list_facets(),
        "recent": selectors.list_recent_tickets(request.user),
    }
    return render(request, "console/home.html", context)
