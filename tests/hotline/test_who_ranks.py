"""One answer to who ranks: every process has the setting of the worker that does, and no other loads a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from hotline import golden, rerankers, trials
from hotline.retrieval_settings import RetrievalSettings
from hotline.services.rerank_jobs import QueuedReranker

NEURAL = ["auto", "qwen", "remote"]
LOOK = """
import json, sys, django
django.setup()
from django.conf import settings
from hotline import golden, trials
from hotline.retrieval_settings import RetrievalSettings
import hotline.tasks
print(json.dumps({
    "queue": settings.CELERY_TASK_ROUTES["hotline.tasks.work_on_lab_run"]["queue"],
    "trial": type(trials.choose_reranker(RetrievalSettings())).__name__,
    "gate": type(golden._reach_reranker()).__name__,
    "torch": "torch" in sys.modules or "transformers" in sys.modules,
}))
"""


@pytest.mark.parametrize("name", NEURAL)
def test_neural_work_goes_to_the_worker_that_ranks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings.RERANKER = name
    monkeypatch.setattr(rerankers, "choose", lambda: pytest.fail("a model was asked for in this process"))

    assert isinstance(trials.choose_reranker(RetrievalSettings()), QueuedReranker)
    assert isinstance(golden._reach_reranker(), QueuedReranker)
    assert isinstance(trials.choose_reranker(RetrievalSettings(reranker="lexical")), rerankers.LiveLexicalReranker)


def test_web_process_of_the_gpu_deployment_loads_no_torch(tmp_path: Path) -> None:
    own = {"DATA_DIR": str(tmp_path), "HOTLINE_ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "hotline.settings"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=kept | own | {"RERANKER": "auto"}, capture_output=True, text=True, check=True
    )

    expected = {"queue": "rerank", "trial": "QueuedReranker", "gate": "QueuedReranker", "torch": False}
    assert json.loads(done.stdout) == expected
