"""The audit trail: an event in the same transaction as the deed."""

from __future__ import annotations

from django.db import models

from hotline.models import APIKey, AuditEvent, User


def record_event(
    *, action: str, subject: models.Model, by: User | None, api_key: APIKey | None = None, **details: object
) -> None:
    """`details` are plain values without personal data."""
    name = f"{subject._meta.model_name}:{subject.pk}"
    AuditEvent.objects.create(action=action, subject=name, details=details, by=by, api_key=api_key)
