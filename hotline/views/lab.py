"""The retrieval laboratory: one question under two settings, instructions, knowledge gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hotline import lab_pages
from hotline.errors import DeskError
from hotline.forms import first_error
from hotline.instructions import instruction_text
from hotline.lab_columns import build_columns
from hotline.lab_forms import GapForm, QuestionForm, SettingsForm, TemplateForm, settings_initial, settings_query
from hotline.live_settings import get_live_settings
from hotline.models import KnowledgeGap
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import laboratory
from hotline.services.lookups import readable_departments
from hotline.trials import run_trial
from hotline.views.base import MANAGE_KNOWLEDGE, USE_LABORATORY, desk_view
from kb.web import paginate

FIRST_STAGE = RetrievalSettings(reranker="none")


@require_GET
@desk_view(USE_LABORATORY)
def compare(request: HttpRequest) -> HttpResponse:
    """`?q=…&a-…&b-…`: the address is all there is, and can be sent to others."""
    question = QuestionForm(request.GET)
    sides = {"a": read_side(request, "a", FIRST_STAGE), "b": read_side(request, "b", get_live_settings())}
    context: dict[str, Any] = {
        "form": question,
        "a": sides["a"],
        "b": sides["b"],
        "sandbox": _sandbox_address(request),
        "here": "compare",
    }
    forms = [question, *sides.values()]
    if not all(form.is_valid() for form in forms):
        return render(request, "lab/compare.html", {**context, "has_errors": True}, status=400)
    asked = question.cleaned_data["q"].strip()
    if not asked:
        return render(request, "lab/compare.html", context)
    as_of = question.cleaned_data["as_of"] or timezone.localdate()
    departments = readable_departments(request.user)
    try:
        trials = [
            run_trial(asked, side.cleaned_data["settings"], as_of=as_of, departments=departments)
            for side in sides.values()
        ]
        columns = build_columns(trials, as_of=as_of, departments=departments)
    except DeskError as error:
        return render(request, "lab/compare.html", {**context, "error": str(error)}, status=error.status)
    return render(request, "lab/compare.html", {**context, "columns": columns, "asked": trials[0].question})


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def save_template(request: HttpRequest) -> HttpResponse:
    form = TemplateForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    template = laboratory.save_template(**form.cleaned_data, by=request.user)
    messages.success(request, f"指令已存为模板“{template.label}”（{template.key}），工单的业务类型同名时即采用。")
    return redirect(f"{reverse('lab')}?{request.POST.get('query', '')}")


@require_http_methods(["GET", "POST"])
@desk_view(USE_LABORATORY)
def list_gaps(request: HttpRequest) -> HttpResponse:
    """Knowledge gaps; what is posted is noted."""
    form = GapForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        laboratory.note_gap(**form.cleaned_data, by=request.user)
        messages.success(request, "已记为知识缺口。")
        return redirect("lab_gaps")
    is_closed = request.GET.get("state") == "closed"
    rows = paginate(request, lab_pages.list_gaps(is_closed=is_closed))
    context = {"form": form, "rows": rows, "is_closed": is_closed, "here": "gaps"}
    return render(request, "lab/gaps.html", context, status=400 if form.errors else 200)


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def close_gap(request: HttpRequest, pk: int) -> HttpResponse:
    laboratory.close_gap(gap=get_object_or_404(KnowledgeGap, pk=pk), by=request.user)
    messages.success(request, "已标为处理。")
    return redirect("lab_gaps")


def _sandbox_address(request: HttpRequest) -> str:
    """The same question, the same reranker in both columns, and on the right an instruction to be edited."""
    live = get_live_settings()
    tried = replace(live, instruction=instruction_text(live.instruction or "general") or "")
    asked = urlencode({"q": request.GET.get("q", "")})
    return f"{asked}&{settings_query('a', live)}&{settings_query('b', tried)}"


def read_side(request: HttpRequest, prefix: str, usual: RetrievalSettings) -> SettingsForm:
    """What the address says of a side; where it says nothing, the usual settings."""
    given = {name: values for name, values in request.GET.lists() if name.startswith(f"{prefix}-")}
    if given:
        return SettingsForm(request.GET, prefix=prefix)
    initial = settings_initial(usual)
    data = {f"{prefix}-{name}": value for name, value in initial.items() if value not in (None, "", [], {})}
    return SettingsForm(data or {f"{prefix}-reranker": usual.reranker}, prefix=prefix)
