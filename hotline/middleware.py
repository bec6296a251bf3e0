"""What every request passes before a view."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse

NUL = "%00"


def drop_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """PostgreSQL takes no NUL, not even to look for it: no path has one, and what is asked is asked without.

    Forms refuse it by themselves.
    """

    def drop(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            raise Http404
        query = request.META.get("QUERY_STRING", "")
        if NUL in query:
            while NUL in query:
                query = query.replace(NUL, "")
            request.META["QUERY_STRING"] = query
            request.__dict__.pop("GET", None)  # read anew, should anybody have read it
        return get_response(request)

    return drop
