"""manage.py import_documents PATH… [--json] [--draft]"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from kb.services.imports import ImportOutcome, import_paths


class Command(BaseCommand):
    help = "导入政策文件或文件夹，发布并入索引；逐个文件说明结果"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--json", action="store_true", help="每个文件输出一行 JSON")
        parser.add_argument("--draft", action="store_true", help="只存为草稿，不发布")

    def handle(self, *args: Any, **options: Any) -> None:
        outcomes = []
        for outcome in import_paths(paths=options["paths"], by=None, publish=not options["draft"]):
            outcomes.append(outcome)
            self.stdout.write(json.dumps(asdict(outcome), ensure_ascii=False) if options["json"] else _say(outcome))
        if not options["json"]:
            refused = sum(bool(outcome.code) for outcome in outcomes)
            self.stdout.write(f"共 {len(outcomes)} 个文件，采用 {len(outcomes) - refused}，未采用 {refused}")


def _say(outcome: ImportOutcome) -> str:
    if outcome.code:
        return f"✗ {outcome.path}：{outcome.reason}（{outcome.code}）"
    known = "（此前已导入）" if outcome.is_known else ""
    return f"✓ {outcome.path}：{outcome.documents} 项政策，{outcome.passages} 个段落{known}"
