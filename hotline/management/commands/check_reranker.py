"""manage.py check_reranker: whether the reranker, here or on its host, scores as the published model does."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hotline.rerankers import connect_configured_host, load_configured_model
from reranking.qwen_known_values import (
    KNOWN_MODEL,
    KnownValuesCheck,
    check_known_values,
    check_known_values_of,
    has_known_values,
)
from reranking.remote import check_order
from reranking.types import Reranker, RerankerError


class Command(BaseCommand):
    help = "载入所配置的重排模型（RERANKER=remote 时请求远程服务），与公布的已知分值比对；不符时退出码为 1"

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.RERANKER == "remote":
            self._check_host()
        else:
            self._check_model()

    def _check_model(self) -> None:
        try:
            engine = load_configured_model()
        except (RerankerError, ImportError, OSError, ValueError) as error:
            raise CommandError(f"模型无法载入：{error}") from error
        self.stdout.write(json.dumps(engine.status(), ensure_ascii=False, default=str))
        try:
            if has_known_values(engine.info.name, engine.hidden_size):
                self._report(check_known_values(engine, engine.info.dtype))
            else:
                self._check_order_alone(engine, f"{engine.info.name} 没有可比对的已知分值")
        except RerankerError as error:
            raise CommandError(f"模型没有给出可用的分数：{error}") from error

    def _check_host(self) -> None:
        try:
            host = connect_configured_host()
        except ValueError as error:
            raise CommandError(f"远程服务的设置有误：{error}") from error
        with closing(host):
            try:
                known = check_known_values_of(host)
            except RerankerError as error:
                raise CommandError(f"远程服务没有给出可用的分数：{error}") from error
            self.stdout.write(json.dumps({**host.status(), "name": host.info.name}, ensure_ascii=False))
            if settings.RERANKER_API != "hotline" and settings.RERANKER_TEMPLATE != "client":
                self._check_order_alone(host, "提示模板由对方套用，任务说明未必与已知分值的相同，故不比对分值")
            elif known is None or not has_known_values(host.info.name):
                self._check_order_alone(host, f"{host.info.name} 没有可比对的已知分值，或只给概率而已饱和")
            else:
                self._check_order(host)
                self._report(known)

    def _check_order_alone(self, reranker: Reranker, reason: str) -> None:
        self._check_order(reranker)
        self.stdout.write(f"通过：三个常识问题都把正确的答案排在第一；{reason}")

    def _check_order(self, reranker: Reranker) -> None:
        try:
            check_order(reranker)
        except RerankerError as error:
            raise CommandError(f"不通过：常识问题的次序不对，提示模板或权重可能缺失（{error}）") from error

    def _report(self, check: KnownValuesCheck) -> None:
        for mine, known in zip(check.log_odds, check.expected, strict=True):
            self.stdout.write(f"对数几率 {mine:9.4f}，已知 {known:9.4f}，差 {abs(mine - known):.4f}")
        if not check.passed:
            raise CommandError(
                f"不通过：最大差 {check.largest_difference:.4f}（允许 {check.tolerance}），"
                f"次序{'一致' if check.order_kept else '不一致'}。权重不是 {KNOWN_MODEL}，或计算有误。"
            )
        self.stdout.write(f"通过：最大差 {check.largest_difference:.4f}（允许 {check.tolerance}）")
