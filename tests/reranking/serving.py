"""A reranker whose every move is known, and real servers on free ports."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import uvicorn

from reranking.embedding import TextEmbedder
from reranking.remote import RemoteReranker
from reranking.remote_options import RemoteOptions
from reranking.server_app import ServerOptions, create_app
from reranking.types import (
    Candidate,
    Ranking,
    RankingRequest,
    Reranker,
    RerankerInfo,
    ScoredPassage,
    order_scored,
)

QUERY = "楼上漏水怎么办"
TEXTS = ["停车收费标准", "漏水怎么办：找物业", "楼上漏水", "无关"]
# Shared characters less a hundredth of the length less 3.5, as the fake scores.
LOG_ODDS = {0: -3.56, 1: 1.41, 2: 0.46, 3: -3.52}
ORDER = [1, 2, 3, 0]

FAKE_INFO = RerankerInfo("fake", "fake-1", calibrated=True, device="cpu", dtype="float32")


class FakeReranker:
    """Scores by shared characters. Records its calls; `fail_with` raises, `gate` holds it until it is set.

    `seconds_per_document` makes it slow, and a deadline then cuts it off.
    """

    def __init__(self, *, seconds_per_document: float = 0.0, truncate_after: int = 10_000) -> None:
        self.calls: list[list[RankingRequest]] = []
        self.fail_with: Callable[[RankingRequest], Exception | None] = lambda request: None
        self.gate = threading.Event()
        self.gate.set()
        self._seconds_per_document = seconds_per_document
        self._truncate_after = truncate_after

    @property
    def info(self) -> RerankerInfo:
        return FAKE_INFO

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        started = time.monotonic()
        self.calls.append(list(requests))
        self.gate.wait(20)
        for request in requests:
            error = self.fail_with(request)
            if error is not None:
                raise error
        return [self._rank_one(request, started) for request in requests]

    def _rank_one(self, request: RankingRequest, started: float) -> Ranking:
        scored: list[ScoredPassage] = []
        for candidate in request.candidates:
            budget = request.latency_budget
            if budget is not None and time.monotonic() - started + self._seconds_per_document > budget:
                break
            time.sleep(self._seconds_per_document)
            truncated = len(candidate.text) > self._truncate_after
            scored.append(ScoredPassage.from_log_odds(candidate.id, score(request, candidate), truncated=truncated))
        unscored = tuple(candidate.id for candidate in request.candidates[len(scored) :])
        notices = ("partial_rerank",) if unscored else ()
        return Ranking(order_scored(scored), self.info, unscored, time.monotonic() - started, notices)


def score(request: RankingRequest, candidate: Candidate) -> float:
    """Shared characters, less one for every hundred: a float that is not whole."""
    text = candidate.title + candidate.document_number + candidate.text
    return len(set(request.query) & set(text)) - len(text) / 100 - 3.5


@contextmanager
def serve(
    reranker: Reranker, options: ServerOptions | None = None, embedder: TextEmbedder | None = None
) -> Iterator[str]:
    """A real server around the reranker in a thread; gives its address."""
    config = uvicorn.Config(
        create_app(reranker, options, embedder=embedder),
        port=0,
        log_level="warning",
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and content; the status HANG_UP closes the connection without an answer."""
HANG_UP = 0


class ScriptedHost:
    """A host that answers as it is told: `script` gets the number of the request (from 0) and its body."""

    def __init__(self, script: Callable[[int, bytes], Answer]) -> None:
        self.script = script
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""


@contextmanager
def serve_script(script: Callable[[int, bytes], Answer]) -> Iterator[ScriptedHost]:
    """A real HTTP server with scripted answers."""
    host = ScriptedHost(script)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                number = len(host.bodies)
                host.bodies.append(body)
                host.paths.append(self.path)
                host.headers.append(dict(self.headers.items()))
            status, headers, content = host.script(number, body)
            if status == HANG_UP:
                self.close_connection = True
                return
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def make_documents(*, count: int = len(TEXTS)) -> list[dict[str, Any]]:
    return [{"id": f"d{number}", "title": "", "content": TEXTS[number % len(TEXTS)]} for number in range(count)]


def read_error(response: httpx.Response) -> tuple[int, str]:
    """Status and code; every error has the one form."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["code"]


REQUEST = RankingRequest("漏水", [Candidate("a", "", "漏水"), Candidate("b", "", "停车"), Candidate("c", "", "漏电")])
GOOD = {"reranked_ids": ["c", "a", "b"], "log_odds": [3.0, 2.0, 1.0]}


def make_answer(data: Any = GOOD, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return status, headers or {}, json.dumps(data).encode()


@contextmanager
def connect(url: str, **options: Any) -> Iterator[RemoteReranker]:
    with closing(RemoteReranker(RemoteOptions(url, **options))) as remote:
        yield remote


@contextmanager
def connect_script(
    script: Callable[[int, bytes], Answer], **options: Any
) -> Iterator[tuple[RemoteReranker, ScriptedHost]]:
    with serve_script(script) as host, connect(host.url, **options) as remote:
        yield remote, host
