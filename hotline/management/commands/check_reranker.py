"""manage.py check_reranker: whether the configured weights score as the published model does."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hotline.rerankers import load_configured_model
from reranking.qwen_known_values import KNOWN_MODEL, check_known_values
from reranking.types import RerankerError


class Command(BaseCommand):
    help = "载入所配置的重排模型，与公布的已知分值比对；不符时退出码为 1"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            engine = load_configured_model()
        except (RerankerError, ImportError, OSError, ValueError) as error:
            raise CommandError(f"模型无法载入：{error}") from error
        self.stdout.write(json.dumps(engine.status(), ensure_ascii=False, default=str))
        check = check_known_values(engine, engine.info.dtype)
        for mine, known in zip(check.log_odds, check.expected, strict=True):
            self.stdout.write(f"对数几率 {mine:9.4f}，已知 {known:9.4f}，差 {abs(mine - known):.4f}")
        if not check.passed:
            raise CommandError(
                f"不通过：最大差 {check.largest_difference:.4f}（允许 {check.tolerance}），"
                f"次序{'一致' if check.order_kept else '不一致'}。权重不是 {KNOWN_MODEL}，或计算有误。"
            )
        self.stdout.write(f"通过：最大差 {check.largest_difference:.4f}（允许 {check.tolerance}）")
