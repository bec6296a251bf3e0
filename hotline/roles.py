"""The roles: groups with their permissions, made and kept right after every migration."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission

ROLES = {
    "agent": ("hotline.answer_calls",),
    "reviewer": ("hotline.answer_calls", "hotline.review_lookups", "hotline.use_laboratory"),
    "knowledge_administrator": (
        "hotline.answer_calls",
        "kb.manage_knowledge",
        "hotline.change_settings",
        "hotline.use_laboratory",
    ),
}


def ensure_roles(**_: Any) -> None:
    """Add what is missing; what a deployment gave a role besides is left."""
    for name, wanted in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        for label in wanted:
            app, codename = label.split(".")
            permission = Permission.objects.filter(content_type__app_label=app, codename=codename).first()
            if permission:
                group.permissions.add(permission)
