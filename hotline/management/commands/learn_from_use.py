"""manage.py learn_from_use: what the nightly task does, and what came of it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from hotline.services.learning import learn_from_use


class Command(BaseCommand):
    help = "从复核结论、采纳和评价重新拟合词法重排与复核阈值；标准问题的指标不下降才生效"

    def handle(self, *args: Any, **options: Any) -> None:
        for note in learn_from_use(by=None).notes:
            self.stdout.write(note)
