"""The laboratory: runs of many questions under settings on trial, and questions that no policy answers."""

from __future__ import annotations

from django.db import models

from hotline.models.api import APIKey
from hotline.models.people import User
from hotline.models.tickets import Ticket


class LabComparison(models.Model):
    """A question, masked, with the settings of two columns: what an address of the laboratory stands for.

    Results are not kept; whoever opens it asks anew.
    """

    question = models.TextField("问题")
    category = models.CharField("业务类型", max_length=20, choices=Ticket.Category.choices, blank=True)
    as_of = models.DateField("以哪一天为准")
    first = models.JSONField("左列")
    second = models.JSONField("右列")
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="提问人")
    at = models.DateTimeField("时间", auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = verbose_name_plural = "实验台对比"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.question


class LabRun(models.Model):
    """Questions asked under two settings, in the background. Its own place in the queue, claimed with a lease.

    `file_digest`: SHA-256 of the file. `measured_on`: by side, what the questions were asked on (see
    hotline.measurement.CONDITIONS), each a list: more than one where it changed meanwhile.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "等待"
        RUNNING = "running", "进行中"
        DONE = "done", "完成"
        STOPPED = "stopped", "已停止"
        FAILED = "failed", "失败"

    name = models.CharField("名称", max_length=200)
    file_digest = models.CharField("文件摘要", max_length=64, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    settings = models.JSONField("试验设置")
    baseline = models.JSONField("基线设置")
    as_of = models.DateField("以哪一天为准")
    departments = models.JSONField("可见部门", null=True, blank=True)
    questions_total = models.PositiveIntegerField("问题数", default=0)
    questions_done = models.PositiveIntegerField("已完成", default=0)
    figures = models.JSONField("指标", default=dict, blank=True)
    measured_on = models.JSONField("在什么上测得", default=dict, blank=True)
    error = models.TextField("错误", blank=True)
    lease_holder = models.CharField("认领者", max_length=100, blank=True)
    lease_expires_at = models.DateTimeField("租约到期", null=True, blank=True)
    attempts = models.PositiveSmallIntegerField("连续中断次数", default=0)
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="提交人")
    api_key = models.ForeignKey(APIKey, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField("提交时间", auto_now_add=True)
    finished_at = models.DateTimeField("完成时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "批量实验"
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]
        permissions = [("use_laboratory", "使用检索实验台")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether it is still to be worked on."""
        return self.state in {self.State.WAITING, self.State.RUNNING}

    @property
    def is_resumable(self) -> bool:
        return self.state in {self.State.STOPPED, self.State.FAILED}


class LabRow(models.Model):
    """One question of a run. `measured` and `baseline` are MeasuredRows as JSON, empty until it was asked."""

    class Change(models.TextChoices):
        BETTER = "better", "变好"
        WORSE = "worse", "变差"
        SAME = "same", "不变"
        UNLABELLED = "", "无答案"

    run = models.ForeignKey(LabRun, models.CASCADE, related_name="rows", verbose_name="批量实验")
    ordinal = models.PositiveIntegerField("序号")
    question = models.TextField("问题")
    category = models.CharField("业务类型", max_length=20, choices=Ticket.Category.choices, blank=True)
    right_document_ids = models.JSONField("正确的政策", default=list, blank=True)
    unknown_answers = models.CharField("找不到的答案", max_length=500, blank=True)
    is_done = models.BooleanField("已完成", default=False)
    change = models.CharField("变化", max_length=10, choices=Change.choices, blank=True)
    measured = models.JSONField("试验结果", default=dict, blank=True)
    baseline = models.JSONField("基线结果", default=dict, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "实验问题"
        ordering = ["run_id", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["run", "ordinal"], name="one_ordinal_a_run")]
        indexes = [models.Index(fields=["run", "is_done", "ordinal"]), models.Index(fields=["run", "change"])]

    def __str__(self) -> str:
        return self.question


class KnowledgeGap(models.Model):
    """A question that no policy answers, noted until someone has added one."""

    question = models.TextField("问题")
    note = models.TextField("说明", blank=True)
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="记录人")
    at = models.DateTimeField("记录时间", auto_now_add=True)
    closed_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="处理人")
    closed_at = models.DateTimeField("处理时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "知识缺口"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.question
