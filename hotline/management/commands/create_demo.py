"""manage.py create_demo: a user for each role, the sample policies and golden questions on them, for a first look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand

from hotline.models import GoldenQuestion, User
from hotline.services.golden_questions import add_golden_question
from kb import indexing, samples
from kb.search.types import IndexMissing
from kb.selectors import find_documents_by_name
from kb.services.imports import import_paths

PASSWORD = "yunlan-12345"  # noqa: S105  a published demonstration password
GOLDEN = Path(samples.__file__).parent / "golden.jsonl"
PEOPLE = (
    ("agent", "坐席", "1024", "agent"),
    ("reviewer", "复核员", "2001", "reviewer"),
    ("knowledge", "知识管理员", "3001", "knowledge_administrator"),
)


class Command(BaseCommand):
    help = "建立演示账号，导入示例政策（虚构的云岚市）与几个标准问题；可重复运行"

    def handle(self, *args: Any, **options: Any) -> None:
        self._create_people()
        for outcome in import_paths(paths=[Path(samples.__file__).parent / "files"], by=None):
            if outcome.code:
                self.stderr.write(f"{outcome.path}：{outcome.reason}")
        _add_golden_questions()
        _bring_index_up_to_date()
        self.stdout.write(
            "演示账号（密码均为 " + PASSWORD + "）：agent 坐席、reviewer 复核员、knowledge 知识管理员、admin 系统管理员"
        )

    def _create_people(self) -> None:
        for username, last_name, number, role in PEOPLE:
            user, created = User.objects.get_or_create(
                username=username, defaults={"last_name": last_name, "agent_number": number}
            )
            if created:
                user.set_password(PASSWORD)
                user.save()
            user.groups.add(Group.objects.get(name=role))
        if not User.objects.filter(username="admin").exists():
            User.objects.create_superuser("admin", password=PASSWORD, last_name="系统管理员")


def _add_golden_questions() -> None:
    """Something for the gate and the laboratory to ask on the first day; none where there are any already."""
    if GoldenQuestion.objects.exists():
        return
    rows = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    found = find_documents_by_name(row["title"] for row in rows)
    for row in rows:
        if documents := found.get(row["title"]):
            add_golden_question(
                question=row["question"], document_ids=documents, category=row["category"], note="示例", by=None
            )


def _bring_index_up_to_date() -> None:
    try:
        difference = indexing.check_index()
    except IndexMissing:  # none yet, or one made by an older release
        indexing.rebuild_index()
    else:
        if not difference.is_empty:
            indexing.reconcile_index()
