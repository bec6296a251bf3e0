"""manage.py export_learning_data: questions with right policies, in the shape of evaluation queries."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hotline.learning import export_rows
from kb.selectors import searchable_versions


class Command(BaseCommand):
    help = "导出使用中得到的问题与正确政策（JSONL，问题已遮盖个人信息）；复核结论优先于采纳，采纳优先于评价"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, required=True, help="问题集：qid、question、doc_ids、set")
        parser.add_argument("--documents", type=Path, help="另把现有政策写成文件集：id、title、content、doc_no")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = _write_lines(options["output"], export_rows())
            self.stdout.write(f"{count} 个问题已写入 {options['output']}")
            if options["documents"]:
                count = _write_lines(options["documents"], _list_documents())
                self.stdout.write(f"{count} 份政策已写入 {options['documents']}")
        except OSError as error:
            raise CommandError(f"写不出文件：{error}") from error


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _list_documents() -> Iterator[dict[str, str]]:
    """The newest version of each policy."""
    seen: set[int] = set()
    for version in searchable_versions().order_by("-number", "-id").iterator(chunk_size=200):
        if version.document_id not in seen:
            seen.add(version.document_id)
            yield {
                "id": str(version.document_id),
                "title": version.title,
                "content": version.text,
                "doc_no": version.document_number,
            }
