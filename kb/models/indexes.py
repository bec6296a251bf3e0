"""The search indexes that are built of the published versions."""

from __future__ import annotations

from django.db import models


class IndexVersion(models.Model):
    """One physical search index. At most one is live; the last one is kept for a rollback."""

    class State(models.TextChoices):
        BUILDING = "building", "构建中"
        LIVE = "live", "使用中"
        PREVIOUS = "previous", "上一版"
        RETIRED = "retired", "已清除"
        FAILED = "failed", "失败"
        HELD = "held", "待放行"
        APPROVED = "approved", "待启用"

    name = models.CharField("名称", max_length=150, unique=True)
    engine = models.CharField("引擎", max_length=20)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.BUILDING)
    dictionary_sha256 = models.CharField("分词词典", max_length=64)
    documents_total = models.PositiveIntegerField("政策总数", default=0)
    documents_done = models.PositiveIntegerField("已处理政策", default=0)
    last_document_id = models.BigIntegerField("处理到的政策", default=0)
    passages = models.PositiveIntegerField("段落数", default=0)
    error = models.TextField("错误", blank=True)
    failures = models.PositiveSmallIntegerField("失败次数", default=0)
    failed_at = models.DateTimeField("最近失败", null=True, blank=True)
    started_at = models.DateTimeField("开始", auto_now_add=True)
    live_at = models.DateTimeField("启用", null=True, blank=True)
    heartbeat_at = models.DateTimeField("最近进度", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "索引版本"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def progress(self) -> float:
        """Share of documents handled, 0 to 1."""
        return self.documents_done / self.documents_total if self.documents_total else 0.0
