"""The retrieval laboratory: one question under two settings, instructions, knowledge gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hotline import lab_pages
from hotline.errors import DeskError, LiveChanged
from hotline.forms import first_error
from hotline.instructions import choose_instruction
from hotline.lab_columns import build_columns
from hotline.lab_forms import GapForm, QuestionForm, SettingsForm, TemplateForm, settings_initial
from hotline.live_settings import get_live_settings
from hotline.models import KnowledgeGap, LabComparison, LabRow
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import laboratory
from hotline.services.lookups import readable_departments
from hotline.trials import run_trial
from hotline.views.base import MANAGE_KNOWLEDGE, USE_LABORATORY, desk_view
from kb.web import paginate, read_id

FIRST_STAGE = RetrievalSettings(reranker="none")


@require_http_methods(["GET", "POST"])
@desk_view(USE_LABORATORY)
def compare(request: HttpRequest) -> HttpResponse:
    """The empty form. What is posted is kept, masked, under an address of its own: questions are in no address."""
    if request.method == "GET":
        return render(request, "lab/compare.html", _offer(FIRST_STAGE, get_live_settings()))
    if "gap" in request.POST or "row" in request.POST:
        return _keep(request, **_read_stored(request))
    question = QuestionForm(request.POST)
    sides = {name: SettingsForm(request.POST, prefix=name) for name in ("a", "b")}
    if not all(form.is_valid() for form in (question, *sides.values())):
        context = {"form": question, **sides, "here": "compare", "has_errors": True}
        return render(request, "lab/compare.html", context, status=400)
    first, second = (side.cleaned_data["settings"] for side in sides.values())
    if "sandbox" in request.POST:
        first, second = _make_sandbox()
    asked = question.cleaned_data
    if not asked["q"].strip():
        return render(request, "lab/compare.html", _offer(first, second, initial=asked))
    return _keep(
        request, question=asked["q"], category=asked["category"], as_of=asked["as_of"], first=first, second=second
    )


@require_GET
@desk_view(USE_LABORATORY)
def show_comparison(request: HttpRequest, pk: int) -> HttpResponse:
    """Asked anew by whoever opens it, as far as they may read."""
    return _show_kept(request, get_object_or_404(LabComparison, pk=pk))


def _show_kept(request: HttpRequest, kept: LabComparison, **more: Any) -> HttpResponse:
    first, second = RetrievalSettings.from_json(kept.first), RetrievalSettings.from_json(kept.second)
    initial = {"q": kept.question, "category": kept.category, "as_of": kept.as_of}
    context = {**_offer(first, second, initial=initial), "comparison": kept, **more}
    context["opened_template"] = laboratory.find_newest_template()
    departments = readable_departments(request.user)
    try:
        trials = [run_trial(kept.question, side, as_of=kept.as_of, departments=departments) for side in (first, second)]
        columns = build_columns(trials, as_of=kept.as_of, departments=departments)
    except DeskError as error:
        return render(request, "lab/compare.html", {**context, "error": str(error)}, status=error.status)
    return render(request, "lab/compare.html", {**context, "columns": columns}, status=409 if more else 200)


@require_POST
@desk_view(MANAGE_KNOWLEDGE)
def save_template(request: HttpRequest) -> HttpResponse:
    form = TemplateForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    kept = find_comparison(request.POST)
    try:
        opened = read_id(request.POST.get("opened"))
        run = laboratory.save_template(**form.cleaned_data, by=request.user, opened=opened)
    except LiveChanged as error:
        if kept is None:
            raise
        return _show_kept(request, kept, template_form=form, refusal=error)
    if run and run.state != run.State.APPLIED:
        return redirect("lab_golden_run", run.pk)
    tell_of_template(request, "指令已存为模板，工单的业务类型同名时即采用。")
    return redirect("lab_comparison", kept.pk) if kept else redirect("lab")


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


def tell_of_template(request: HttpRequest, said: str) -> None:
    idle = "" if laboratory.is_instruction_read() else "现用的重排不读指令，改由神经重排排序时才起作用。"
    messages.success(request, f"{said}{idle}")


def find_comparison(sent: QueryDict) -> LabComparison | None:
    """The one that `comparison` names."""
    pk = read_id(sent.get("comparison"))
    return None if pk is None else LabComparison.objects.filter(pk=pk).first()


def offer_side(request: HttpRequest) -> SettingsForm:
    """A form with the right column of the comparison that the address names, else with the live settings."""
    kept = find_comparison(request.GET)
    chosen = RetrievalSettings.from_json(kept.second) if kept else get_live_settings()
    return SettingsForm(initial=settings_initial(chosen), prefix="b")


def _offer(
    first: RetrievalSettings, second: RetrievalSettings, *, initial: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The forms to be changed and sent again."""
    return {
        "form": QuestionForm(initial=initial),
        "a": SettingsForm(initial=settings_initial(first), prefix="a"),
        "b": SettingsForm(initial=settings_initial(second), prefix="b"),
        "here": "compare",
    }


def _keep(request: HttpRequest, **asked: Any) -> HttpResponse:
    return redirect("lab_comparison", laboratory.keep_comparison(**asked, by=request.user).pk)


def _read_stored(request: HttpRequest) -> dict[str, Any]:
    """A question that is stored already: `gap`, a knowledge gap's, or `row`, a run's, with the run's settings."""
    if "gap" in request.POST:
        gap = get_object_or_404(KnowledgeGap, pk=read_id(request.POST["gap"]))
        return {"question": gap.question, "first": FIRST_STAGE, "second": get_live_settings()}
    row = get_object_or_404(LabRow.objects.select_related("run"), pk=read_id(request.POST["row"]))
    return {
        "question": row.question,
        "category": row.category,
        "as_of": row.run.as_of,
        "first": RetrievalSettings.from_json(row.run.baseline),
        "second": RetrievalSettings.from_json(row.run.settings),
    }


def _make_sandbox() -> tuple[RetrievalSettings, RetrievalSettings]:
    """The same reranker in both columns, and on the right an instruction to be edited."""
    live = get_live_settings()
    return live, replace(live, instruction=choose_instruction(live.instruction))
