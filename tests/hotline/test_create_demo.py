"""`manage.py create_demo`: a user for each role and searchable samples; run again, it mends and repeats nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from hotline.management.commands import create_demo
from hotline.models import GoldenQuestion, Ticket, User
from kb import indexing
from kb.models import DocumentVersion
from kb.samples import QUESTIONS_FILE
from kb.search.types import IndexMissing, SearchEngine

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One small policy in place of all samples."""
    folder = tmp_path_factory.mktemp("samples") / "files"
    folder.mkdir()
    (folder / "办法.txt").write_text("云岚市加装电梯办法\n第一条 每台电梯补贴十万元。\n", encoding="utf-8")
    monkeypatch.setattr(create_demo.samples, "__file__", str(folder.parent / "__init__.py"))


def test_every_role_can_log_in(engine: SearchEngine) -> None:
    call_command("create_demo")

    people = {name: authenticate(username=name, password=create_demo.PASSWORD) for name in ("agent", "reviewer")}
    assert all(people.values())
    assert User.objects.get(username="reviewer").has_perm("hotline.review_lookups")
    assert User.objects.get(username="knowledge").has_perm("kb.manage_knowledge")
    assert not User.objects.get(username="agent").has_perm("kb.manage_knowledge")
    assert User.objects.get(username="admin").is_superuser


def test_second_run_repeats_nothing(engine: SearchEngine, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_demo")
    User.objects.get(username="agent").delete()
    call_command("create_demo")

    assert DocumentVersion.objects.count() == 1
    assert User.objects.count() == 4
    assert indexing.check_index().is_empty
    assert capsys.readouterr().err == ""


def test_golden_questions_are_on_policies_in_force() -> None:
    """On titles that the samples' own questions ask for, in other words than theirs."""
    golden, known = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (create_demo.GOLDEN, QUESTIONS_FILE)
    )

    assert len(golden) == 8
    assert {row["title"] for row in golden} <= {row["title"] for row in known}
    assert {row["question"] for row in golden}.isdisjoint(row["question"] for row in known)
    assert {row["category"] for row in golden} <= set(Ticket.Category.values)


def test_golden_questions_are_there_on_the_first_day(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on policies that were imported; an administrator's own are left alone ever after."""
    folder = Path(create_demo.samples.__file__).parent / "files"
    (folder / "养犬.txt").write_text("云岚市养犬管理条例\n第一条 遛狗应当拴绳。\n", encoding="utf-8")
    call_command("create_demo")

    golden = GoldenQuestion.objects.get()
    assert golden.documents.get() == DocumentVersion.objects.get(title="云岚市养犬管理条例").document
    assert (golden.category, golden.note) == ("complaint", "示例")
    golden.note = "改过"
    golden.save()
    call_command("create_demo")
    assert GoldenQuestion.objects.get().note == "改过"


def test_index_of_an_older_release_is_built_again(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("create_demo")
    before = engine.live_index()
    check_index = indexing.check_index

    def fail_on_the_old(*, name: str | None = None) -> indexing.Difference:
        if (name or engine.live_index()) == before:
            raise IndexMissing("built by another version")
        return check_index(name=name)

    monkeypatch.setattr(indexing, "check_index", fail_on_the_old)
    call_command("create_demo")

    assert engine.live_index() != before
    assert indexing.check_index().is_empty
