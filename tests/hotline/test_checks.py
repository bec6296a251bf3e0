"""Settings that would do harm are said at start-up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.signals import worker_init
from django.core.cache import cache
from pytest_django import Settings
from rest_framework.throttling import SimpleRateThrottle

from hotline.checks import DTYPES, RATE, check_settings
from hotline.worker_status import find_disagreement, publish_status


@pytest.fixture(autouse=True)
def _nothing_published() -> Iterator[None]:
    """Other tests' workers have said what ranks."""
    cache.clear()
    yield
    cache.clear()


def found() -> set[str]:
    return {str(message.id) for message in check_settings()}


def test_defaults_are_sound() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"RERANKER": "best"}, "hotline.E001"),
        ({"RERANKER": "remote"}, "hotline.E002"),
        ({"SEARCH_URL": "ftp://x"}, "hotline.E003"),
        ({"CANDIDATE_LIMIT": 0, "RESULT_LIMIT": 1}, "hotline.E004"),
        ({"RERANK_LEASE_SECONDS": 3.5}, "hotline.E005"),
        ({"LOW_BEST_RELEVANCE": 1.5}, "hotline.E006"),
        ({"RERANKER_URL": "http://x", "RERANKER_API": "v1"}, "hotline.E009"),
        ({"RERANKER_SOURCE": "hub"}, "hotline.E010"),
        ({"RERANKER_DTYPE": "int8"}, "hotline.E011"),
        ({"RERANKER_DEVICE": "gpu"}, "hotline.E012"),
        ({"RERANKER_DEVICE": "cuda:"}, "hotline.E012"),
        ({"FIRST_SHARE_THRESHOLD": 40.0}, "hotline.E013"),
        ({"RESULT_LIMIT": 0}, "hotline.E014"),
        ({"RESULT_LIMIT": 51}, "hotline.E014"),
        ({"RERANK_BATCH_LOOKUPS": 0}, "hotline.E015"),
        ({"RERANK_CPU_BATCH_LOOKUPS": 0}, "hotline.E015"),
        ({"UPLOAD_MAX_MEGABYTES": 0}, "hotline.E016"),
        ({"RERANKER_MAX_DOCUMENTS": -1}, "hotline.E018"),
        ({"RERANKER_MAX_DOCUMENT_CHARACTERS": -1}, "hotline.E018"),
        ({"API_RATE_LIMIT": ""}, "hotline.E017"),
        ({"API_RATE_LIMIT": "600"}, "hotline.E017"),
        ({"API_RATE_LIMIT": "0/min"}, "hotline.E017"),
        ({"API_RATE_LIMIT": "600/week"}, "hotline.E017"),
        ({"COMPOSE_PROFILES": ["cpu", "gpu"], "RERANKER": "auto"}, "hotline.W020"),
        ({"COMPOSE_PROFILES": ["gpu"], "RERANKER": "lexical"}, "hotline.W021"),
        ({"COMPOSE_PROFILES": ["gpu"], "RERANKER": "qwen", "RERANKER_DEVICE": "cpu"}, "hotline.W022"),
        ({"COMPOSE_PROFILES": ["cpu"], "RERANKER": "auto"}, "hotline.W023"),
        ({"COMPOSE_PROFILES": ["cpu", "embedding"]}, "hotline.W024"),
        ({"REWRITE_URL": "models/v1", "REWRITE_MODEL": "qwen"}, "hotline.E030"),
        ({"REWRITE_URL": "http://models/v1"}, "hotline.E031"),
        ({"REWRITE_URL": "http://models/v1", "REWRITE_MODEL": "q", "REWRITE_TIMEOUT_SECONDS": 0.0}, "hotline.E032"),
    ],
)
def test_harmful_setting_is_named(settings: Settings, changes: dict[str, Any], expected: str) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    assert found() == {expected}


@pytest.mark.parametrize(
    "changes",
    [
        {"RERANKER_DEVICE": "cuda:1", "RERANKER_DTYPE": "bfloat16", "RERANKER_SOURCE": "modelscope"},
        {"FIRST_SHARE_THRESHOLD": None, "RESULT_LIMIT": 50, "RERANK_BATCH_LOOKUPS": 1, "UPLOAD_MAX_MEGABYTES": 1},
        {"API_RATE_LIMIT": "10/s"},
        {"COMPOSE_PROFILES": ["gpu"], "RERANKER": "auto", "RERANKER_DEVICE": "cuda:0"},
        {"COMPOSE_PROFILES": ["cpu"], "RERANKER": "lexical", "RERANKER_MAX_DOCUMENTS": 0},
    ],
)
def test_sound_setting_is_let_in(settings: Settings, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    assert found() == set()


@pytest.mark.parametrize("rate", ["10/s", "600/min", "600/minute", "5/hour", "1/d"])
def test_rates_let_in_are_read_by_the_rest_framework(rate: str) -> None:
    throttle = type("Throttle", (SimpleRateThrottle,), {"rate": rate})()

    assert RATE.fullmatch(rate)
    assert throttle.num_requests == int(rate.partition("/")[0])


def test_dtypes_are_those_of_the_model() -> None:
    assert set(DTYPES) == {"auto", *pytest.importorskip("reranking.qwen_device").DTYPES}


@pytest.mark.django_db
def test_process_that_expects_another_reranker_than_the_worker_is_warned(settings: Settings) -> None:
    publish_status("rerank@a")  # as the worker of queue `rerank` does
    assert found() == set()

    settings.RERANKER = "auto"

    assert found() == {"hotline.W010"}
    assert find_disagreement() == "lexical"


@pytest.mark.parametrize(
    ("environment", "reranker"),
    [
        ({}, "lexical"),
        ({"COMPOSE_PROFILES": "cpu", "RERANKER": ""}, "lexical"),
        ({"COMPOSE_PROFILES": "gpu,embedding", "RERANKER": ""}, "auto"),
        ({"COMPOSE_PROFILES": "gpu", "RERANKER": "qwen"}, "qwen"),
    ],
)
def test_who_reranks_follows_from_the_workers_that_are_started(
    environment: dict[str, str], reranker: str, tmp_path: Path
) -> None:
    own = {"DATA_DIR": str(tmp_path), "HOTLINE_ENV_FILE": os.devnull, "PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-c", "from hotline import settings; print(settings.RERANKER)"]

    assert subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout.strip() == reranker


@pytest.mark.parametrize("server", ["hotline.wsgi", "hotline.asgi"])
def test_server_does_not_start_with_a_harmful_setting(server: str, tmp_path: Path) -> None:
    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        own = {"DATA_DIR": str(tmp_path), "HOTLINE_ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "hotline.settings"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [sys.executable, "-c", f"import {server}"]
        return subprocess.run(command, env=kept | own | environment, capture_output=True, text=True, check=False)

    refused = start(RERANK_BATCH_LOOKUPS="0")

    assert start().returncode == 0
    assert refused.returncode != 0
    assert "hotline.E015" in refused.stderr


def test_production_wants_a_secret_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    settings.SECRET_KEY_IS_GENERATED = True
    settings.DEBUG = True

    assert found() == {"hotline.E007", "hotline.W001"}


def test_a_worker_with_unsound_settings_says_so_and_ends(settings: Settings) -> None:
    settings.RERANK_BATCH_LOOKUPS = 0
    with pytest.raises(SystemExit, match=r"hotline\.E\d+"):
        worker_init.send(sender=None)
