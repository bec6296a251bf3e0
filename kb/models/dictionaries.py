"""The dictionaries of query understanding and segmentation as rows, their drafts, and what went live when.

What is live is an entry; what somebody wants changed is a draft beside it. Drafts go live together, as a release.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q


class EntryFields(models.Model):
    """One row's values. Which of them a kind uses, and what they are called there: kb.dictionary_kinds."""

    class Kind(models.TextChoices):
        SYNONYM = "synonym", "同义词"
        ABBREVIATION = "abbreviation", "简称"
        SPOKEN = "spoken", "口语"
        QUESTION_FORM = "question_form", "问法"
        FILLER = "filler", "赘词"
        SUBJECT = "subject", "主体"
        PLACE = "place", "地名"
        TERM = "term", "领域词"
        COMMON_WORD = "common_word", "常用词"
        QUESTION_WORD = "question_word", "疑问词"

    kind = models.CharField("词典", max_length=20, choices=Kind.choices)
    text = models.CharField("词", max_length=100)
    other = models.CharField("对应", max_length=200, blank=True)
    label = models.CharField("类别", max_length=50, blank=True)
    weight = models.FloatField("权重", default=1.0)
    both = models.BooleanField("双向", default=False)
    frequency = models.PositiveIntegerField("词频", null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.text}→{self.other}" if self.other else self.text

    @property
    def values(self) -> dict[str, Any]:
        """What history keeps and a draft changes."""
        return {name: getattr(self, name) for name in VALUE_FIELDS}


VALUE_FIELDS = ("kind", "text", "other", "label", "weight", "both", "frequency")
# A word may have several synonyms, and districts of several cities share a name; of everything else there is one.
SEVERAL_A_TEXT_KINDS = (EntryFields.Kind.SYNONYM, EntryFields.Kind.PLACE)
SEVERAL_A_TEXT = Q(kind__in=SEVERAL_A_TEXT_KINDS)


class DictionaryEntry(EntryFields):
    """A row that is live, or was.

    `is_builtin`: it came with the product and nobody has changed it. `builtin_key` stays when it is changed, so that
    an upgrade knows which row of the product it was.
    """

    is_live = models.BooleanField("使用中", default=True)
    is_builtin = models.BooleanField("随产品", default=False)
    builtin_key = models.CharField("随产品的词条", max_length=350, null=True, blank=True, unique=True, editable=False)
    updated_at = models.DateTimeField("更新时间", auto_now=True)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="更新人", related_name="+"
    )

    class Meta:
        verbose_name = verbose_name_plural = "词条"
        ordering = ["kind", "id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "text"], condition=~SEVERAL_A_TEXT, name="one_entry_a_word"),
            models.UniqueConstraint(
                fields=["kind", "text", "other"], condition=SEVERAL_A_TEXT, name="one_entry_a_pair"
            ),
        ]
        indexes = [models.Index(fields=["is_live", "kind", "id"])]


class DictionaryDraft(EntryFields):
    """What shall become of an entry; without one, a new entry. It acts on nothing before it goes live.

    `builtin_key`: the product's row that an upgrade of the product brings; None for what somebody has drafted.
    """

    class Action(models.TextChoices):
        ADD = "add", "新增"
        CHANGE = "change", "修改"
        RETIRE = "retire", "停用"
        REVIVE = "revive", "恢复"

    action = models.CharField("动作", max_length=10, choices=Action.choices)
    entry = models.OneToOneField(
        DictionaryEntry, models.CASCADE, null=True, blank=True, related_name="draft", verbose_name="词条"
    )
    builtin_key = models.CharField(  # noqa: DJ001  as an entry's, which is unique or nothing
        "随产品的词条", max_length=350, null=True, blank=True, editable=False
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="起草人", related_name="+"
    )
    at = models.DateTimeField("起草时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "词条草稿"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "text"], condition=Q(entry=None) & ~SEVERAL_A_TEXT, name="one_draft_a_word"
            ),
            models.UniqueConstraint(
                fields=["kind", "text", "other"], condition=Q(entry=None) & SEVERAL_A_TEXT, name="one_draft_a_pair"
            ),
        ]


class DictionaryRelease(models.Model):
    """Changes that went live together. Its id is the version that every process compares and a lookup records."""

    class Origin(models.TextChoices):
        EDITED = "edited", "编辑"
        BUILTIN = "builtin", "随产品"
        RESTORED = "restored", "恢复"

    origin = models.CharField("来源", max_length=10, choices=Origin.choices, default=Origin.EDITED)
    note = models.CharField("说明", max_length=500, blank=True)
    is_override = models.BooleanField("未过关仍生效", default=False)
    comparison = models.JSONField("试用结果", default=dict, blank=True)
    versions = models.JSONField("各词典版本", default=dict, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="操作人", related_name="+"
    )
    at = models.DateTimeField("生效时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "词典版本"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"第 {self.pk} 版"


class DictionaryChange(models.Model):
    """One entry's change in a release. `before` is None for a new entry; both hold `is_live` besides the values."""

    release = models.ForeignKey(DictionaryRelease, models.PROTECT, related_name="changes", verbose_name="版本")
    entry = models.ForeignKey(DictionaryEntry, models.PROTECT, related_name="changes", verbose_name="词条")
    before = models.JSONField("原来", null=True, blank=True)
    after = models.JSONField("现在")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="起草人", related_name="+"
    )

    class Meta:
        verbose_name = verbose_name_plural = "词条变更"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.release_id} {self.entry_id}"


class DictionaryTrial(models.Model):
    """The drafts tried on real questions before they go live. `drafts_sha256` says which drafts."""

    class State(models.TextChoices):
        WAITING = "waiting", "等待"
        RUNNING = "running", "试用中"
        DONE = "done", "完成"
        FAILED = "failed", "失败"

    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    release = models.ForeignKey(DictionaryRelease, models.PROTECT, null=True, related_name="+", verbose_name="对照版本")
    drafts_sha256 = models.CharField("草稿", max_length=64)
    comparison = models.JSONField("结果", default=dict, blank=True)
    error = models.TextField("错误", blank=True)
    lease_expires_at = models.DateTimeField("租约到期", null=True, blank=True)
    attempts = models.PositiveSmallIntegerField("试用次数", default=0)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="操作人", related_name="+"
    )
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "词典试用"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"试用 {self.pk}"
