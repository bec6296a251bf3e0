"""Citizens' matters."""

from __future__ import annotations

from django.db import models

from hotline.models.people import User
from kb.models import Passage


class Ticket(models.Model):
    """One citizen's matter. Texts are stored with personal data masked."""

    class State(models.TextChoices):
        OPEN = "open", "处理中"
        ANSWERED = "answered", "已答复"
        TRANSFERRED = "transferred", "已转办"
        CLOSED = "closed", "已结束"

    class Category(models.TextChoices):
        POLICY_CONSULTATION = "policy_consultation", "政策咨询"
        SERVICE_GUIDE = "service_guide", "办事指南"
        COMPLAINT = "complaint", "投诉举报"
        LEGAL_QUESTION = "legal_question", "法律问题"
        REGULATIONS = "regulations", "法规规章"
        OTHER = "", "未分类"

    number = models.CharField("工单号", max_length=20, unique=True)
    external_id = models.CharField("外部工单号", max_length=100, unique=True, null=True, blank=True)
    state = models.CharField("状态", max_length=12, choices=State.choices, default=State.OPEN)
    category = models.CharField("业务类型", max_length=20, choices=Category.choices, blank=True)
    question = models.TextField("诉求")
    caller = models.CharField("来电", max_length=40, blank=True)
    region = models.CharField("地区", max_length=100, blank=True)
    notes = models.TextField("备注", blank=True)
    answer = models.TextField("答复", blank=True)
    transferred_to = models.CharField("转办单位", max_length=200, blank=True)
    adopted_passage = models.ForeignKey(
        Passage, models.PROTECT, null=True, blank=True, verbose_name="采纳的段落", related_name="+"
    )
    agent = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, verbose_name="坐席", related_name="tickets")
    created_at = models.DateTimeField("创建时间", auto_now_add=True)
    updated_at = models.DateTimeField("更新时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "工单"
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "-id"]), models.Index(fields=["-created_at"])]
        permissions = [("answer_calls", "使用坐席工作台"), ("review_lookups", "人工复核")]

    def __str__(self) -> str:
        return self.number
