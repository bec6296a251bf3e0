"""Two changes let through at once, which only a server with row locks lets happen."""

from __future__ import annotations

import contextlib
import threading

import pytest
from django.db import connection

from hotline import golden
from hotline.errors import WrongState
from hotline.models import GoldenRun, SavedSettings, User
from hotline.retrieval_settings import RetrievalSettings
from hotline.services import golden_runs
from hotline.services.golden_questions import add_golden_question
from hotline.services.live_settings import save_settings
from kb.models import DocumentVersion

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="no row locks here: see make test-production"),
    pytest.mark.django_db(transaction=True),
]


def test_one_of_two_that_are_let_through_at_once_goes_live(
    policies: dict[str, DocumentVersion], agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_golden_question(question="电梯补贴", document_ids=[policies["lift"].document_id], by=agent)
    monkeypatch.setattr(golden, "find_fallen", lambda before, after: ("top1",))
    held = [
        save_settings(settings=RetrievalSettings(first_share_threshold=share), note="", by=agent)
        for share in (0.1, 0.2)
    ]
    barrier = threading.Barrier(2)
    apply_change = golden_runs.apply_change

    def apply_together(run: GoldenRun, *, by: User | None) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):  # the other waits for a lock, as it should
            barrier.wait(timeout=1)
        apply_change(run, by=by)

    monkeypatch.setattr(golden_runs, "apply_change", apply_together)
    refused: list[WrongState] = []

    def override(run: GoldenRun) -> None:
        try:
            golden_runs.override_run(run=run, note="仍要", by=agent)
        except WrongState as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=override, args=(run,)) for run in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert "重新提交" in str(refused[0])
    assert (len(refused), SavedSettings.objects.count()) == (1, 1)
    assert sorted(GoldenRun.objects.values_list("state", flat=True)) == ["applied", "held"]
