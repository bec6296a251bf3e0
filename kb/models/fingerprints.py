"""What the passages mean, as vectors: costly to make, kept here so that any store can be filled anew."""

from __future__ import annotations

from django.db import models

from kb.models.documents import DocumentVersion


class SemanticFingerprint(models.Model):
    """The vectors of all passages of a version by one embedder. Without vectors: being made, under a lease.

    `vectors` are float16 little-endian, [passages by ordinal, dimension]. `content_key` is of what was embedded: where
    it is no longer the version's, they are to be made again.
    """

    version = models.ForeignKey(
        DocumentVersion, models.CASCADE, related_name="semantic_fingerprints", verbose_name="版本"
    )
    embedder_revision = models.CharField("嵌入模型版本", max_length=200)
    content_key = models.CharField("内容散列", max_length=64)
    dimension = models.PositiveIntegerField("维数", default=0)
    vectors = models.BinaryField("向量", null=True)
    computed_at = models.DateTimeField("完成时间", null=True, blank=True)
    lease_holder = models.CharField("认领者", max_length=100, blank=True)
    lease_expires_at = models.DateTimeField("租约到期", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "语义指纹"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "embedder_revision"], name="one_fingerprint_a_version_and_embedder"
            )
        ]
        indexes = [models.Index(fields=["embedder_revision", "lease_holder"])]

    def __str__(self) -> str:
        return f"{self.version_id} {self.embedder_revision}"
