"""manage.py check_embedder: whether the configured weights or host embed as the published model does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hotline.embedders import get_passage_embedder
from kb.embedding import EmbeddingFailed
from reranking.qwen_known_similarities import KNOWN_MODEL, TOLERANCE, check_known_similarities


class Command(BaseCommand):
    help = "用所配置的嵌入模型或服务计算公布的例子；不符时退出码为 1"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            embedder = get_passage_embedder()
            if embedder is None:
                raise CommandError("没有嵌入模型：请设 EMBEDDING_MODEL 或 EMBEDDING_URL。")
            check = check_known_similarities(
                lambda texts: embedder.embed_queries(texts).rows, lambda texts: embedder.embed_passages(texts).rows
            )
        except EmbeddingFailed as error:
            raise CommandError(f"嵌入模型无法使用：{error}") from error
        for mine, known in zip(check.similarities, check.expected, strict=True):
            self.stdout.write(f"内积 {mine:7.4f}，已知 {known:7.4f}，差 {abs(mine - known):.4f}")
        verdict = f"最大差 {check.largest_difference:.4f}（允许 {TOLERANCE}）"
        if not check.passed:
            raise CommandError(f"不通过：{verdict}。权重不是 {KNOWN_MODEL}，或问题没有带任务说明。")
        self.stdout.write(f"通过：{verdict}")
