"""What is live and how it came to be: settings, learned coefficients, thresholds, and changes that are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hotline import golden_pages
from hotline.errors import DeskError, LiveChanged
from hotline.forms import first_error
from hotline.golden_forms import ReasonForm, TargetForm
from hotline.lab_forms import SettingsForm
from hotline.lab_pages import describe_settings
from hotline.live_settings import get_live_settings
from hotline.models import GoldenQuestion, GoldenRun, InstructionTemplate, LexicalModelVersion, SavedSettings, Ticket
from hotline.rerankers import load_lexical_model
from hotline.services import golden_runs, laboratory, live_settings
from hotline.threshold_advice import (
    LEAST_SAMPLED,
    LEAST_VERDICTS,
    Advice,
    ThresholdAdvice,
    advise_thresholds,
    find_idle_thresholds,
    with_learned,
)
from hotline.threshold_chart import CurveChart, draw_thresholds, list_rows
from hotline.views.base import CHANGE_SETTINGS, MANAGE_KNOWLEDGE, desk_view
from hotline.views.lab import offer_side, tell_of_template
from kb.web import is_htmx, read_id
from reranking.threshold_learning import TARGET_ERROR


@require_http_methods(["GET", "POST"])
@desk_view(MANAGE_KNOWLEDGE, CHANGE_SETTINGS)
def show_settings(request: HttpRequest) -> HttpResponse:
    """The live settings with their history; posting proposes others, `?comparison=` names some to start from."""
    refusal: LiveChanged | None = None
    if request.method == "POST":
        try:
            return _propose(request)
        except LiveChanged as error:
            refusal = error
    live = get_live_settings()
    context = {
        "form": SettingsForm(request.POST, prefix="b") if refusal else offer_side(request),
        "refusal": refusal,
        "note": request.POST.get("note", ""),
        "opened": live_settings.find_saved(),
        "opened_template": laboratory.find_newest_template(),
        "live": describe_settings(live),
        "idle": find_idle_thresholds(live),
        "revision": load_lexical_model().revision,
        "saved": golden_pages.list_saved_settings(),
        "models": golden_pages.list_models(),
        "templates": golden_pages.list_template_history(),
        "open_runs": golden_pages.list_open_runs()[:5],
        "questions": GoldenQuestion.objects.count(),
        "here": "settings",
    }
    return render(request, "lab/settings.html", context, status=refusal.status if refusal else 200)


@require_POST
@desk_view(CHANGE_SETTINGS)
def restore_settings(request: HttpRequest, pk: int) -> HttpResponse:
    """An earlier row again; 0 is the deployment's own."""
    saved = get_object_or_404(SavedSettings, pk=pk) if pk else None
    return _tell(request, live_settings.restore_settings(saved=saved, by=request.user, opened=_opened(request)))


@require_POST
@desk_view(CHANGE_SETTINGS)
def restore_model(request: HttpRequest, pk: int) -> HttpResponse:
    """Earlier coefficients again; 0 is the deployment's own."""
    version = get_object_or_404(LexicalModelVersion, pk=pk) if pk else None
    return _tell(request, live_settings.restore_model(version=version, by=request.user, opened=_opened(request)))


@require_POST
@desk_view(CHANGE_SETTINGS)
def restore_template(request: HttpRequest, pk: int) -> HttpResponse:
    """An earlier version of an instruction again; `withdraw`: none of one's own."""
    template = get_object_or_404(InstructionTemplate, pk=pk)
    change = laboratory.withdraw_template if "withdraw" in request.POST else laboratory.restore_template
    run = change(template=template, by=request.user, opened=_opened(request))
    if run:
        return _tell(request, run)
    tell_of_template(request, "指令模板已更改。")
    return redirect("lab_settings")


@require_GET
@desk_view(MANAGE_KNOWLEDGE, CHANGE_SETTINGS)
def show_run(request: HttpRequest, pk: int) -> HttpResponse:
    """A change with its figures; while it is compared, asked again by htmx for its progress."""
    run = get_object_or_404(golden_pages.list_runs(), pk=pk)
    context = {**golden_pages.describe_run(run), "here": "settings"}
    if is_htmx(request):
        response = render(request, "lab/_golden_run.html", context)
        if not run.is_open:
            response["HX-Refresh"] = "true"
        return response
    return render(request, "lab/golden_run.html", context)


@require_POST
@desk_view(CHANGE_SETTINGS)
def override_run(request: HttpRequest, pk: int) -> HttpResponse:
    form = ReasonForm(request.POST)
    if not form.is_valid():
        raise DeskError(first_error(form))
    run = get_object_or_404(GoldenRun, pk=pk)
    return _tell(request, golden_runs.override_run(run=run, note=form.cleaned_data["note"], by=request.user))


@require_POST
@desk_view(CHANGE_SETTINGS)
def drop_run(request: HttpRequest, pk: int) -> HttpResponse:
    golden_runs.drop_run(run=get_object_or_404(GoldenRun, pk=pk), by=request.user)
    messages.success(request, "已放弃这项改动，线上不变。")
    return redirect("lab_settings")


@require_POST
@desk_view(CHANGE_SETTINGS)
def retry_run(request: HttpRequest, pk: int) -> HttpResponse:
    golden_runs.retry_run(run=get_object_or_404(GoldenRun, pk=pk), by=request.user)
    return redirect("lab_golden_run", pk)


@require_http_methods(["GET", "POST"])
@desk_view(MANAGE_KNOWLEDGE, CHANGE_SETTINGS)
def show_thresholds(request: HttpRequest) -> HttpResponse:
    """What the verdicts say of thresholds; posting proposes the learned ones."""
    form = TargetForm(request.POST if request.method == "POST" else request.GET)
    percent = form.cleaned_data.get("target") if form.is_valid() else None
    target = percent / 100 if percent else TARGET_ERROR
    advice = advise_thresholds(target=target)
    if request.method == "POST":
        return _adopt(request, advice)
    live = get_live_settings()
    idle = find_idle_thresholds(live)
    own = {} if idle else live.thresholds_by_category
    acting = None if idle else live.first_share_threshold if advice.signal == "share" else live.gap_base_threshold
    context = {
        "form": form,
        "percent": round(100 * target, 1),
        "advice": advice,
        "curve": draw_thresholds(advice.overall.curve, advice.overall.point, target=target),
        "points": list_rows(advice.overall.curve, advice.overall.point),
        "categories": _describe_categories(advice, own),
        "live": acting,
        "idle": idle,
        "fitted": load_lexical_model().review.share_threshold if advice.signal == "share" else None,
        "opened": live_settings.find_saved(),
        "here": "thresholds",
    }
    return render(request, "lab/thresholds.html", context, status=400 if form.errors else 200)


def _propose(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(CHANGE_SETTINGS):
        raise DeskError("没有更改线上设置的权限。", code="not_allowed", status=403)
    form = SettingsForm(request.POST, prefix="b")
    if not form.is_valid():
        raise DeskError(first_error(form))
    settings, note = form.cleaned_data["settings"], request.POST.get("note", "")
    run = live_settings.save_settings(settings=settings, note=note, by=request.user, opened=_opened(request))
    return _tell(request, run)


def _adopt(request: HttpRequest, advice: ThresholdAdvice) -> HttpResponse:
    if not request.user.has_perm(CHANGE_SETTINGS):
        raise DeskError("没有更改线上设置的权限。", code="not_allowed", status=403)
    if advice.overall.point is None:
        raise DeskError(advice.overall.missing, code="too_few_verdicts")
    settings = with_learned(get_live_settings(), advice)
    note = f"从 {advice.overall.verdicts} 条复核结论学习阈值"
    run = live_settings.save_settings(settings=settings, note=note, by=request.user, opened=_opened(request))
    return _tell(request, run)


def _opened(request: HttpRequest) -> int | None:
    """What was live when the page was drawn."""
    return read_id(request.POST.get("opened"))


def _tell(request: HttpRequest, run: GoldenRun) -> HttpResponse:
    """To where the decision can be seen."""
    if run.state != GoldenRun.State.APPLIED:
        return redirect("lab_golden_run", run.pk)
    if run.kind == GoldenRun.Kind.INDEX:
        messages.success(request, "已放行，索引即将启用。")
        return redirect("lab_golden_run", run.pk)
    known = "标准问题的指标没有下降。" if run.figures_after and not run.fallen else ""
    messages.success(request, f"已生效，各进程数秒内启用。{known}")
    return redirect("lab_settings")


@dataclass(frozen=True, slots=True)
class _Category:
    """A line of business: what its verdicts say, the threshold that acts for it, and its curve."""

    name: str
    advice: Advice | None
    live: float | None
    curve: CurveChart | None


def _describe_categories(advice: ThresholdAdvice, live: Mapping[str, float]) -> list[_Category]:
    """Those with verdicts, and those with a threshold of their own."""
    names = dict(Ticket.Category.choices)
    found = []
    for code in sorted({*advice.by_category, *live}):
        item = advice.by_category.get(code)
        is_enough = item and item.verdicts >= LEAST_VERDICTS and item.sampled >= LEAST_SAMPLED
        curve = draw_thresholds(item.curve, item.point, target=advice.target) if item and is_enough else None
        found.append(_Category(str(names.get(code, code)), item, live.get(code), curve))
    return found
