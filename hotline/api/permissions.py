"""What a caller may do: scopes of a key, permissions of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from hotline.models import APIKey

if TYPE_CHECKING:  # the framework's views name these classes in their own import
    from rest_framework.views import APIView

Scope = APIKey.Scope
PERSON_PERMISSIONS = {
    Scope.TICKETS: "hotline.answer_calls",
    Scope.LOOKUPS: "hotline.answer_calls",
    Scope.DOCUMENTS_READ: "hotline.answer_calls",
    Scope.DOCUMENTS_WRITE: "kb.manage_knowledge",
    Scope.LAB: "hotline.use_laboratory",
}


class HasScope(BasePermission):
    """The view names its scope in `required_scope`, or one for each method in `required_scopes`.

    A view that names none is closed.
    """

    message = "没有这项操作的权限。"
    code = "missing_scope"

    def has_permission(self, request: Request, view: APIView) -> bool:
        scopes = getattr(view, "required_scopes", {})
        scope = scopes.get(request.method) or getattr(view, "required_scope", None)
        if scope is None:
            return False
        if isinstance(request.auth, APIKey):
            return scope in request.auth.scopes
        return bool(request.user and request.user.has_perm(PERSON_PERMISSIONS[scope]))
