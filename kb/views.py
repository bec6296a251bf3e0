"""The knowledge administrators' pages: upload, look over, correct, publish."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kb import indexing, page_selectors
from kb.errors import KnowledgeError
from kb.forms import ChainForm, DayForm, DocumentFilterForm, MetadataForm, RepealForm
from kb.models import DocumentVersion, PolicyDocument, Upload
from kb.opened_forms import digest_values, keep_opened
from kb.services import uploads as upload_service
from kb.services import versions as version_service
from kb.web import guarded_view, is_htmx, paginate, read_id, read_ids

T = TypeVar("T")
FormT = TypeVar("FormT", RepealForm, ChainForm)

knowledge_view = guarded_view("kb.manage_knowledge")


@require_GET
@knowledge_view
def list_documents(request: HttpRequest) -> HttpResponse:
    form = DocumentFilterForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {"q": "", "status": ""}
    today = timezone.localdate()
    rows = paginate(request, page_selectors.list_versions(query=chosen["q"], status=chosen["status"], day=today))
    return render(request, "kb/documents.html", {"form": form, "rows": rows, "status": chosen["status"]})


@require_GET
@knowledge_view
def show_document(request: HttpRequest, pk: int) -> HttpResponse:
    document = _or_404(page_selectors.load_document(pk))
    form = DayForm(request.GET or None)
    day = (form.cleaned_data["day"] if form.is_valid() else None) or timezone.localdate()
    versions = page_selectors.list_document_versions(document)
    rows = [(version, version.status_on(day)) for version in versions]
    return render(request, "kb/document.html", {"document": document, "rows": rows, "day": day, "form": form})


@require_http_methods(["GET", "POST"])
@knowledge_view
def show_uploads(request: HttpRequest) -> HttpResponse:
    """The list, and the form that takes many files at once."""
    if request.method == "POST":
        return _take_files(request)
    return render(request, "kb/uploads.html", {"rows": paginate(request, page_selectors.list_uploads(), 30)})


@require_GET
@knowledge_view
def show_upload(request: HttpRequest, pk: int) -> HttpResponse:
    upload = _or_404(page_selectors.load_upload(pk))
    rows = paginate(request, page_selectors.list_upload_versions(upload), 50)
    return render(request, "kb/upload.html", {"upload": upload, "rows": rows})


@require_GET
@knowledge_view
def show_upload_row(request: HttpRequest, pk: int) -> HttpResponse:
    """One row of the list for polling: 204 while its state is the one `seen`."""
    upload = _or_404(page_selectors.load_upload(pk))
    if request.GET.get("seen") == upload.state:
        return HttpResponse(status=204)
    return render(request, "kb/_upload_row.html", {"upload": upload})


@require_POST
@knowledge_view
def retry_upload(request: HttpRequest, pk: int) -> HttpResponse:
    upload_service.retry_upload(upload=get_object_or_404(Upload, pk=pk), by=request.user)
    if is_htmx(request):
        return render(request, "kb/_upload_row.html", {"upload": page_selectors.load_upload(pk)})
    return redirect("kb:uploads")


@require_POST
@knowledge_view
def publish_versions(request: HttpRequest) -> HttpResponse:
    """The ticked versions, or all drafts of an upload."""
    count = version_service.publish_versions(versions=_chosen_versions(request), by=request.user)
    messages.success(request, f"已发布 {count} 项，正在写入索引。" if count else "所选的都已发布。")
    upload = read_id(request.POST.get("upload"))
    return redirect("kb:upload", upload) if upload else redirect("kb:documents")


@require_http_methods(["GET", "POST"])
@knowledge_view
def show_version(request: HttpRequest, pk: int) -> HttpResponse:
    """The parsed text beside its metadata; posting corrects the metadata."""
    version = _or_404(page_selectors.load_version(pk))
    form = MetadataForm(request.POST or None, instance=version)
    opened = request.POST.get("opened", "")
    if request.method == "POST" and form.is_valid():
        try:
            version_service.correct_metadata(version=version, changes=form.changes(), by=request.user, opened=opened)
        except KnowledgeError as error:
            form.add_error(None, str(error))
            opened = keep_opened(opened, error)
        else:
            messages.success(request, "元数据已更正。" if form.changed_data else "没有需要更正的内容。")
            return redirect("kb:version", pk)
    context = _version_context(request, version, form, opened)
    return render(request, "kb/version.html", context, status=400 if form.errors else 200)


@require_POST
@knowledge_view
def publish_version(request: HttpRequest, pk: int) -> HttpResponse:
    version_service.publish_versions(versions=[_version(pk)], by=request.user)
    return _back_to_version(request, pk, "已发布，正在写入索引。")


@require_POST
@knowledge_view
def withdraw_version(request: HttpRequest, pk: int) -> HttpResponse:
    version_service.withdraw_version(version=_version(pk), by=request.user)
    return _back_to_version(request, pk, "已撤回，不再被检索到。")


@require_POST
@knowledge_view
def repeal_version(request: HttpRequest, pk: int) -> HttpResponse:
    form = _valid(RepealForm(request.POST))
    version_service.repeal_version(
        version=_version(pk), on=form.cleaned_data["on"], reason=form.cleaned_data["reason"], by=request.user
    )
    return _back_to_version(request, pk, "已记录废止。")


@require_POST
@knowledge_view
def chain_version(request: HttpRequest, pk: int) -> HttpResponse:
    """Make it the newest version of another policy."""
    form = _valid(ChainForm(request.POST))
    document = get_object_or_404(PolicyDocument, pk=form.cleaned_data["document"])
    version_service.set_as_new_version_of(version=_version(pk), document=document, by=request.user)
    return _back_to_version(request, pk, "已设为该政策的新版本。")


@require_http_methods(["GET", "POST"])
@knowledge_view
def show_index(request: HttpRequest) -> HttpResponse:
    """The index versions with their progress; posting asks for a rebuild."""
    if request.method == "POST":
        indexing.request_rebuild()
        messages.success(request, "已请求重建索引，进度见下表。")
        return redirect("kb:index")
    indexes = page_selectors.list_index_versions()
    context = {"indexes": indexes, "is_building": any(index.state == "building" for index in indexes)}
    return render(request, "kb/_indexes.html" if is_htmx(request) else "kb/index.html", context)


def _take_files(request: HttpRequest) -> HttpResponse:
    files = request.FILES.getlist("files")
    if not files:
        raise KnowledgeError("请先选择文件。", code="no_files")
    taken, refusals = [], []
    for file in files:
        try:
            upload, is_new = upload_service.register_upload(name=file.name, data=file, by=request.user)
            taken.append((upload, is_new))
        except KnowledgeError as error:
            refusals.append(str(error))
    if is_htmx(request):
        rows = [(page_selectors.load_upload(upload.pk), is_new) for upload, is_new in taken]
        return render(request, "kb/_upload_rows.html", {"taken": rows, "refusals": refusals})
    for message in refusals:
        messages.error(request, message)
    known = [upload.name for upload, is_new in taken if not is_new]
    if known:
        messages.info(request, f"内容相同的文件已上传过，没有重复保存：{'、'.join(known)}")
    return redirect("kb:uploads")


def _version_context(request: HttpRequest, version: DocumentVersion, form: MetadataForm, opened: str) -> dict[str, Any]:
    find = request.GET.get("find", version.title)
    # A form that was refused has changed the instance it holds; the page shows what is stored.
    stored = page_selectors.load_version(version.pk) if form.errors else version
    return {
        "version": stored,
        "form": form,
        "opened": opened or digest_values(version_service.describe_metadata(stored)),
        "repeal_form": RepealForm(initial={"on": timezone.localdate()}),
        "passages": paginate(request, page_selectors.list_passages(version), 40),
        "history": list(version.metadata_changes.select_related("by")[:50]),
        "find": find,
        "candidates": page_selectors.find_documents(find, besides=version),
    }


def _chosen_versions(request: HttpRequest) -> QuerySet[DocumentVersion]:
    upload = read_id(request.POST.get("upload"))
    if "all" in request.POST and upload:
        return DocumentVersion.objects.filter(upload=upload, state=DocumentVersion.State.DRAFT).only("pk")
    ids = read_ids(request.POST.getlist("version"))
    if not ids:
        raise KnowledgeError("请先勾选要发布的草稿。", code="nothing_chosen")
    return DocumentVersion.objects.filter(pk__in=ids).only("pk")


def _version(pk: int) -> DocumentVersion:
    return get_object_or_404(DocumentVersion.objects.only("pk"), pk=pk)


def _valid(form: FormT) -> FormT:
    if not form.is_valid():
        raise KnowledgeError(next(str(error) for errors in form.errors.values() for error in errors))
    return form


def _back_to_version(request: HttpRequest, pk: int, message: str) -> HttpResponse:
    messages.success(request, message)
    return redirect("kb:version", pk)


def _or_404(found: T | None) -> T:
    if found is None:
        raise Http404
    return found
