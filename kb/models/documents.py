"""What is kept of policy files: uploads, documents, their immutable versions and passages."""

from __future__ import annotations

from datetime import date

from django.conf import settings
from django.db import models
from django.utils import timezone

from kb.status import Status, ValidityDates, status_on


class Department(models.Model):
    """Who may read a document; a version without departments is for everyone."""

    code = models.SlugField("代码", max_length=50, unique=True)
    name = models.CharField("名称", max_length=100)

    class Meta:
        verbose_name = verbose_name_plural = "部门"
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class Upload(models.Model):
    """A file as it came, known by its SHA-256. A refused one is kept with its reason."""

    class State(models.TextChoices):
        WAITING = "waiting", "等待解析"
        PARSING = "parsing", "解析中"
        PARSED = "parsed", "已解析"
        REFUSED = "refused", "未采用"

    sha256 = models.CharField("SHA-256", max_length=64, unique=True)
    name = models.CharField("文件名", max_length=255)
    file = models.FileField("文件", upload_to="%Y/%m/", max_length=300)
    size = models.PositiveBigIntegerField("字节数")
    format = models.CharField("格式", max_length=20, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.WAITING)
    error_code = models.CharField("原因代码", max_length=50, blank=True)
    error = models.TextField("原因", blank=True)
    warnings = models.JSONField("提示", default=list, blank=True)
    attempts = models.PositiveSmallIntegerField("尝试次数", default=0)
    lease_expires_at = models.DateTimeField("租约到期", null=True, blank=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="上传人", related_name="+"
    )
    created_at = models.DateTimeField("上传时间", auto_now_add=True)
    parsed_at = models.DateTimeField("解析时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "上传文件"
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return self.name


class PolicyDocument(models.Model):
    """A policy: the chain of its versions. `revision` rises with every change; the index follows it."""

    external_id = models.CharField("外部编号", max_length=200, unique=True, null=True, blank=True)
    revision = models.PositiveIntegerField("修订号", default=1)
    indexed_revision = models.PositiveIntegerField("已入索引的修订号", default=0)
    created_at = models.DateTimeField("创建时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "政策文件"
        ordering = ["-id"]
        permissions = [("manage_knowledge", "管理知识库")]

    def __str__(self) -> str:
        return self.external_id or f"政策 {self.pk}"


class DocumentVersion(models.Model):
    """One text of a policy. The text never changes; the metadata can be corrected, with history."""

    class State(models.TextChoices):
        DRAFT = "draft", "草稿"
        PUBLISHED = "published", "已发布"
        WITHDRAWN = "withdrawn", "已撤回"

    class Level(models.TextChoices):
        NATIONAL = "national", "国家"
        PROVINCE = "province", "省"
        CITY = "city", "市"
        DISTRICT = "district", "区县"
        STREET = "street", "街道乡镇"
        UNKNOWN = "", "未注明"

    document = models.ForeignKey(PolicyDocument, models.PROTECT, related_name="versions", verbose_name="政策")
    upload = models.ForeignKey(Upload, models.PROTECT, null=True, blank=True, related_name="versions")
    number = models.PositiveIntegerField("版本")
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.DRAFT)

    title = models.CharField("标题", max_length=500)
    document_number = models.CharField("发文字号", max_length=120, blank=True)
    issuer = models.CharField("发文机关", max_length=200, blank=True)
    level = models.CharField("层级", max_length=10, choices=Level.choices, blank=True)
    region = models.CharField("适用地区", max_length=100, blank=True)
    category = models.CharField("业务类别", max_length=100, blank=True)
    departments = models.ManyToManyField(Department, blank=True, verbose_name="可见部门", related_name="versions")
    issued_on = models.DateField("发布日期", null=True, blank=True)
    effective_on = models.DateField("施行日期", null=True, blank=True)
    expires_on = models.DateField("失效日期", null=True, blank=True, help_text="有效期的最后一天")
    repealed_on = models.DateField("废止日期", null=True, blank=True, help_text="自这一天起不再执行")
    superseded_on = models.DateField("被新版取代之日", null=True, blank=True, editable=False)
    repealed_by = models.CharField("废止依据", max_length=500, blank=True)

    text = models.TextField("正文")
    text_sha256 = models.CharField("正文 SHA-256", max_length=64)
    page_starts = models.JSONField("各页起点", default=list, blank=True)
    warnings = models.JSONField("提示", default=list, blank=True)
    repeals = models.JSONField("正文所废止的文件", default=list, blank=True)
    passage_scheme = models.PositiveSmallIntegerField("切分方案", default=1)

    created_at = models.DateTimeField("创建时间", auto_now_add=True)
    published_at = models.DateTimeField("发布时间", null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name="发布人", related_name="+"
    )

    class Meta:
        verbose_name = verbose_name_plural = "政策版本"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["document", "number"], name="one_number_a_document"),
            models.UniqueConstraint(fields=["document", "text_sha256"], name="one_text_a_document"),
        ]
        indexes = [
            models.Index(fields=["state", "id"]),
            models.Index(fields=["document_number"]),
            models.Index(fields=["title"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def validity(self) -> ValidityDates:
        return ValidityDates(
            is_published=self.state == self.State.PUBLISHED,
            starts_on=self.effective_on or self.issued_on,
            expires_on=self.expires_on,
            repealed_on=self.repealed_on,
            superseded_on=self.superseded_on,
        )

    def status_on(self, day: date) -> Status:
        return status_on(self.validity, day)

    @property
    def status_today(self) -> Status:
        return self.status_on(timezone.localdate())

    @property
    def citation(self) -> str:
        """《标题》（发文字号）."""
        return f"《{self.title}》" + (f"（{self.document_number}）" if self.document_number else "")


class Passage(models.Model):
    """About 300 characters of a version, by offsets in its text. Never changed and never deleted once shown."""

    version = models.ForeignKey(DocumentVersion, models.CASCADE, related_name="passages", verbose_name="版本")
    ordinal = models.PositiveIntegerField("序号")
    start = models.PositiveIntegerField("起点")
    end = models.PositiveIntegerField("终点")
    header = models.TextField("重复的表头", blank=True)
    text = models.TextField("文本")
    heading_path = models.JSONField("章节", default=list, blank=True)
    page = models.PositiveIntegerField("页码", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "段落"
        ordering = ["version_id", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["version", "ordinal"], name="one_ordinal_a_version")]

    def __str__(self) -> str:
        return f"{self.version} {self.location}"

    @property
    def location(self) -> str:
        """Where it stands, for people: 第三章 第十二条."""
        return " ".join(self.heading_path) or f"第 {self.ordinal + 1} 段"

    @property
    def searchable_text(self) -> str:
        return f"{self.header}\n{self.text}" if self.header else self.text


class MetadataChange(models.Model):
    """One correction of a version's metadata: what it was, what it is, who and when."""

    version = models.ForeignKey(DocumentVersion, models.CASCADE, related_name="metadata_changes")
    changes = models.JSONField("变更")  # {field: [before, after]}
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name="操作人", related_name="+"
    )
    at = models.DateTimeField("时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "元数据更正"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version_id} {self.at:%F %T}"
