"""The product as processes: web server and workers, on the embedded set-up or on the production servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
WORKER = ("worker", "--without-gossip", "--without-mingle", "--loglevel", "INFO")


@dataclass
class Stack:
    """Processes that share one environment. `stop` ends what is left."""

    env: dict[str, str]
    folder: Path
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def manage(self, *arguments: str) -> str:
        """A management command's output; its errors fail the test."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=ROOT,
            env=self.env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.processes[name] = process
        return process

    def start_worker(
        self, name: str, queues: str, *, app: str = "hotline", concurrency: int = 1
    ) -> subprocess.Popen[bytes]:
        own = ("-Q", queues, "--concurrency", str(concurrency), "--hostname", f"{name}@%h")
        return self.start(name, "celery", "-A", app, *WORKER, *own)

    def children(self, name: str) -> list[int]:
        """Process ids of a worker's children."""
        pid = self.processes[name].pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def start_web(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start("web", "gunicorn", "hotline.wsgi", "--bind", f"127.0.0.1:{self.port}", "--threads", "4")
        wait_for(lambda: self._answers(), seconds=60)

    def kill(self, name: str) -> None:
        """kill -9 of a process and its children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def make_key(self) -> str:
        """An API key with every scope."""
        code = (
            "from hotline.models import APIKey; "
            "print(APIKey.objects.create_key(name='t', scopes=APIKey.Scope.values)[1])"
        )
        return self.manage("shell", "--verbosity", "0", "-c", code).split()[-1]

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Api-Key {self.make_key()}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1/", headers=headers, timeout=30)

    def evaluate(self, expression: str) -> str:
        """What a Django expression prints, for looking into the database."""
        names = "from hotline.models import *; from kb.models import *; "
        return self.manage("shell", "--verbosity", "0", "-c", f"{names}print({expression})").strip().splitlines()[-1]

    def logs(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/login/").status_code == 200
        except httpx.TransportError:
            return False


def is_idle(pid: int) -> bool:
    """Whether a process has used no processor time for a second, and wants none."""
    before = _read_state(pid)
    time.sleep(1)
    return before[0] == "S" and _read_state(pid) == before


def _read_state(pid: int) -> list[str]:
    """One letter (S: it sleeps), then the clock ticks used in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [fields[0], *fields[11:13]]


def wait_for(is_so: Callable[[], Any], *, seconds: float = 60) -> Any:
    """What `is_so` gives once it is true. AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := is_so():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not so after {seconds} s")
