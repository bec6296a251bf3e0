"""The laboratory's runs: files of questions under settings on trial against a baseline."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hotline import lab_pages
from hotline.errors import DeskError
from hotline.forms import first_error
from hotline.lab_export import NAMES, send_run
from hotline.lab_forms import RowsForm, RunForm, SettingsForm
from hotline.live_settings import get_live_settings
from hotline.models import LabRun
from hotline.question_files import FEWEST, MOST
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import lab_runs
from hotline.services.lookups import readable_departments
from hotline.views.base import USE_LABORATORY, desk_view
from hotline.views.lab import offer_side
from kb.web import is_htmx, paginate, read_file


@require_http_methods(["GET", "POST"])
@desk_view(USE_LABORATORY)
def list_runs(request: HttpRequest) -> HttpResponse:
    """The runs that are kept, and a form for a new one; `?comparison=` names its settings."""
    if request.method == "POST":
        return _start(request)
    context = {
        "rows": paginate(request, lab_pages.list_runs()),
        "b": offer_side(request),
        "live": lab_pages.describe_settings(get_live_settings()),
        "fewest": FEWEST,
        "most": MOST,
        "here": "runs",
    }
    return render(request, "lab/runs.html", context)


@require_GET
@desk_view(USE_LABORATORY)
def show_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Figures and questions; while it is running, asked again by htmx for its progress."""
    run = get_object_or_404(lab_pages.list_runs(), pk=pk)
    if is_htmx(request):
        response = render(request, "lab/_run.html", _describe(run))
        if not run.is_open:
            response["HX-Refresh"] = "true"
        return response
    form = RowsForm(request.GET)
    show = form.cleaned_data["show"] if form.is_valid() else ""
    page = paginate(request, lab_pages.list_rows(run, show=show))
    context = {
        **_describe(run),
        "rows": page,
        "described": lab_pages.describe_rows(list(page), departments=readable_departments(request.user)),
        "shows": RowsForm.base_fields["show"].choices,  # type: ignore[attr-defined]
        "show": show,
        "here": "runs",
    }
    return render(request, "lab/run.html", context)


@require_POST
@desk_view(USE_LABORATORY)
def stop_run(request: HttpRequest, pk: int) -> HttpResponse:
    lab_runs.stop_run(run=get_object_or_404(LabRun, pk=pk), by=request.user)
    return redirect("lab_run", pk)


@require_POST
@desk_view(USE_LABORATORY)
def resume_run(request: HttpRequest, pk: int) -> HttpResponse:
    lab_runs.resume_run(run=get_object_or_404(LabRun, pk=pk), by=request.user)
    return redirect("lab_run", pk)


@require_GET
@desk_view(USE_LABORATORY)
def export_run(request: HttpRequest, pk: int, suffix: str) -> HttpResponse:
    """All questions as CSV or XLSX."""
    run = get_object_or_404(LabRun, pk=pk)
    return send_run(run, suffix, departments=readable_departments(request.user))


@require_GET
@desk_view(USE_LABORATORY)
def compare_runs(request: HttpRequest) -> HttpResponse:
    """`?run=1&run=2`: the figures of finished runs beside one another."""
    runs = lab_pages.find_comparable_runs(request.GET.getlist("run"))
    measured = [run.figures["measured"] for run in runs]
    context = {
        "runs": [(run, _describe_side(run.settings, run.measured_on.get("measured", {}))) for run in runs],
        "differing": lab_pages.name_differing_conditions(runs),
        "figures": lab_pages.compare_figures(measured),
        "times": lab_pages.compare_times(measured),
        "has_same_questions": lab_pages.are_same_questions(runs),
        "here": "runs",
    }
    return render(request, "lab/compare_runs.html", context)


def _start(request: HttpRequest) -> HttpResponse:
    form, side = RunForm(request.POST, request.FILES), SettingsForm(request.POST, prefix="b")
    if not form.is_valid() or not side.is_valid():
        raise DeskError(first_error(side if form.is_valid() else form))
    file = form.cleaned_data["file"]
    data, chosen = read_file(file), side.cleaned_data["settings"]
    run = lab_runs.create_run(name=file.name, data=data, settings=chosen, by=request.user)
    messages.success(request, f"已开始：{run.questions_total} 个问题。可以离开本页，完成后在“批量实验”里查看。")
    return redirect("lab_run", run.pk)


def _describe_side(settings: dict[str, Any], measured_on: dict[str, Any]) -> dict[str, list[str]]:
    return {
        "settings": lab_pages.describe_settings(RetrievalSettings.from_json(settings)),
        "measured_on": lab_pages.describe_conditions(measured_on),
    }


def _describe(run: LabRun) -> dict[str, Any]:
    settings, baseline = RetrievalSettings.from_json(run.settings), RetrievalSettings.from_json(run.baseline)
    return {
        "run": run,
        "settings": lab_pages.describe_settings(settings),
        "baseline": lab_pages.describe_settings(baseline),
        "is_same": settings == baseline,
        "formats": list(NAMES.items()),
        **lab_pages.summarize_run(run),
    }
