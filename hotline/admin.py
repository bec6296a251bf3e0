"""Django admin of the desk: mostly to look; keys and users to change."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from rest_framework_api_key.admin import APIKeyModelAdmin

from hotline import models
from kb.admin import ReadOnlyAdmin


@admin.register(models.User)
class UserAdmin(BaseUserAdmin):
    list_display = ("username", "last_name", "agent_number", "department", "is_active")
    fieldsets = (*(BaseUserAdmin.fieldsets or ()), ("坐席", {"fields": ("agent_number", "department")}))


@admin.register(models.APIKey)
class APIKeyAdmin(APIKeyModelAdmin):
    list_display = (*APIKeyModelAdmin.list_display, "scopes", "department")  # type: ignore[assignment]


@admin.register(models.InstructionTemplate)
class InstructionTemplateAdmin(ReadOnlyAdmin):
    list_display = ("key", "label", "by", "at")


@admin.register(models.Ticket)
class TicketAdmin(ReadOnlyAdmin):
    list_display = ("number", "external_id", "state", "category", "agent", "created_at")
    list_filter = ("state", "category")
    search_fields = ("number", "external_id", "question")


@admin.register(models.Lookup)
class LookupAdmin(ReadOnlyAdmin):
    list_display = ("id", "ticket", "state", "reranker", "gap", "gap_threshold", "reasons", "created_at")
    list_filter = ("state", "reranker")


@admin.register(models.SecondaryReview)
class SecondaryReviewAdmin(ReadOnlyAdmin):
    list_display = ("lookup", "state", "verdict", "reviewer", "created_at", "decided_at")
    list_filter = ("state", "verdict")


@admin.register(models.AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "action", "subject", "by", "api_key")
    list_filter = ("action",)


@admin.register(models.Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = ("at", "result", "is_helpful", "by")


@admin.register(models.LabRun)
class LabRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "state", "questions_done", "questions_total", "by", "created_at")
    list_filter = ("state",)


@admin.register(models.KnowledgeGap)
class KnowledgeGapAdmin(ReadOnlyAdmin):
    list_display = ("question", "by", "at", "closed_by", "closed_at")
