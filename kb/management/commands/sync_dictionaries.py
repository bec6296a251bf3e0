"""manage.py sync_dictionaries: the product's dictionary rows into the database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from kb.services.dictionaries import sync_builtin_entries


class Command(BaseCommand):
    help = "把随产品的词典写入数据库：首次直接生效；升级后有变化而没有人改动过的词条存为草稿；可重复运行"

    def handle(self, *args: Any, **options: Any) -> None:
        done = sync_builtin_entries()
        if done.release:
            self.stdout.write(f"随产品的词典已写入数据库，为第 {done.release.pk} 版。")
        elif done.drafted:
            self.stdout.write(f"随产品的词典有 {done.drafted} 处变化，已存为草稿，请在“词典 · 待生效”试用后生效。")
        else:
            self.stdout.write("词典没有变化。")
