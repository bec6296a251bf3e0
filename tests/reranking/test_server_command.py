"""`python -m reranking.server` as it is started in production: a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from reranking.server import choose_from, main, make_cache, make_server_options, parse_arguments
from tests.reranking.contract import CANDIDATES, QUESTION
from tests.reranking.models import save_model, tiny_config, train_tokenizer

BODY = {"query": QUESTION, "texts": [candidate.text for candidate in CANDIDATES]}


@dataclass
class Running:
    process: subprocess.Popen[str]
    url: str


@contextmanager
def start(*arguments: str, log: Path) -> Iterator[Running]:
    """The server as a process on a free port, from its first log line that names the port."""
    command = [sys.executable, "-m", "reranking.server", "--port", "0", *arguments]
    with log.open("w") as output, subprocess.Popen(command, stderr=output, text=True) as process:
        try:
            yield Running(process, _wait_for_address(process, log))
        finally:
            process.kill()


def _wait_for_address(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"running on (http://\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = train_tokenizer()
    return save_model(tmp_path_factory.mktemp("model"), tiny_config(len(tokenizer)), tokenizer)


def test_arguments_reach_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANKING_SERVER_API_KEY", "key-1")
    arguments = ["--window-ms", "5", "--max-batch", "64", "--max-waiting", "128", "--max-documents", "50"]

    options = make_server_options(parse_arguments(arguments))

    assert options.window == 0.005
    assert options.lexical_ok is False
    assert make_server_options(parse_arguments(["--lexical-ok"])).lexical_ok is True
    assert (options.max_batch, options.max_waiting, options.limits.documents) == (64, 128, 50)
    assert options.api_key == "key-1"
    assert "key-1" not in repr(options)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ([], "MemoryScoreCache"),
        (["--cache-entries", "0"], "NullScoreCache"),
        (["--redis-url", "redis://127.0.0.1:1"], "RedisScoreCache"),
    ],
)
def test_cache_is_as_asked(arguments: list[str], kind: str) -> None:
    assert type(make_cache(parse_arguments(arguments))).__name__ == kind


def test_model_is_loaded_with_its_cache(model_folder: Path) -> None:
    options = parse_arguments(["--model-path", str(model_folder), "--device", "cpu", "--dtype", "float32"])

    choice = choose_from(options)

    assert choice.is_degraded is False
    assert choice.reranker.info.dtype == "float32"


def test_no_model_is_lexical(tmp_path: Path) -> None:
    choice = choose_from(parse_arguments([]))

    assert choice.reranker.info.name == "lexical"
    assert choice.is_degraded is False


def test_required_model_that_is_not_there_ends_the_server(tmp_path: Path) -> None:
    arguments = ["--model-path", str(tmp_path), "--source", "folder", "--device", "cpu", "--require-model"]

    assert main(arguments) == 1


@pytest.mark.slow
def test_process_serves_the_model_and_ends_gracefully(model_folder: Path, tmp_path: Path) -> None:
    with (
        start("--model-path", str(model_folder), "--device", "cpu", log=tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        health = client.get("/health").json()
        answers = [pool.submit(client.post, "/rerank", json=BODY) for _ in range(4)]
        first = [answer.result(30) for answer in answers]
        late = [pool.submit(client.post, "/rerank", json={**BODY, "query": f"{n}" * 50}) for n in range(4)]
        time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(30)

        assert health["status"] == "ok"
        assert health["degraded"] is False
        assert health["attempts"] == [
            {"engine": "model", "device": "cpu", "error": ""},
        ]
        assert {answer.status_code for answer in first} == {200}
        assert len({answer.text for answer in first}) == 1
        assert all(answer.exception() is None and answer.result().status_code == 200 for answer in late)
        assert code in {0, -signal.SIGTERM}


@pytest.mark.slow
def test_process_without_its_model_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "no-model"
    with start("--model-path", str(missing), "--source", "folder", "--device", "cpu", log=tmp_path / "log") as server:
        health = httpx.get(f"{server.url}/health").json()
        documents = [{"id": candidate.id, "content": candidate.text} for candidate in CANDIDATES]
        answer = httpx.post(f"{server.url}/rerank", json={"query": QUESTION, "documents": documents}).json()

    assert health["degraded"] is True
    assert health["attempts"][0]["error"]
    assert answer["reranker"]["name"] == "lexical"
