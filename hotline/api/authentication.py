"""Who calls: a ticketing system by its key, or a person by their session."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from hotline.models import APIKey

PREFIX = "Api-Key "


class APIKeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key <key>`; `request.auth` is then the APIKey and the user is anonymous."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, APIKey] | None:
        header = request.headers.get("Authorization", "")
        if not header.startswith(PREFIX):
            return None
        try:
            key = cast(APIKey, APIKey.objects.get_from_key(header.removeprefix(PREFIX).strip()))
        except APIKey.DoesNotExist:
            raise AuthenticationFailed("API 密钥无效或已吊销。", code="invalid_api_key") from None
        if key.has_expired:
            raise AuthenticationFailed("API 密钥已过期。", code="expired_api_key")
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"
