"""manage.py sync_dictionaries: the product's dictionary rows into the database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from kb.services.dictionaries import sync_builtin_entries


class Command(BaseCommand):
    help = "把随产品的词典写入数据库：新增和未改动过的词条随之升级，改动过的保留；可重复运行"

    def handle(self, *args: Any, **options: Any) -> None:
        release = sync_builtin_entries()
        self.stdout.write(f"词典已更新到第 {release.pk} 版。" if release else "词典没有变化。")
