"""What every page shares: who may see it, how a refusal is said, and paging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget

from kb.errors import KnowledgeError, UploadTooLarge
from kb.tables import CONTENT_TYPES, write_table

PAGE_SIZE = 20
View = Callable[..., HttpResponse]


def guarded_view(*permissions: str, errors: tuple[type[Exception], ...] = (KnowledgeError,)) -> Callable[[View], View]:
    """For signed-in people with any of the permissions; what a service refuses (`errors`) is answered in place."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return _ask_to_sign_in(request)
            if permissions and not any(request.user.has_perm(name) for name in permissions):
                raise PermissionDenied
            try:
                return view(request, *args, **kwargs)
            except errors as error:
                return answer_error(request, str(error), status=getattr(error, "status", 400))

        return guarded

    return decorate


def answer_error(request: HttpRequest, message: str, *, status: int = 400) -> HttpResponse:
    """A sentence in the page's notice line, or a page of its own without JavaScript."""
    if is_htmx(request):
        response = render(request, "partials/notice.html", {"message": message}, status=status)
        return reswap(retarget(response, "#notice"), "innerHTML")
    return render(request, "error.html", {"message": message, "status": status}, status=status)


def is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


def paginate(request: HttpRequest, rows: QuerySet[Any], size: int = PAGE_SIZE) -> Page:
    return Paginator(rows, size).get_page(request.GET.get("page"))


def read_file(file: UploadedFile) -> bytes:
    """The whole of a file that is at most UPLOAD_MAX_MEGABYTES; a larger one is not read. Raises UploadTooLarge."""
    if (file.size or 0) > settings.UPLOAD_MAX_MEGABYTES * 1024 * 1024:
        raise UploadTooLarge(f"“{file.name}”超过 {settings.UPLOAD_MAX_MEGABYTES} MB，请拆分后再上传。")
    return bytes(file.read())


def read_id(text: str | None) -> int | None:
    """An id as a page sends it; None for what cannot be one: no number, or more than a database holds."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def read_ids(texts: Iterable[str]) -> list[int]:
    """As `read_id`, without what cannot be one."""
    return [pk for text in texts if (pk := read_id(text)) is not None]


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    if is_htmx(request):
        here = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(redirect_to_login(here).url)
    return redirect_to_login(request.get_full_path())


def send_table(format_name: str, stem: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A table to save as `stem`.csv or .xlsx, whose sheet is named so too."""
    data = write_table(format_name, header, rows, title=stem)
    response = HttpResponse(data, content_type=CONTENT_TYPES[format_name])
    response["Content-Disposition"] = f'attachment; filename="{stem}.{format_name}"'
    return response
