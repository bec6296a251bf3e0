"""Golden runs that fail, measure nothing, or lose the worker that makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from hotline import golden
from hotline.errors import SearchUnavailable
from hotline.live_settings import get_live_settings
from hotline.models import GoldenRun, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import golden_runs
from hotline.services.live_settings import save_settings
from reranking.types import Ranking, RankingRequest
from tests.hotline.conftest import FakeReranker

pytestmark = pytest.mark.django_db

STRICT = RetrievalSettings(first_share_threshold=0.99)


@dataclass
class FailingReranker(FakeReranker):
    """Sound for the first side of a comparison; what goes wrong with the second one is in `trouble`."""

    trouble: str = ""

    def _rank(self, request: RankingRequest) -> Ranking:
        notices = (self.trouble,) if len(self.calls) > 1 and self.trouble else ()
        return replace(super()._rank(request), notices=notices)


@pytest.mark.usefixtures("golden_questions")
def test_comparison_that_fails_is_kept_and_tried_again(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(golden_runs, "compare_on_golden", _raise_unavailable)
        run = save_settings(settings=STRICT, note="", by=agent)
    assert (run.state, run.error) == ("failed", "检索服务暂时不可用，请稍后重试；问题已保留。")

    golden_runs.retry_run(run=run, by=agent)
    assert golden_runs.compare_waiting_runs() == 1
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
@pytest.mark.parametrize(
    ("reranker", "said"),
    [
        (FailingReranker(is_down=True), "3 个标准问题没有正常问完（重排器不可用，以下为初筛次序）"),
        (FailingReranker(trouble="partial_rerank"), "时间所限，只重排了一部分"),
        (FailingReranker(trouble="fell_back"), "首选重排器不可用，已改用后备重排器"),
        (FailingReranker(trouble="semantic_unavailable"), "语义召回不可用"),
    ],
)
def test_questions_that_were_not_asked_as_they_should_measure_nothing(
    agent: User, monkeypatch: pytest.MonkeyPatch, reranker: FailingReranker, said: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(golden, "_reach_reranker", lambda: reranker)
        run = save_settings(settings=STRICT, note="", by=agent)

    assert run.state == "failed"
    assert said in run.error
    assert get_live_settings() == RetrievalSettings()

    golden_runs.retry_run(run=run, by=agent)
    golden_runs.compare_waiting_runs()
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
def test_truncated_texts_are_no_trouble(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "_reach_reranker", lambda: FailingReranker(trouble="truncated"))

    assert save_settings(settings=STRICT, note="", by=agent).state in {"applied", "held"}


@pytest.mark.usefixtures("golden_questions")
def test_many_questions_are_asked_by_the_worker(agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_runs, "ASKED_AT_ONCE", 2)
    run = save_settings(settings=STRICT, note="", by=agent)

    assert (run.state, get_live_settings()) == ("waiting", RetrievalSettings())
    assert golden_runs.compare_waiting_runs() == 1
    assert get_live_settings() == STRICT
    assert golden_runs.compare_waiting_runs() == 0


@pytest.mark.usefixtures("golden_questions")
def test_run_of_a_killed_worker_is_taken_over_but_not_one_at_work(agent: User, settings: Settings) -> None:
    settings.RERANKER = "auto"  # elsewhere: nothing is compared at once
    run = save_settings(settings=STRICT, note="", by=agent)
    settings.RERANKER = "lexical"
    GoldenRun.objects.filter(pk=run.pk).update(state="running", heartbeat_at=timezone.now())
    assert golden_runs.compare_waiting_runs() == 0

    GoldenRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert golden_runs.compare_waiting_runs() == 1
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
def test_run_whose_workers_are_killed_every_time_is_given_up_and_tried_again(
    agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden_runs, "ASKED_AT_ONCE", 2)
    run = save_settings(settings=STRICT, note="", by=agent)

    def be_killed(**asked: object) -> object:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(golden_runs, "compare_on_golden", be_killed)
        for _ in range(golden_runs.MAX_ATTEMPTS):
            with pytest.raises(SystemExit):
                golden_runs.compare_waiting_runs()
            GoldenRun.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
        golden_runs.compare_waiting_runs()
    run.refresh_from_db()
    assert (run.state, get_live_settings()) == ("failed", RetrievalSettings())
    assert "连续 3 次中断或没有进度" in run.error
    assert run.finished_at
    assert golden_runs.compare_waiting_runs() == 0

    golden_runs.retry_run(run=run, by=agent)
    golden_runs.compare_waiting_runs()
    assert get_live_settings() == STRICT


@pytest.mark.usefixtures("golden_questions")
@pytest.mark.parametrize("is_away", [False, True])
def test_worker_that_was_taken_over_changes_nothing_any_more(
    agent: User, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    compare = golden.compare_on_golden

    def compare_slowly(**asked: object) -> object:
        """So slowly that another takes the run over and applies it meanwhile."""
        GoldenRun.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
        monkeypatch.setattr(golden_runs, "compare_on_golden", compare)
        assert golden_runs.compare_waiting_runs() == 1
        if is_away:
            raise SearchUnavailable
        return compare(**{**asked, "on_progress": None})  # type: ignore[arg-type]

    monkeypatch.setattr(golden_runs, "compare_on_golden", compare_slowly)
    run = save_settings(settings=STRICT, note="", by=agent)

    assert (run.state, run.error) == ("applied", "")
    assert SavedSettings.objects.count() == 1


def _raise_unavailable(**_: object) -> None:
    raise SearchUnavailable
