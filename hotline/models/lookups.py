"""Questions asked, their candidates and results, and what waits to be reranked."""

from __future__ import annotations

from django.db import models

from hotline.models.people import User
from hotline.models.tickets import Ticket
from kb.models import DocumentVersion, IndexVersion, Passage


class InstructionTemplate(models.Model):
    """An administrator's wording of an instruction to the reranker; it goes before the built-in one of the same key.

    Rows are only ever added: the newest of a key is live, one without text withdraws it. To undo is to save an earlier
    one again.
    """

    key = models.SlugField("代码", max_length=50)
    label = models.CharField("名称", max_length=100)
    text = models.TextField("指令", blank=True)
    is_override = models.BooleanField("指标下降仍放行", default=False)
    golden_run = models.ForeignKey("hotline.GoldenRun", models.SET_NULL, null=True, blank=True, related_name="+")
    by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="保存人")
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "指令模板"
        ordering = ["-id"]
        indexes = [models.Index(fields=["key", "-id"])]

    def __str__(self) -> str:
        return self.label


class Lookup(models.Model):
    """One question asked. It is its own place in the queue: a waiting lookup is claimed with a lease."""

    class State(models.TextChoices):
        WAITING = "waiting", "等待重排"
        RERANKING = "reranking", "重排中"
        DONE = "done", "完成"

    ticket = models.ForeignKey(
        Ticket, models.PROTECT, null=True, blank=True, related_name="lookups", verbose_name="工单"
    )
    question = models.TextField("问题")
    instruction = models.CharField("指令模板", max_length=50, blank=True)
    as_of = models.DateField("以哪一天为准")
    filters = models.JSONField("筛选", default=dict, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    asked_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="提问人")
    created_at = models.DateTimeField("提问时间", auto_now_add=True)
    finished_at = models.DateTimeField("完成时间", null=True, blank=True)

    steps = models.JSONField("理解步骤", default=list, blank=True)
    without = models.JSONField("去掉的步骤", default=list, blank=True)
    rewrites_chosen = models.BooleanField("改写由坐席选定", default=False)
    rule_versions = models.JSONField("词典版本", default=dict, blank=True)

    lease_holder = models.CharField("认领者", max_length=100, blank=True)
    lease_expires_at = models.DateTimeField("租约到期", null=True, blank=True)
    attempts = models.PositiveSmallIntegerField("尝试次数", default=0)

    engine = models.CharField("检索引擎", max_length=20, blank=True)
    index_version = models.ForeignKey(IndexVersion, models.SET_NULL, null=True, blank=True, related_name="+")
    reranker = models.CharField("重排器", max_length=100, blank=True)
    reranker_revision = models.CharField("重排器版本", max_length=100, blank=True)
    is_calibrated = models.BooleanField("分数有绝对零点", default=False)
    notices = models.JSONField("提示", default=list, blank=True)

    gap = models.FloatField("分差", null=True, blank=True)
    gap_threshold = models.FloatField("分差阈值", null=True, blank=True)
    first_share = models.FloatField("首位占比", null=True, blank=True)
    reasons = models.JSONField("二次校验原因", default=list, blank=True)
    milliseconds = models.JSONField("各阶段用时", default=dict, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "检索"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "lease_expires_at", "id"]),
            models.Index(fields=["ticket", "-id"]),
        ]

    def __str__(self) -> str:
        return f"检索 {self.pk}"

    @property
    def is_final(self) -> bool:
        return self.state == self.State.DONE

    @property
    def used_rewrites(self) -> int:
        """How many wordings were searched beside the first."""
        return sum(bool(variant.ordinal) and variant.is_used for variant in self.variants.all())


class RerankJob(models.Model):
    """Documents that a caller of the API wants ordered. Waits in the database as lookups do; removed when answered."""

    class State(models.TextChoices):
        WAITING = "waiting", "等待重排"
        RERANKING = "reranking", "重排中"
        DONE = "done", "完成"
        FAILED = "failed", "失败"

    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    request = models.JSONField("请求")
    response = models.JSONField("结果", default=dict, blank=True)
    lease_expires_at = models.DateTimeField("租约到期", null=True, blank=True)
    created_at = models.DateTimeField("提交时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "重排请求"
        ordering = ["id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"重排请求 {self.pk}"


class QueryVariant(models.Model):
    """A wording of the lookup's question. Number 0 is the text that was searched first."""

    lookup = models.ForeignKey(Lookup, models.CASCADE, related_name="variants")
    ordinal = models.PositiveSmallIntegerField("序号")
    kind = models.CharField("种类", max_length=30)
    text = models.TextField("文字")
    explanation = models.TextField("说明", blank=True)
    is_used = models.BooleanField("参与检索", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "问题变体"
        ordering = ["lookup_id", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["lookup", "ordinal"], name="one_variant_ordinal_a_lookup")]

    def __str__(self) -> str:
        return self.text


class Result(models.Model):
    """A document version as candidate of a lookup, with its place before and after reranking."""

    lookup = models.ForeignKey(Lookup, models.CASCADE, related_name="results")
    version = models.ForeignKey(DocumentVersion, models.PROTECT, related_name="+", verbose_name="政策版本")
    first_stage_rank = models.PositiveSmallIntegerField("初筛名次")
    first_stage_score = models.FloatField("初筛分")
    rank = models.PositiveSmallIntegerField("名次")
    log_odds = models.FloatField("对数几率", null=True, blank=True)
    relevance_score = models.FloatField("相关度", null=True, blank=True)
    features = models.JSONField("特征", default=dict, blank=True)
    is_adopted = models.BooleanField("已采纳", default=False)

    class Meta:
        verbose_name = verbose_name_plural = "检索结果"
        ordering = ["lookup_id", "rank"]
        constraints = [models.UniqueConstraint(fields=["lookup", "version"], name="one_version_a_lookup")]
        indexes = [models.Index(fields=["lookup", "rank"])]

    def __str__(self) -> str:
        return f"{self.lookup_id} #{self.rank} {self.version_id}"


class ResultPassage(models.Model):
    """One of a result's best passages, with the spans that answer: `[[start, end], …]` in the passage's text.

    `ordinal` is the place in which it is shown; `highlights` come the strongest answer first. `score` is 0 for a
    passage that is shown for its answer though the first stage had it not among the document's best.
    """

    result = models.ForeignKey(Result, models.CASCADE, related_name="passages")
    passage = models.ForeignKey(Passage, models.PROTECT, related_name="+")
    ordinal = models.PositiveSmallIntegerField("序号")
    score = models.FloatField("初筛分")
    highlights = models.JSONField("高亮", default=list, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "结果段落"
        ordering = ["result_id", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["result", "passage"], name="one_passage_a_result")]

    def __str__(self) -> str:
        return f"{self.result_id}.{self.ordinal}"
