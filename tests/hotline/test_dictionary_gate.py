"""Drafts are tried on real questions; what makes a figure fall is held."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hotline import dictionary_trials
from hotline.errors import DeskError
from hotline.golden import GoldenComparison
from hotline.measurement import Figures
from hotline.models import AuditEvent, User
from hotline.services import dictionaries
from hotline.services.dictionaries import (
    ReleaseHeld,
    explain_hold,
    find_trial,
    put_live,
    request_trial,
    run_waiting_trials,
)
from hotline.services.golden_questions import add_golden_question
from kb.live_dictionaries import get_live_rules
from kb.models import DictionaryEntry, DictionaryRelease, DictionaryTrial, DocumentVersion
from kb.services.dictionary_drafts import digest_drafts, draft_new_entry, draft_retirement
from tests.factories import make_lookup

SYNONYM = {"kind": "synonym", "text": "加电梯", "other": "加装电梯", "weight": "0.9"}


@pytest.fixture
def drafted(released: DictionaryRelease, by: User) -> str:
    """One draft; its digest."""
    draft_new_entry(values=SYNONYM, by=by)
    return digest_drafts()


def figures(top1: float) -> Figures:
    return Figures(1, 1, top1, 100.0, 100.0, 100.0, 0.0, top1)


def let_top1_become(monkeypatch: pytest.MonkeyPatch, after: float) -> None:
    fallen = ("top1",) if after < 100 else ()
    comparison = GoldenComparison(figures(100.0), figures(after), fallen)
    monkeypatch.setattr(dictionary_trials, "compare_on_golden", lambda **_: comparison)


def test_a_trial_shows_whose_understanding_changes(drafted: str, by: User) -> None:
    make_lookup(question="老房子想加电梯怎么办")
    make_lookup(question="公租房怎么申请")

    request_trial(by=by)
    assert run_waiting_trials() == 1

    trial = find_trial(digest_drafts())
    assert trial is not None
    assert trial.state == DictionaryTrial.State.DONE
    assert trial.comparison["questions"] == 2
    assert trial.comparison["changed_count"] == 1
    (changed,) = trial.comparison["changed"]
    assert changed["question"] == "老房子想加电梯怎么办"
    assert any("加装电梯" in text for text in changed["new"])
    assert trial.comparison["golden"] == {}
    assert "加电梯" not in get_live_rules().synonyms_of


def test_the_golden_questions_are_asked_before_and_after(
    policies: dict[str, DocumentVersion], drafted: str, by: User
) -> None:
    add_golden_question(question="加电梯补贴多少", document_ids=[policies["lift"].document_id], by=by)

    request_trial(by=by)
    run_waiting_trials()

    trial = find_trial(digest_drafts())
    assert trial is not None
    assert trial.comparison["golden"]["questions"] == 1
    assert trial.comparison["golden"]["before"]["recall50"] == 100
    assert trial.comparison["golden"]["fallen"] == []


def test_what_was_tried_goes_live_with_one_click(drafted: str, by: User, monkeypatch: pytest.MonkeyPatch) -> None:
    let_top1_become(monkeypatch, 100.0)
    request_trial(by=by)
    run_waiting_trials()

    release = put_live(by=by, drafts_sha256=drafted)

    assert not release.is_override
    assert release.comparison["golden"]["after"]["top1"] == 100
    assert get_live_rules().release == release.pk
    assert AuditEvent.objects.get().action == "dictionaries_released"


def test_drafts_that_were_not_tried_are_held(drafted: str, by: User) -> None:
    with pytest.raises(ReleaseHeld, match="还没有试用"):
        put_live(by=by, drafts_sha256=drafted)
    assert DictionaryRelease.objects.count() == 1


def test_a_figure_that_falls_holds_the_drafts_until_somebody_answers_for_it(
    drafted: str, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_top1_become(monkeypatch, 50.0)
    request_trial(by=by)
    run_waiting_trials()
    with pytest.raises(ReleaseHeld, match="指标有下降"):
        put_live(by=by, drafts_sha256=drafted)
    with pytest.raises(ReleaseHeld, match="写明"):
        put_live(by=by, drafts_sha256=drafted, is_override=True, note=" ")

    release = put_live(by=by, drafts_sha256=drafted, is_override=True, note="市民都这么说")

    assert release.is_override
    assert release.note == "市民都这么说"
    assert AuditEvent.objects.get().details["hold"] == "标准问题的指标有下降。"


def test_a_trial_of_other_drafts_says_nothing(drafted: str, by: User) -> None:
    request_trial(by=by)
    run_waiting_trials()
    draft_retirement(entry=DictionaryEntry.objects.get(kind="filler"), by=by)

    assert find_trial(digest_drafts()) is None
    with pytest.raises(ReleaseHeld, match="还没有试用"):
        put_live(by=by, drafts_sha256=digest_drafts())


def test_drafts_that_change_while_they_wait_are_not_tried(drafted: str, by: User) -> None:
    trial = request_trial(by=by)
    assert request_trial(by=by) == trial
    draft_retirement(entry=DictionaryEntry.objects.get(kind="filler"), by=by)

    run_waiting_trials()

    trial.refresh_from_db()
    assert trial.state == DictionaryTrial.State.FAILED
    assert "重新试用" in trial.error


def test_trial_whose_workers_are_killed_every_time_is_given_up_and_made_anew(
    drafted: str, by: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = request_trial(by=by)

    def be_killed(on_progress: object) -> dict[str, object]:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(dictionaries, "try_drafts", be_killed)
        for _ in range(dictionaries.MAX_ATTEMPTS):
            with pytest.raises(SystemExit):
                run_waiting_trials()
            DictionaryTrial.objects.update(lease_expires_at=timezone.now() - timedelta(hours=1))
        assert run_waiting_trials() == 0
    trial.refresh_from_db()
    assert trial.state == "failed"
    assert "连续 3 次中断或没有进度" in trial.error

    assert request_trial(by=by) != trial
    assert run_waiting_trials() == 1
    assert explain_hold(find_trial(drafted)) == ""


def test_nothing_to_try_is_said(released: DictionaryRelease, by: User) -> None:
    with pytest.raises(DeskError, match="没有待生效"):
        request_trial(by=by)
