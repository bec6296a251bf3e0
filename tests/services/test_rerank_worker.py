"""The worker that reranks, as a real process on Redis: neither its child's death nor the broker's ends it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.services.conftest import run_stack
from tests.services.stack import Stack, wait_for
from tests.services.test_end_to_end import publish_sample

pytestmark = [pytest.mark.slow, pytest.mark.service, pytest.mark.timeout(600)]


class Broker:
    """A Redis server of the test's own, which may die and then remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self._answers, seconds=20)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    own = Broker(tmp_path)
    yield own
    own.kill()


@pytest.fixture
def desk(broker: Broker, embedded_env: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """With a policy published, a web server, and Redis as broker and cache."""
    for stack in run_stack({**embedded_env, "REDIS_URL": broker.url, "WARM_UP_RERANKER": "1"}, tmp_path):
        publish_sample(stack)
        stack.start_web()
        yield stack


def test_killed_child_is_replaced_however_slowly_the_model_loads(desk: Stack) -> None:
    desk.start_worker("rerank", "rerank", app="tests.services.slow_loading")
    with desk.client() as client:
        ask_and_wait(client, "电梯补贴", seconds=60)

        (child,) = desk.children("rerank")
        os.kill(child, signal.SIGKILL)
        ask_and_wait(client, "加装电梯", seconds=40)
        assert desk.children("rerank") != [child]


def test_broker_that_dies_and_forgets_everything_loses_no_lookup(desk: Stack, broker: Broker) -> None:
    desk.start_worker("rerank", "rerank")
    desk.start("beat", "celery", "-A", "hotline", "beat")
    with desk.client() as client:
        ask_and_wait(client, "电梯补贴", seconds=60)

        broker.kill()
        missed = [client.post("lookups", json={"question": question}).json()["id"] for question in ("加装", "补贴")]
        broker.start()
        wait_for(lambda: all(client.get(f"lookups/{pk}").json()["is_final"] for pk in missed), seconds=90)


def ask_and_wait(client: httpx.Client, question: str, *, seconds: float) -> None:
    asked = client.post("lookups", json={"question": question}).json()["id"]
    wait_for(lambda: client.get(f"lookups/{asked}").json()["is_final"], seconds=seconds)
