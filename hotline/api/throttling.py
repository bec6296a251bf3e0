"""How often a caller may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from hotline.models import APIKey

if TYPE_CHECKING:  # the framework's views name these classes in their own import
    from rest_framework.views import APIView


class KeyRateThrottle(SimpleRateThrottle):
    """Counted by key, else by person, else by address. Not at all while Redis is away: the limit protects the desk

    from a caller that runs wild, and a call that is answered too often does less harm than one that is turned away.
    """

    scope = "key"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        if isinstance(request.auth, APIKey):
            ident = f"key-{request.auth.prefix}"
        elif request.user and request.user.is_authenticated:
            ident = f"user-{request.user.pk}"
        else:
            ident = f"address-{self.get_ident(request)}"
        return self.cache_format % {"scope": self.scope, "ident": ident}
