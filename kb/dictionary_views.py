"""Pages of the dictionaries: search, add, change, retire, import, export, history. What goes live: hotline's tray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kb import dictionary_selectors as selectors
from kb.dictionary_files import HEADER, list_entry_rows, read_entry_rows
from kb.dictionary_forms import EntryFilterForm, EntryForm, ImportForm
from kb.dictionary_kinds import KINDS
from kb.errors import KnowledgeError
from kb.models import DictionaryDraft, DictionaryEntry, DictionaryRelease
from kb.opened_forms import digest_values
from kb.parsing import ParseLimits
from kb.services import dictionaries, dictionary_drafts
from kb.tables import read_table
from kb.web import guarded_view, is_htmx, paginate, read_file, read_ids, send_table

TRAY = "dictionary_drafts"  # the desk's page: it asks the golden questions, which this application does not know
DRAFTED = "已存为草稿，试用并生效后才起作用。"

dictionary_view = guarded_view("kb.manage_knowledge")


@require_GET
@dictionary_view
def list_entries(request: HttpRequest) -> HttpResponse:
    form = EntryFilterForm(request.GET)
    chosen = _chosen(form)
    kind = KINDS.get(chosen["kind"])
    context = {
        "form": form,
        "rows": paginate(request, selectors.list_entries(**chosen), 50),
        "kind": kind,
        "kinds": _count_kinds(),
        "entry_form": EntryForm(kind) if kind else None,
        "release": DictionaryRelease.objects.first(),
        "draft_count": DictionaryDraft.objects.count(),
        "rebuild": selectors.find_rebuild(),
    }
    return render(request, "kb/dictionaries.html", context)


@require_POST
@dictionary_view
def sync_builtin(request: HttpRequest) -> HttpResponse:
    done = dictionaries.sync_builtin_entries(by=request.user)
    if done.drafted:
        messages.success(request, f"随产品的词典有 {done.drafted} 处变化，{DRAFTED}")
        return redirect(TRAY)
    messages.success(request, f"已载入随产品的词典，{done.release}。" if done.release else "随产品的词典没有变化。")
    return redirect("kb:dictionaries")


@require_http_methods(["GET", "POST"])
@dictionary_view
def add_entry(request: HttpRequest, kind: str) -> HttpResponse:
    chosen = KINDS.get(kind)
    if chosen is None:
        raise KnowledgeError("没有这种词典。", code="no_kind", status=404)
    form = EntryForm(chosen, request.POST or None)
    if request.method == "POST":
        try:
            dictionary_drafts.draft_new_entry(values=form.values(), by=request.user)
        except KnowledgeError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, DRAFTED)
            return redirect(TRAY)
    return _render_form(request, form, {"title": f"新增{chosen.name}"})


@require_http_methods(["GET", "POST"])
@dictionary_view
def show_entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry with its history; changed in its row of the list, or here."""
    entry = get_object_or_404(DictionaryEntry.objects.select_related("draft", "updated_by"), pk=pk)
    draft = DictionaryDraft.objects.filter(entry=entry).first()
    form = EntryForm(KINDS[entry.kind], request.POST or None, initial=(draft or entry).values)
    if request.method == "POST":
        try:
            draft = dictionary_drafts.draft_change(
                entry=entry, values=form.values(), by=request.user, opened=request.POST.get("opened", "")
            )
        except KnowledgeError as error:
            form.add_error(None, str(error))
        else:
            return _show_saved(request, entry, DRAFTED if draft else "没有改动。")
    context = {
        "entry": entry,
        "draft": draft,
        "opened": digest_values(dictionary_drafts.describe_wanted(draft or entry)),
        "title": entry.text,
        "changes": selectors.list_entry_changes(entry),
    }
    return _render_form(request, form, context)


@require_GET
@dictionary_view
def show_row(request: HttpRequest, pk: int) -> HttpResponse:
    """The row as it was before somebody began to edit it."""
    return _render_row(request, pk)


@require_POST
@dictionary_view
def retire_entry(request: HttpRequest, pk: int) -> HttpResponse:
    entry = get_object_or_404(DictionaryEntry, pk=pk)
    dictionary_drafts.draft_retirement(entry=entry, by=request.user, opened=request.POST.get("opened", ""))
    return _show_saved(request, entry, "停用已存为草稿，生效后才起作用。")


@require_http_methods(["GET", "POST"])
@dictionary_view
def edit_draft(request: HttpRequest, pk: int) -> HttpResponse:
    draft = get_object_or_404(DictionaryDraft.objects.select_related("entry"), pk=pk)
    form = EntryForm(KINDS[draft.kind], request.POST or None, initial=draft.values)
    if request.method == "POST":
        try:
            dictionary_drafts.change_draft(
                draft=draft, values=form.values(), by=request.user, opened=request.POST.get("opened", "")
            )
        except KnowledgeError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "草稿已保存。")
            return redirect(TRAY)
    opened = digest_values(dictionary_drafts.describe_wanted(draft))
    return _render_form(request, form, {"title": f"草稿：{draft.text}", "opened": opened})


@require_POST
@dictionary_view
def drop_drafts(request: HttpRequest) -> HttpResponse:
    """The ticked drafts, or all of them."""
    ids = read_ids(request.POST.getlist("draft"))
    if "all" not in request.POST and not ids:
        raise KnowledgeError("请先勾选要撤掉的草稿。", code="nothing_chosen")
    count = dictionary_drafts.drop_drafts(drafts=None if "all" in request.POST else ids)
    messages.success(request, f"已撤掉 {count} 条草稿。")
    return redirect(TRAY)


@require_http_methods(["GET", "POST"])
@dictionary_view
def import_entries(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    outcome = None
    if request.method == "POST" and form.is_valid():
        try:
            outcome = _import_file(request, form)
        except KnowledgeError as error:
            form.add_error("file", str(error))
        else:
            if outcome.stored and (not outcome.refusals or form.cleaned_data["keep_good"]):
                messages.success(request, _describe_import(outcome))
                if not outcome.refusals:
                    return redirect(TRAY)
            elif not outcome.refusals:
                messages.info(request, f"{outcome.unchanged} 行都与使用中的相同，没有要改的。")
    context = {"form": form, "outcome": outcome, "header": HEADER, "kinds": KINDS.values()}
    return render(request, "kb/dictionary_import.html", context, status=400 if form.errors else 200)


@require_GET
@dictionary_view
def export_entries(request: HttpRequest) -> HttpResponse:
    """What the list shows, all pages of it."""
    format_name = "xlsx" if request.GET.get("format") == "xlsx" else "csv"
    entries = selectors.list_entries(**_chosen(EntryFilterForm(request.GET)))
    rows = list_entry_rows(selectors.list_values(entries))
    return send_table(format_name, f"dictionaries-{timezone.localdate():%Y%m%d}", HEADER, rows)


@require_GET
@dictionary_view
def list_releases(request: HttpRequest) -> HttpResponse:
    rows = paginate(request, selectors.list_releases(), 20)
    return render(request, "kb/dictionary_history.html", {"rows": rows, "most": selectors.SHOWN_CHANGES})


@require_POST
@dictionary_view
def restore_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Undo what came after a release."""
    release = get_object_or_404(DictionaryRelease, pk=pk)
    made = dictionaries.restore_release(release=release, by=request.user)
    messages.success(request, f"已恢复到第 {release.pk} 版，记为第 {made.pk} 版，各进程数秒内启用。")
    return redirect("kb:dictionary_history")


@require_GET
@dictionary_view
def show_rebuild(request: HttpRequest) -> HttpResponse:
    """How far the index is that is built with the new words."""
    return render(request, "kb/_rebuild.html", {"rebuild": selectors.find_rebuild(), "is_polled": True})


def _import_file(request: HttpRequest, form: ImportForm) -> dictionary_drafts.ImportOutcome:
    file = form.cleaned_data["file"]
    limits = ParseLimits(max_bytes=settings.UPLOAD_MAX_MEGABYTES * 1024 * 1024)
    rows = read_entry_rows(read_table(file.name, read_file(file), limits=limits), kind=form.cleaned_data["kind"])
    return dictionary_drafts.import_drafts(rows=rows, by=request.user, keep_good=form.cleaned_data["keep_good"])


def _describe_import(outcome: dictionary_drafts.ImportOutcome) -> str:
    left_out = f"，{len(outcome.refusals)} 行不能用，没有导入" if outcome.refusals else ""
    return f"已存为草稿：新增 {outcome.added} 条，修改 {outcome.changed} 条，{outcome.unchanged} 条不变{left_out}。"


def _chosen(form: EntryFilterForm) -> dict[str, str]:
    data: Mapping[str, Any] = form.cleaned_data if form.is_valid() else {}
    return {"query": data.get("q", ""), "kind": data.get("kind", ""), "state": data.get("state", "")}


def _count_kinds() -> list[tuple[Any, int]]:
    counts = selectors.count_entries()
    return [(kind, counts.get(kind.key, 0)) for kind in KINDS.values()]


def _render_form(request: HttpRequest, form: EntryForm, context: dict[str, Any]) -> HttpResponse:
    in_row = is_htmx(request) and "entry" in context
    template = "kb/_dictionary_row_form.html" if in_row else "kb/dictionary_entry.html"
    # htmx puts nothing in place that was answered with an error; the form says itself what is wrong.
    status = 400 if form.errors and not in_row else 200
    return render(request, template, {"form": form, "kind": form.kind, **context}, status=status)


def _show_saved(request: HttpRequest, entry: DictionaryEntry, message: str) -> HttpResponse:
    if is_htmx(request):
        return _render_row(request, entry.pk)
    messages.success(request, message)
    return redirect("kb:dictionary_entry", entry.pk)


def _render_row(request: HttpRequest, pk: int) -> HttpResponse:
    entry = get_object_or_404(DictionaryEntry.objects.select_related("draft", "updated_by"), pk=pk)
    return render(request, "kb/_dictionary_row.html", {"entry": entry})
