"""manage.py reindex --rebuild | --reconcile | --check | --rollback"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kb import indexing
from kb.errors import KnowledgeError
from kb.models import IndexVersion
from kb.search.types import SearchEngineError


class Command(BaseCommand):
    help = "重建、修复或检查检索索引"

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--rebuild", action="store_true", help="新建索引，核对后切换；中断后再次运行会继续")
        what.add_argument("--reconcile", action="store_true", help="比对数据库与索引并修复差异")
        what.add_argument("--check", action="store_true", help="只比对；有差异时退出码为 1")
        what.add_argument("--rollback", action="store_true", help="退回上一版索引")

        parser.add_argument("--override", default="", metavar="理由", help="标准问题的指标下降时仍然启用新索引")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["rebuild"]:
                self._rebuild(options["override"])
            elif options["rollback"]:
                self.stdout.write(f"已退回索引 {indexing.rollback_index().name}")
            else:
                self._compare(repair=options["reconcile"])
        except (SearchEngineError, KnowledgeError) as error:
            raise CommandError(str(error)) from error

    def _rebuild(self, override: str) -> None:
        outcome = indexing.rebuild_index(on_progress=self._report, override=override)
        if outcome.index.state == IndexVersion.State.HELD:
            raise CommandError(
                f"索引 {outcome.index.name} 已建好，没有启用：{outcome.index.error}"
                "可在“实验台 · 标准问题”页放行，或加 --override 理由 再建一次。"
            )
        self.stdout.write(f"已切换到索引 {outcome.index.name}：{outcome.index.passages} 个段落")

    def _compare(self, *, repair: bool) -> None:
        difference = indexing.reconcile_index() if repair else indexing.check_index()
        counts = (
            f"缺少 {len(difference.missing)}，过时 {len(difference.outdated)}，多余 {len(difference.surplus)}，"
            f"共比对 {difference.compared} 个版本"
        )
        self.stdout.write(("已修复：" if repair else "差异：") + counts)
        if not repair and not difference.is_empty:
            raise SystemExit(1)

    def _report(self, index: IndexVersion) -> None:
        self.stdout.write(f"{index.documents_done}/{index.documents_total}", ending="\r")
