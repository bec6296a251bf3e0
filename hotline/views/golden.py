"""Golden questions: list, search, add, change, remove, bring in and take out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hotline import golden_pages
from hotline.errors import DeskError
from hotline.forms import first_error
from hotline.golden_forms import GoldenImportForm, GoldenQuestionForm, GoldenSearchForm
from hotline.masking import mask_personal_data
from hotline.models import GoldenQuestion, SecondaryReview, Ticket, User
from hotline.services import golden_questions
from hotline.views.base import CHANGE_SETTINGS, MANAGE_KNOWLEDGE, desk_view, redirect_to_search
from kb.opened_forms import ChangedMeanwhile, digest_values, keep_opened
from kb.web import paginate, read_file, send_table


@require_http_methods(["GET", "POST"])
@desk_view(MANAGE_KNOWLEDGE, CHANGE_SETTINGS)
def list_golden(request: HttpRequest) -> HttpResponse:
    """What is sought is posted; the address holds it masked, as the questions are."""
    form = GoldenSearchForm(request.POST if request.method == "POST" else request.GET)
    chosen = form.cleaned_data if form.is_valid() else {"q": "", "category": ""}
    if request.method == "POST":
        return redirect_to_search("lab_golden", {**chosen, "q": mask_personal_data(chosen["q"])})
    page = paginate(request, golden_pages.list_questions(query=chosen["q"], category=chosen["category"]))
    context = {
        "form": form,
        "rows": page,
        "described": golden_pages.describe_questions(list(page)),
        "open_runs": golden_pages.list_open_runs()[:5],
        "here": "golden",
    }
    return render(request, "lab/golden.html", context)


@require_http_methods(["GET", "POST"])
@desk_view(MANAGE_KNOWLEDGE)
def edit_golden(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One question; posting changes it, or without `pk` adds it."""
    questions = GoldenQuestion.objects.select_related("added_by", "lookup__ticket")
    row = get_object_or_404(questions, pk=pk) if pk is not None else None
    form = GoldenQuestionForm(request.POST or None, initial=golden_pages.read_question(row) if row else None)
    opened = request.POST.get("opened", "")
    if request.method == "POST" and form.is_valid():
        try:
            _save(row, form.cleaned_data, request.user, opened=opened)
        except (DeskError, ChangedMeanwhile) as error:
            form.add_error("question", str(error))
            opened = keep_opened(opened, error)
        else:
            messages.success(request, "已保存。" if row else "已加入标准问题。")
            return redirect("lab_golden")
    if row and not opened:
        opened = digest_values(golden_questions.describe_question(row))
    context = {"form": form, "row": row, "opened": opened, "here": "golden"}
    return render(request, "lab/golden_question.html", context, status=400 if form.errors else 200)


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def remove_golden(request: HttpRequest, pk: int) -> HttpResponse:
    golden_questions.remove_golden_question(row=get_object_or_404(GoldenQuestion, pk=pk), by=request.user)
    messages.success(request, "已删除。")
    return redirect("lab_golden")


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def import_golden(request: HttpRequest) -> HttpResponse:
    form = GoldenImportForm(request.POST, request.FILES)
    if not form.is_valid():
        raise DeskError(first_error(form))
    file = form.cleaned_data["file"]
    added, changed = golden_questions.import_golden_file(name=file.name, data=read_file(file), by=request.user)
    messages.success(request, f"已导入：新增 {added} 个，更改 {changed} 个。")
    return redirect("lab_golden")


@require_GET
@desk_view(MANAGE_KNOWLEDGE)
def export_golden(request: HttpRequest, suffix: str) -> HttpResponse:
    """All of them as CSV or XLSX, as the import takes them."""
    return send_table(suffix, "golden-questions", golden_pages.EXPORT_HEADER, golden_pages.export_rows())


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def add_from_ticket(request: HttpRequest, number: str) -> HttpResponse:
    """The adopted answer of a ticket, in one click."""
    golden_questions.add_from_ticket(ticket=get_object_or_404(Ticket, number=number), by=request.user)
    messages.success(request, "已加入标准问题。")
    return redirect("ticket", number)


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def add_from_review(request: HttpRequest, pk: int) -> HttpResponse:
    """A verdict's picked results, in one click."""
    review = get_object_or_404(SecondaryReview.objects.select_related("lookup__ticket"), pk=pk)
    golden_questions.add_from_review(review=review, by=request.user)
    messages.success(request, "已加入标准问题。")
    return redirect("review", pk)


def _save(row: GoldenQuestion | None, chosen: Mapping[str, Any], by: User, *, opened: str) -> None:
    values = {"document_ids": chosen["policies"], **{name: chosen[name] for name in ("question", "category", "note")}}
    if row:
        golden_questions.change_golden_question(row=row, by=by, opened=opened, **values)
    else:
        golden_questions.add_golden_question(by=by, **values)
