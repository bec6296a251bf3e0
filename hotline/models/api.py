"""Keys of ticketing systems and the audit trail."""

from __future__ import annotations

from django.db import models
from rest_framework_api_key.models import AbstractAPIKey

from hotline.models.people import User
from kb.models import Department


class APIKey(AbstractAPIKey):
    """A hashed key of a ticketing system with its scopes."""

    class Scope(models.TextChoices):
        TICKETS = "tickets", "工单读写"
        LOOKUPS = "lookups", "检索与重排"
        DOCUMENTS_READ = "documents:read", "读取政策文件"
        DOCUMENTS_WRITE = "documents:write", "上传政策文件"
        LAB = "lab", "检索实验台"

    scopes = models.JSONField("权限范围", default=list, blank=True)
    department = models.ForeignKey(Department, models.SET_NULL, null=True, blank=True, verbose_name="部门")

    class Meta(AbstractAPIKey.Meta):
        verbose_name = verbose_name_plural = "API 密钥"


class AuditEvent(models.Model):
    """Who did what; written in the same transaction as the deed."""

    action = models.CharField("动作", max_length=50)
    subject = models.CharField("对象", max_length=100)
    details = models.JSONField("内容", default=dict, blank=True)
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="操作人")
    api_key = models.ForeignKey(APIKey, models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "操作记录"
        ordering = ["-id"]
        indexes = [models.Index(fields=["subject", "-id"])]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
