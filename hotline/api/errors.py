"""Every error of the API in one form: `{type, status, code, detail, errors: [{field, code, detail}]}`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from hotline.errors import DeskError
from kb.errors import KnowledgeError


def handle_exception(exc: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(exc, DeskError | KnowledgeError):
        return make_problem(exc.status, exc.code, str(exc))
    from rest_framework.views import exception_handler  # it imports the settings, which import this module

    response = exception_handler(exc, context)
    if response is None:
        return None
    if isinstance(exc, Http404):
        exc = exceptions.NotFound("没有找到。")
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.ValidationError):
        problem = make_problem(response.status_code, "invalid", "提交的内容有误。", _flatten(exc.get_full_details()))
    elif isinstance(exc, exceptions.APIException):
        problem = make_problem(response.status_code, str(exc.get_codes()), str(exc.detail))
    else:
        return response
    for header in ("WWW-Authenticate", "Retry-After"):
        if header in response.headers:
            problem[header] = response.headers[header]
    return problem


def make_problem(code_of_http: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    body = {"type": "about:blank", "status": code_of_http, "code": code, "detail": detail, "errors": errors or []}
    return Response(body, status=code_of_http, content_type="application/problem+json")


def _flatten(details: Any, field: str = "") -> list[dict[str, str]]:
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        return [{"field": field, "code": str(details["code"]), "detail": str(details["message"])}]
    if isinstance(details, dict):
        pairs = [(f"{field}.{key}" if field else str(key), value) for key, value in details.items()]
    else:
        pairs = [(field, value) for value in details]
    return [error for name, value in pairs for error in _flatten(value, name)]
