"""The secondary-review desk."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from hotline import selectors
from hotline.forms import DecisionForm, ReviewListForm
from hotline.models import SecondaryReview
from hotline.services import reviews as review_service
from hotline.views.base import REVIEW_LOOKUPS, desk_view
from kb.web import paginate, read_ids


@require_GET
@desk_view(REVIEW_LOOKUPS)
def list_reviews(request: HttpRequest) -> HttpResponse:
    form = ReviewListForm(request.GET)
    state = (form.cleaned_data["state"] if form.is_valid() else "") or SecondaryReview.State.WAITING
    rows = paginate(request, selectors.list_reviews(state=state))
    context = {"rows": rows, "state": state, "states": SecondaryReview.State.choices}
    return render(request, "reviews/list.html", context)


@require_http_methods(["GET", "POST"])
@desk_view(REVIEW_LOOKUPS)
def show_review(request: HttpRequest, pk: int) -> HttpResponse:
    """Question and candidates; deciding leads to the next that waits."""
    review = selectors.load_review(pk)
    if review is None:
        raise Http404
    page = selectors.load_lookup_page(review.lookup, user=request.user)
    result_ids = [card.result.pk for card in page.cards]
    form = DecisionForm(request.POST or None, result_ids=result_ids)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        review_service.decide_review(review=review, picked=chosen["picked"], note=chosen["note"], by=request.user)
        return _go_on(request, review)
    ticked = read_ids(request.POST.getlist("picked"))
    context = {
        "review": review,
        "page": page,
        "form": form,
        "ticked": ticked,
        "waiting": selectors.count_waiting_reviews(),
    }
    return render(request, "reviews/show.html", context, status=400 if form.errors else 200)


def _go_on(request: HttpRequest, review: SecondaryReview) -> HttpResponse:
    following = selectors.next_waiting_review(after=review.pk)
    if following is None:
        messages.success(request, "已复核。没有其他待复核的检索。")
        return redirect("reviews")
    messages.success(request, "已复核，坐席页面已更新。以下是下一件。")
    return redirect("review", following.pk)
