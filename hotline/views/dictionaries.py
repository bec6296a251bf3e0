"""The tray of dictionary drafts: try them on real questions, put them live together."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from hotline.errors import DeskError
from hotline.services import dictionaries
from kb.dictionary_kinds import SEGMENTED
from kb.dictionary_selectors import find_rebuild, list_drafts
from kb.errors import KnowledgeError
from kb.models import DictionaryDraft, DictionaryTrial
from kb.services.dictionary_drafts import digest_drafts
from kb.web import guarded_view, is_htmx, paginate

FIGURES = {
    "top1": "Top-1",
    "mrr5": "MRR@5",
    "ndcg3": "NDCG@3",
    "recall50": "Recall@50",
    "top1_of_rest": "免复核的 Top-1",
}

tray_view = guarded_view("kb.manage_knowledge", errors=(DeskError, KnowledgeError))


@require_GET
@tray_view
def show_drafts(request: HttpRequest) -> HttpResponse:
    context = {
        "rows": paginate(request, list_drafts(), 50),
        "cuts_words": DictionaryDraft.objects.filter(kind__in=SEGMENTED).exists(),
        "rebuild": find_rebuild(),
        **_trial_context(),
    }
    return render(request, "kb/dictionary_drafts.html", context)


@require_GET
@tray_view
def show_trial(request: HttpRequest) -> HttpResponse:
    """The trial's panel, polled while it runs."""
    running = dictionaries.find_running_trial()
    return render(request, "kb/_dictionary_trial.html", {"trial": running} if running else _trial_context())


@require_POST
@tray_view
def try_drafts(request: HttpRequest) -> HttpResponse:
    trial = dictionaries.request_trial(by=request.user)
    if is_htmx(request):
        return render(request, "kb/_dictionary_trial.html", {"trial": trial})
    return redirect("dictionary_drafts")


@require_POST
@tray_view
def put_live(request: HttpRequest) -> HttpResponse:
    release = dictionaries.put_live(
        by=request.user,
        drafts_sha256=request.POST.get("drafts", ""),
        note=request.POST.get("note", ""),
        is_override="override" in request.POST,
    )
    messages.success(request, f"已生效，记为{release}，各进程数秒内启用。")
    return redirect("dictionary_drafts")


def _trial_context() -> dict[str, Any]:
    drafts_sha256 = digest_drafts()  # reads all of them
    trial = dictionaries.find_trial(drafts_sha256)
    return {
        "trial": trial,
        "hold": dictionaries.explain_hold(trial),
        "figures": list(_list_figures(trial)) if trial else [],
        "drafts_sha256": drafts_sha256,
    }


def _list_figures(trial: DictionaryTrial) -> Any:
    """Name, before, after, and whether it falls."""
    golden = trial.comparison.get("golden") or {}
    for key, name in FIGURES.items():
        if golden and golden["before"].get(key) is not None:
            yield name, golden["before"][key], golden["after"].get(key), key in golden["fallen"]
