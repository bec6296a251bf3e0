"""A rebuilt index is compared on the golden questions before it goes live."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from hotline import golden
from hotline.errors import SearchUnavailable
from hotline.models import AuditEvent, GoldenRun, User
from hotline.services import golden_runs
from hotline.services.golden_questions import add_golden_question
from kb import indexing, tasks
from kb.engine import get_search_engine
from kb.models import DocumentVersion, IndexVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def golden_question(policies: dict[str, DocumentVersion], agent: User) -> None:
    add_golden_question(question="加装电梯补贴多少钱", document_ids=[policies["lift"].document_id], by=agent)


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("recall50",))


@pytest.mark.usefixtures("policies")
def test_without_golden_questions_nothing_is_asked() -> None:
    outcome = indexing.rebuild_index()

    assert outcome.index.state == "live"
    assert not GoldenRun.objects.exists()


@pytest.mark.usefixtures("golden_question")
def test_index_that_finds_as_much_goes_live_with_its_figures() -> None:
    outcome = indexing.rebuild_index()
    run = GoldenRun.objects.get()

    assert get_search_engine().live_index() == outcome.index.name
    assert (run.kind, run.state, run.figures_after["recall50"]) == ("index", "applied", 100)


@pytest.mark.usefixtures("golden_question")
def test_index_that_finds_less_is_held_beside_the_live_one_and_released_by_the_worker(
    agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = get_search_engine().live_index()
    with monkeypatch.context() as patch:
        patch.setattr(golden, "find_fallen", lambda before, after: ("recall50",))
        held = indexing.rebuild_index().index

    assert (held.state, held.error) == ("held", "标准问题的 Recall@50 下降。")
    assert get_search_engine().live_index() == live
    assert not indexing.is_rebuild_waiting()

    run = golden_runs.override_run(run=GoldenRun.objects.get(), note="已核对", by=agent)
    assert IndexVersion.objects.get(pk=held.pk).state == "approved"
    tasks.reindex_all()

    assert get_search_engine().live_index() == held.name
    assert (run.state, IndexVersion.objects.get(pk=held.pk).state) == ("applied", "live")


@pytest.mark.usefixtures("golden_question", "falling")
def test_command_says_that_it_is_held_and_takes_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="没有启用：标准问题的 Recall@50 下降"):
        call_command("reindex", "--rebuild")

    call_command("reindex", "--rebuild", "--override", "词典换新")

    assert "已切换到索引" in capsys.readouterr().out
    run = GoldenRun.objects.first()
    assert run is not None
    assert (run.state, run.override_note, run.fallen) == ("applied", "词典换新", ["recall50"])
    assert AuditEvent.objects.get(action="golden_override").details["note"] == "词典换新"


@pytest.mark.usefixtures("golden_question", "falling")
def test_held_index_goes_when_a_newer_one_is_live() -> None:
    held = indexing.rebuild_index().index
    golden_runs.drop_run(run=GoldenRun.objects.get(), by=None)
    held.refresh_from_db()
    assert (held.state, held.error) == ("held", "已放弃，下次重建后清除。")

    indexing.rebuild_index(override="新词典")

    held.refresh_from_db()
    assert held.state == "retired"
    assert held.name not in {index.name for index in get_search_engine().list_indexes()}


@pytest.mark.usefixtures("golden_question")
def test_index_that_cannot_be_compared_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SearchUnavailable

    monkeypatch.setattr(golden, "measure", fail)

    assert indexing.rebuild_index().index.state == "held"
    assert GoldenRun.objects.get().error.startswith("检索服务暂时不可用")


@pytest.mark.usefixtures("golden_question", "falling")
def test_approved_index_that_is_gone_is_said(agent: User) -> None:
    held = indexing.rebuild_index().index
    golden_runs.override_run(run=GoldenRun.objects.get(), note="已核对", by=agent)
    get_search_engine().drop_index(held.name)

    assert indexing.activate_approved() is None

    held.refresh_from_db()
    assert (held.state, held.error) == ("failed", "索引已不存在，请重新构建。")
