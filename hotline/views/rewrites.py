"""Asking a question again: with other rewrites, or without a step of its understanding."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from hotline.errors import DeskError, SearchUnavailable
from hotline.models import Lookup
from hotline.services import lookups as lookup_service
from hotline.services import rewrites as rewrite_service
from hotline.views.base import ANSWER_CALLS, desk_view
from hotline.views.lookups import load_or_404, lookup_address
from kb.web import is_htmx


@require_POST
@desk_view(ANSWER_CALLS)
def ask_again(request: HttpRequest, pk: int) -> HttpResponse:
    """`variant` (with `chooses_variants`), `with`: what is searched too; `remove`, `restore`: a step by its place."""
    lookup, sent = load_or_404(pk), request.POST
    chosen = None
    if "chooses_variants" in sent:
        chosen = [text for text in (*sent.getlist("variant"), *sent.getlist("with")) if text]
    try:
        again = lookup_service.ask_again(
            lookup=lookup, by=request.user, variant_texts=chosen, without=_read_removed(request, lookup)
        )
    except SearchUnavailable as error:
        messages.error(request, str(error))
        return redirect(lookup_address(lookup))
    return redirect(lookup_address(again))


@require_POST
@desk_view(ANSWER_CALLS)
def offer_rewrites(request: HttpRequest, pk: int) -> HttpResponse:
    """The rewrites explained, in place; the page again without JavaScript."""
    offer = rewrite_service.offer_rewrites(lookup=load_or_404(pk), by=request.user)
    lookup = load_or_404(pk)
    if is_htmx(request):
        return render(request, "console/_rewrites.html", {"lookup": lookup, "offer": offer})
    if offer.trouble:
        messages.warning(request, offer.trouble)
    return redirect(lookup_address(lookup))


def _read_removed(request: HttpRequest, lookup: Lookup) -> list[str] | None:
    """The keys of the removed steps as they shall be; None where nothing changes."""
    if "remove" in request.POST:
        return [*lookup.without, _pick([step["key"] for step in lookup.steps], request.POST["remove"])]
    if "restore" in request.POST:
        restored = _pick(lookup.without, request.POST["restore"])
        return [key for key in lookup.without if key != restored]
    return None


def _pick(keys: Sequence[str], place: str) -> str:
    if not (place.isascii() and place.isdigit() and len(place) < 6 and int(place) < len(keys)):
        raise DeskError("没有这一步，请刷新页面。", code="unknown_step")
    return keys[int(place)]
