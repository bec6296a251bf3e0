"""Golden questions, the runs that compare a change on them, and what is live: retrieval settings, lexical model."""

from __future__ import annotations

import hashlib

from django.db import models

from hotline.models.lookups import Lookup
from hotline.models.people import User
from hotline.models.tickets import Ticket
from kb.models import PolicyDocument


def digest_of(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()


class GoldenQuestion(models.Model):
    """A question with the policies that answer it. Kept by administrators; personal data masked."""

    question = models.TextField("问题")
    digest = models.CharField("摘要", max_length=64, unique=True)
    documents = models.ManyToManyField(PolicyDocument, related_name="+", verbose_name="正确的政策")
    category = models.CharField("业务类型", max_length=20, choices=Ticket.Category.choices, blank=True)
    note = models.CharField("备注", max_length=200, blank=True)
    lookup = models.ForeignKey(Lookup, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="检索")
    added_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="添加人")
    added_at = models.DateTimeField("添加时间", auto_now_add=True)
    changed_at = models.DateTimeField("更新时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "标准问题"
        ordering = ["-id"]
        permissions = [("change_settings", "更改线上检索设置")]

    def __str__(self) -> str:
        return self.question


class GoldenRun(models.Model):
    """A change on its way to live: compared on the golden questions, then applied, or held until someone decides.

    `proposal` says what is to be applied, by kind: settings `{"settings": …}`, learning `{"settings": …, "model": …}`,
    index `{"index": name}`, instruction `{"instruction": {key, label, text}}`. Figures and rows are those of
    hotline.measurement.
    """

    class Kind(models.TextChoices):
        SETTINGS = "settings", "检索设置"
        LEARNING = "learning", "从使用中学习"
        INDEX = "index", "检索索引"
        INSTRUCTION = "instruction", "指令模板"

    class State(models.TextChoices):
        WAITING = "waiting", "等待比较"
        RUNNING = "running", "比较中"
        HELD = "held", "已拦下"
        APPLIED = "applied", "已生效"
        DROPPED = "dropped", "已放弃"
        FAILED = "failed", "未能比较"

    kind = models.CharField("改动", max_length=12, choices=Kind.choices)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    proposal = models.JSONField("内容", default=dict)
    note = models.CharField("说明", max_length=200, blank=True)
    override_note = models.CharField("放行理由", max_length=200, blank=True)
    questions = models.PositiveIntegerField("标准问题数", default=0)
    done = models.PositiveIntegerField("已问", default=0)
    figures_before = models.JSONField("改动前", default=dict, blank=True)
    figures_after = models.JSONField("改动后", default=dict, blank=True)
    fallen = models.JSONField("下降的指标", default=list, blank=True)
    changed_rows = models.JSONField("有变化的问题", default=list, blank=True)
    error = models.TextField("错误", blank=True)
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="提出人")
    decided_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="放行人"
    )
    created_at = models.DateTimeField("提出时间", auto_now_add=True)
    attempts = models.PositiveSmallIntegerField("比较次数", default=0)
    heartbeat_at = models.DateTimeField("最近进度", null=True, blank=True)
    finished_at = models.DateTimeField("结束时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "标准问题比较"
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @property
    def is_override(self) -> bool:
        return bool(self.override_note)

    @property
    def is_open(self) -> bool:
        return self.state in {self.State.WAITING, self.State.RUNNING}


class SavedSettings(models.Model):
    """Retrieval settings as they were saved; the newest row is live. To undo is to save an earlier one again."""

    settings = models.JSONField("设置", default=dict)
    note = models.CharField("说明", max_length=200, blank=True)
    is_override = models.BooleanField("指标下降仍放行", default=False)
    golden_run = models.ForeignKey(GoldenRun, models.SET_NULL, null=True, blank=True, related_name="+")
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="保存人")
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "检索设置"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"检索设置 {self.pk}"


class LexicalModelVersion(models.Model):
    """Coefficients of the lexical reranker learned from use; the newest row is live.

    `content` as in the model's file; empty: those that the deployment names or that ship.
    """

    revision = models.CharField("修订号", max_length=20, blank=True)
    content = models.JSONField("系数", default=dict, blank=True)
    is_override = models.BooleanField("指标下降仍放行", default=False)
    golden_run = models.ForeignKey(GoldenRun, models.SET_NULL, null=True, blank=True, related_name="+")
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="操作人")
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "词法重排系数"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.revision or "随产品提供"
