"""Django admin of the knowledge base. Policies are changed on the knowledge pages, through the services."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from kb import models


class ReadOnlyAdmin(admin.ModelAdmin):
    """What services write is not edited by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(models.Department)
class DepartmentAdmin(admin.ModelAdmin):
    list_display = ("code", "name")


@admin.register(models.Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("name", "format", "state", "error_code", "uploaded_by", "created_at")
    list_filter = ("state", "format")
    search_fields = ("name", "sha256")


@admin.register(models.DocumentVersion)
class DocumentVersionAdmin(ReadOnlyAdmin):
    list_display = ("title", "document_number", "number", "state", "region", "effective_on", "expires_on")
    list_filter = ("state", "level")
    search_fields = ("title", "document_number")
    show_full_result_count = False


@admin.register(models.IndexVersion)
class IndexVersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "engine", "state", "documents_done", "documents_total", "passages", "live_at", "error")


@admin.register(models.MetadataChange)
class MetadataChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "version", "changes", "by")
