"""What people say about results: verdicts of secondary reviews and thumbs."""

from __future__ import annotations

from django.db import models

from hotline.models.lookups import Lookup, Result
from hotline.models.people import User


class SecondaryReview(models.Model):
    """A doubtful lookup: checked and perhaps settled by the machine, or waiting for a reviewer's verdict."""

    class State(models.TextChoices):
        CHECKING = "checking", "机器校验中"
        SETTLED = "settled", "机器校验通过"
        WAITING = "waiting", "待复核"
        DECIDED = "decided", "已复核"

    class Verdict(models.TextChoices):
        CONFIRMED = "confirmed", "选定"
        NONE_RIGHT = "none_right", "均不正确"

    lookup = models.OneToOneField(Lookup, models.CASCADE, related_name="review", verbose_name="检索")
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    machine_check = models.JSONField("机器校验", default=dict, blank=True)
    verdict = models.CharField("结论", max_length=12, choices=Verdict.choices, blank=True)
    picked = models.ManyToManyField(Result, blank=True, related_name="+", verbose_name="正确的结果")
    chance = models.FloatField("送来的机会", default=1.0)  # 1 for doubt; for a random sample its share
    note = models.TextField("说明", blank=True)
    reviewer = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="复核员")
    created_at = models.DateTimeField("送复核时间", auto_now_add=True)
    decided_at = models.DateTimeField("复核时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "二次校验"
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"二次校验 {self.lookup_id}"


class Feedback(models.Model):
    """An agent's thumb on a result."""

    result = models.ForeignKey(Result, models.CASCADE, related_name="feedback")
    is_helpful = models.BooleanField("有用")
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name="坐席")
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "反馈"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["result", "by"], name="one_thumb_a_person")]

    def __str__(self) -> str:
        return f"{self.result_id} {'有用' if self.is_helpful else '无用'}"
