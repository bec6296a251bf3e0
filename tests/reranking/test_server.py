"""The reranking server over real sockets: batching, load, limits, errors, access and what it says of itself."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from reranking.server_app import ServerOptions, create_app
from reranking.server_schemas import Limits
from reranking.types import Candidate, NonFiniteScore, Ranking, RankingRequest, RerankerUnavailable
from tests.reranking.serving import QUERY, TEXTS, FakeReranker, make_documents, read_error, serve


@pytest.fixture
def engine() -> FakeReranker:
    return FakeReranker(truncate_after=1000)


@pytest.fixture
def client(engine: FakeReranker) -> Iterator[httpx.Client]:
    with serve(engine) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client
        engine.gate.set()


class TestBatching:
    def test_many_clients_share_calls(self) -> None:
        engine = FakeReranker()
        clients = 24
        start = threading.Barrier(clients)

        def ask(number: int) -> list[str]:
            body = {"query": QUERY, "documents": make_documents(count=number % 5 + 1)}
            start.wait()
            response = httpx.post(f"{url}/rerank", json=body, timeout=20)
            return response.raise_for_status().json()["reranked_ids"]  # type: ignore[no-any-return]

        with serve(engine, ServerOptions(window=0.05)) as url, ThreadPoolExecutor(clients) as pool:
            answers = list(pool.map(ask, range(clients)))

        assert [len(answer) for answer in answers] == [number % 5 + 1 for number in range(clients)]
        assert sum(map(len, engine.calls)) == clients
        assert len(engine.calls) < clients / 2

    def test_requests_that_gather_during_a_call_are_one_call(self, client: httpx.Client, engine: FakeReranker) -> None:
        engine.gate.clear()
        body = {"query": QUERY, "texts": TEXTS}
        with ThreadPoolExecutor(9) as pool:
            first = pool.submit(client.post, "/rerank", json=body)
            wait_for_calls(engine, 1)
            others = [pool.submit(client.post, "/rerank", json=body) for _ in range(8)]
            wait_for_waiting(client, 8 * len(TEXTS))
            engine.gate.set()

            assert {future.result(20).status_code for future in [first, *others]} == {200}

        assert [len(call) for call in engine.calls] == [1, 8]


def wait_for_calls(engine: FakeReranker, count: int) -> None:
    deadline = time.monotonic() + 10
    while len(engine.calls) < count:
        assert time.monotonic() < deadline, "the engine was not called"
        time.sleep(0.005)


def wait_for_waiting(client: httpx.Client, documents: int) -> None:
    deadline = time.monotonic() + 10
    while client.get("/health").json()["documents_waiting"] != documents:
        assert time.monotonic() < deadline, "the queue did not fill"
        time.sleep(0.005)


class TestLoad:
    def test_full_queue_answers_429_and_recovers(self) -> None:
        engine = FakeReranker()
        body = {"query": QUERY, "texts": TEXTS}
        with (
            serve(engine, ServerOptions(max_waiting=6)) as url,
            httpx.Client(base_url=url, timeout=20) as client,
            ThreadPoolExecutor(2) as pool,
        ):
            engine.gate.clear()
            running = pool.submit(client.post, "/rerank", json=body)
            wait_for_calls(engine, 1)
            waiting = pool.submit(client.post, "/rerank", json=body)
            wait_for_waiting(client, len(TEXTS))

            refused = client.post("/rerank", json=body)
            engine.gate.set()

            assert read_error(refused) == (429, "queue_full")
            assert int(refused.headers["Retry-After"]) >= 1
            assert running.result(20).status_code == waiting.result(20).status_code == 200
            assert client.post("/rerank", json=body).status_code == 200

    def test_shutdown_does_not_wait_for_what_nobody_waits_for(self, engine: FakeReranker) -> None:
        app = create_app(engine, ServerOptions(shutdown_seconds=60.0))

        async def run() -> float:
            async with app.router.lifespan_context(app):
                engine.gate.clear()
                app.state.service.queue.submit([RankingRequest("漏水", [Candidate("a", "", "漏水")])])
                await asyncio.sleep(0.1)
                started = time.monotonic()
            return time.monotonic() - started

        with ThreadPoolExecutor(1) as pool:  # the browser's tests keep a loop running in this thread
            assert pool.submit(asyncio.run, run()).result() < 10
        engine.gate.set()

    def test_caller_that_hangs_up_is_taken_from_the_queue(self, client: httpx.Client, engine: FakeReranker) -> None:
        engine.gate.clear()
        body = {"query": QUERY, "texts": TEXTS}
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(client.post, "/rerank", json=body)
            wait_for_calls(engine, 1)
            with pytest.raises(httpx.ReadTimeout):
                client.post("/rerank", json={**body, "query": "不等了"}, timeout=0.2)
            time.sleep(0.2)
            engine.gate.set()
            assert running.result(20).status_code == 200

        assert client.post("/rerank", json=body).status_code == 200
        assert all(request.query != "不等了" for call in engine.calls for request in call)

    def test_shutdown_answers_what_was_taken(self) -> None:
        engine = FakeReranker()
        with ThreadPoolExecutor(1) as pool:
            with serve(engine) as url:
                engine.gate.clear()
                running = pool.submit(httpx.post, f"{url}/rerank", json={"query": QUERY, "texts": TEXTS}, timeout=20)
                wait_for_calls(engine, 1)
                threading.Timer(0.3, engine.gate.set).start()

            assert running.result(20).status_code == 200
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{url}/health")


class TestLimits:
    limits = Limits(documents=5, query_characters=10, document_characters=50, total_characters=120, body_bytes=2000)

    @pytest.fixture
    def client(self, engine: FakeReranker) -> Iterator[httpx.Client]:
        with serve(engine, ServerOptions(limits=self.limits)) as url, httpx.Client(base_url=url) as client:
            yield client

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"query": QUERY, "texts": ["文"] * 6}, "too_many_documents"),
            ({"query": "问" * 11, "texts": TEXTS}, "query_too_long"),
            ({"query": QUERY, "texts": ["文" * 51]}, "document_too_long"),
            (
                {"query": QUERY, "documents": [{"id": "a", "title": "题" * 30, "content": "文" * 30}]},
                "document_too_long",
            ),
            ({"query": QUERY, "texts": ["文" * 50] * 3}, "request_too_long"),
            ({"query": QUERY, "texts": TEXTS, "padding": "x" * 2000}, "body_too_large"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_too_much_is_refused(
        self, client: httpx.Client, engine: FakeReranker, body: dict[str, Any], code: str
    ) -> None:
        assert read_error(client.post("/rerank", json=body)) == (413, code)
        assert engine.calls == []

    def test_limit_itself_is_allowed(self, client: httpx.Client) -> None:
        assert client.post("/rerank", json={"query": "问" * 10, "texts": ["文" * 24] * 5}).status_code == 200

    def test_endless_body_is_not_read_to_its_end(self, client: httpx.Client) -> None:
        sent = 0

        def send() -> Iterator[bytes]:
            nonlocal sent
            for _ in range(10_000):
                sent += 1
                yield b" " * 10_000

        try:
            status = client.post("/rerank", content=send()).status_code
        except (httpx.WriteError, httpx.RemoteProtocolError):
            status = 413  # the server hung up while we were still talking

        assert status == 413
        assert sent < 10_000

    def test_pairs_of_scores_count_as_documents(self, client: httpx.Client) -> None:
        response = client.post("/v1/score", json={"text_1": ["问"] * 6, "text_2": ["文"] * 6})

        assert read_error(response) == (413, "too_many_documents")


class TestErrors:
    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"nonsense", b"[" * 100_000])
    def test_not_json(self, client: httpx.Client, content: bytes) -> None:
        assert read_error(client.post("/rerank", content=content)) == (400, "invalid_json")

    @pytest.mark.parametrize(
        "body",
        [
            [],
            {},
            None,
            "text",
            {"query": QUERY},
            {"query": 5, "texts": TEXTS},
            {"query": QUERY, "texts": "text"},
            {"query": QUERY, "texts": [None]},
            {"query": QUERY, "documents": {"id": "a"}},
            {"query": QUERY, "documents": [{"id": "a"}]},
            {"query": QUERY, "documents": [[]]},
            {"query": QUERY, "documents": [{"id": "a", "content": "x"}], "latency_budget": 0},
            {"query": QUERY, "documents": [{"id": "a", "content": "x"}], "latency_budget": "NaN"},
            {"query": QUERY, "texts": TEXTS, "instruction": "长" * 5000},
        ],
        ids=lambda body: json.dumps(body, ensure_ascii=False)[:40],
    )
    def test_wrong_shape(self, client: httpx.Client, body: Any) -> None:
        response = client.post("/rerank", content=json.dumps(body))

        assert read_error(response) == (422, "invalid_request")

    def test_lone_surrogate_is_refused(self, client: httpx.Client) -> None:
        response = client.post("/rerank", content=b'{"query": "\\ud800", "texts": ["a"]}')

        assert read_error(response) == (400, "invalid_json")

    def test_whole_surrogate_pair_is_text(self, client: httpx.Client, engine: FakeReranker) -> None:
        client.post("/rerank", content=b'{"query": "\\ud83d\\ude00", "texts": ["a"]}')

        assert engine.calls[0][0].query == "😀"

    def test_error_does_not_repeat_the_callers_text(self, client: httpx.Client) -> None:
        response = client.post("/rerank", json={"query": {"phone": "13800001111"}, "texts": TEXTS})

        assert "13800001111" not in response.text

    def test_unknown_path_and_method(self, client: httpx.Client) -> None:
        assert read_error(client.get("/nothing")) == (404, "not_found")
        assert read_error(client.get("/rerank")) == (405, "method_not_allowed")

    def test_absent_reranker(self, client: httpx.Client, engine: FakeReranker) -> None:
        engine.fail_with = lambda request: RerankerUnavailable("device lost")

        response = client.post("/rerank", json={"query": QUERY, "texts": TEXTS})

        assert read_error(response) == (503, "reranker_unavailable")
        assert response.headers["Retry-After"]
        assert "device lost" not in response.text

    def test_non_finite_score(self, client: httpx.Client, engine: FakeReranker) -> None:
        engine.fail_with = lambda request: NonFiniteScore("score is nan")

        assert read_error(client.post("/rerank", json={"query": QUERY, "texts": TEXTS})) == (503, "non_finite_score")

    def test_unforeseen_error_tells_nothing_and_leaves_the_server_up(
        self, client: httpx.Client, engine: FakeReranker, caplog: pytest.LogCaptureFixture
    ) -> None:
        engine.fail_with = lambda request: KeyError("secret detail")

        response = client.post("/rerank", json={"query": QUERY, "texts": TEXTS})

        assert read_error(response) == (500, "internal_error")
        assert "secret detail" not in response.text
        assert "secret detail" in caplog.text
        engine.fail_with = lambda request: None
        assert client.post("/rerank", json={"query": QUERY, "texts": TEXTS}).status_code == 200

    @pytest.mark.parametrize(("path", "names"), [("/rerank", ("query", "texts")), ("/v1/score", ("text_1", "text_2"))])
    def test_shape_that_cannot_say_so_refuses_a_partial_order(self, path: str, names: tuple[str, str]) -> None:
        with serve(HastyReranker(seconds_per_document=1.0)) as url:
            response = httpx.post(f"{url}{path}", json={names[0]: QUERY, names[1]: TEXTS}, timeout=20)

        assert read_error(response) == (503, "partial_rerank")


class HastyReranker(FakeReranker):
    """Has a deadline of its own."""

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return super().rank([replace(request, latency_budget=0.1) for request in requests])


class TestAccess:
    @pytest.fixture
    def client(self, engine: FakeReranker) -> Iterator[httpx.Client]:
        with serve(engine, ServerOptions(api_key="钥匙-1")) as url, httpx.Client(base_url=url) as client:
            yield client

    @pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v1/score"])
    def test_request_without_the_key_is_refused(self, client: httpx.Client, path: str) -> None:
        assert read_error(client.post(path, json={"query": QUERY, "texts": TEXTS})) == (401, "unauthorized")
        wrong = {"Authorization": "Bearer no"}
        assert read_error(client.post(path, json={}, headers=wrong)) == (401, "unauthorized")

    def test_health_and_metrics_need_no_key(self, client: httpx.Client) -> None:
        assert client.get("/health").status_code == 200
        assert client.get("/metrics").status_code == 200


def test_request_with_the_key_is_answered(engine: FakeReranker) -> None:
    with serve(engine, ServerOptions(api_key="key-1")) as url:
        response = httpx.post(
            f"{url}/rerank", json={"query": QUERY, "texts": TEXTS}, headers={"Authorization": "Bearer key-1"}
        )

    assert response.status_code == 200


class TestHealthAndMetrics:
    def test_health_says_who_ranks(self, client: httpx.Client) -> None:
        answer = client.get("/health")

        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"
        assert answer.json()["reranker"]["revision"] == "fake-1"
        assert answer.json()["documents_waiting"] == 0
        assert answer.json()["limits"]["documents"] == Limits().documents

    def test_metrics_count_what_happened(self, client: httpx.Client, engine: FakeReranker) -> None:
        client.post("/rerank", json={"query": QUERY, "texts": TEXTS})
        client.post("/rerank", content=b"{")
        client.get("/some/path/or/other")

        metrics = client.get("/metrics").text

        assert 'rerank_requests_total{path="/rerank",status="200"} 1.0' in metrics
        assert 'rerank_requests_total{path="/rerank",status="400"} 1.0' in metrics
        assert 'rerank_requests_total{path="other",status="404"} 1.0' in metrics
        assert "rerank_documents_total 4.0" in metrics
        assert "rerank_batch_requests_count 1.0" in metrics
        assert "rerank_documents_waiting 0.0" in metrics
        assert "/some/path" not in metrics

    def test_notices_are_counted(self) -> None:
        with serve(FakeReranker(seconds_per_document=0.1)) as url, httpx.Client(base_url=url, timeout=20) as client:
            client.post("/rerank", json={"query": QUERY, "documents": make_documents(), "latency_budget": 0.15})

            assert 'rerank_notices_total{notice="partial_rerank"} 1.0' in client.get("/metrics").text
