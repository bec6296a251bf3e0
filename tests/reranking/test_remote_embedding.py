"""`/v1/embeddings` and its client: our server on a real socket, and hosts that answer as they are told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import httpx
import numpy as np
import pytest

from reranking.embedding import EmbedderUnavailable, NonFiniteVector
from reranking.remote_embedding import BREAKER_THRESHOLD, RemoteEmbedder
from reranking.server_app import ServerOptions
from reranking.server_embedding import MOST_TEXTS
from tests.embedders import DIMENSION, FakeTextEmbedder, embed_characters
from tests.reranking.serving import FakeReranker, read_error, serve, serve_script

TEXTS = ["楼上漏水", "居住证", "Query: who repairs?"]


@pytest.fixture
def engine() -> FakeTextEmbedder:
    return FakeTextEmbedder()


@pytest.fixture
def url(engine: FakeTextEmbedder) -> Iterator[str]:
    with serve(FakeReranker(), embedder=engine) as url:
        yield url
        engine.gate.set()


class TestServer:
    def test_answer_has_the_openai_form(self, url: str) -> None:
        answer = httpx.post(f"{url}/v1/embeddings", json={"model": "any", "input": TEXTS}).json()

        assert (answer["object"], answer["model"], answer["revision"]) == ("list", "fake-embedder", "fake-embedder-1")
        assert [item["index"] for item in answer["data"]] == [0, 1, 2]
        np.testing.assert_allclose([item["embedding"] for item in answer["data"]], embed_characters(TEXTS), atol=1e-6)

    def test_one_text_and_base64(self, url: str) -> None:
        answer = httpx.post(f"{url}/v1/embeddings", json={"input": "漏水", "encoding_format": "base64"}).json()

        row = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), dtype="<f4")
        np.testing.assert_allclose(row, embed_characters(["漏水"])[0], atol=1e-6)

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"input": []}, 422, "invalid_request"),
            ({"input": [1]}, 422, "invalid_request"),
            ({}, 422, "invalid_request"),
            ({"input": ["x"] * (MOST_TEXTS + 1)}, 413, "too_many_texts"),
            ({"input": "长" * 400_001}, 413, "request_too_long"),
        ],
    )
    def test_bad_request_is_named(self, url: str, body: object, status: int, code: str) -> None:
        response = httpx.post(f"{url}/v1/embeddings", json=body)

        assert read_error(response) == (status, code)

    def test_server_without_a_model_says_so(self) -> None:
        with serve(FakeReranker()) as url:
            response = httpx.post(f"{url}/v1/embeddings", json={"input": "漏水"})
            health = httpx.get(f"{url}/health").json()

        assert read_error(response) == (404, "no_embedder")
        assert health["embedder"] is None

    def test_failing_model_is_unavailable(self, url: str, engine: FakeTextEmbedder) -> None:
        engine.fail_with = lambda: NonFiniteVector("nan")
        first = httpx.post(f"{url}/v1/embeddings", json={"input": "漏水"})
        engine.fail_with = lambda: EmbedderUnavailable("away")
        second = httpx.post(f"{url}/v1/embeddings", json={"input": "漏水"})

        assert read_error(first) == (503, "non_finite_vector")
        assert read_error(second) == (503, "embedder_unavailable")

    def test_caller_who_gave_up_while_waiting_costs_nothing(self, url: str, engine: FakeTextEmbedder) -> None:
        engine.gate.clear()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(httpx.post, f"{url}/v1/embeddings", json={"input": "先来"}, timeout=20)
            wait_for_calls(engine, 1)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{url}/v1/embeddings", json={"input": "已离开"}, timeout=0.3)
            engine.gate.set()
            assert first.result(20).status_code == 200
        httpx.post(f"{url}/v1/embeddings", json={"input": "后来"}, timeout=20)

        assert engine.calls == [["先来"], ["后来"]]


def wait_for_calls(engine: FakeTextEmbedder, count: int) -> None:
    deadline = time.monotonic() + 10
    while len(engine.calls) < count:
        assert time.monotonic() < deadline, "the embedder was not called"
        time.sleep(0.005)


Connect = Callable[..., RemoteEmbedder]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes embedders that are closed afterwards."""
    with ExitStack() as stack:
        yield lambda url, **options: stack.enter_context(closing(RemoteEmbedder(url, **options)))


class TestAgainstTheServer:
    def test_vectors_and_info_arrive(self, connect: Connect, url: str, engine: FakeTextEmbedder) -> None:
        remote = connect(url, batch_texts=2)

        found = remote.embed_texts(TEXTS)

        np.testing.assert_allclose(found.rows, embed_characters(TEXTS), atol=1e-6)
        assert (found.info.revision, found.info.dimension) == ("fake-embedder-1", DIMENSION)
        assert engine.calls == [TEXTS[:2], TEXTS[2:]]
        assert remote.embed_texts([]).rows.shape == (0, DIMENSION)

    def test_info_is_asked_for_when_nothing_was_embedded(self, connect: Connect, url: str) -> None:
        assert connect(f"{url}/v1").info.revision == "fake-embedder-1"

    def test_key_is_carried(self, connect: Connect, engine: FakeTextEmbedder) -> None:
        with serve(FakeReranker(), ServerOptions(api_key="key-1"), engine) as url:
            assert len(connect(url, api_key="key-1").embed_texts(TEXTS).rows) == 3
            with pytest.raises(EmbedderUnavailable, match="401"):
                connect(url).embed_texts(TEXTS)

    def test_slow_host_is_given_up_in_time(self, connect: Connect, url: str, engine: FakeTextEmbedder) -> None:
        engine.gate.clear()
        with pytest.raises(EmbedderUnavailable, match="in time"):
            connect(url, timeout=0.2).embed_texts(TEXTS)


def answer(*rows: object, status: int = 200, **more: object) -> tuple[int, dict[str, str], bytes]:
    data = [{"index": index, "embedding": row} for index, row in enumerate(rows)]
    return status, {}, json.dumps({"model": "host-model", "data": data, **more}).encode()


class TestOtherHosts:
    def test_model_stands_for_a_missing_revision_and_order_goes_by_index(self, connect: Connect) -> None:
        data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 0.0]}]
        with serve_script(lambda number, body: answer(data=data)) as host:
            found = connect(host.url).embed_texts(["甲", "乙"])

        assert found.info.revision == "host-model"
        assert found.rows.tolist() == [[1.0, 0.0], [0.0, 1.0]]

    @pytest.mark.parametrize("rows", [[], [[1.0], [1.0]], [["x"]], [[]], [None], [[1.0, 2.0], [1.0]]], ids=str)
    def test_answer_that_does_not_fit_is_refused(self, connect: Connect, rows: list[object]) -> None:
        with (
            serve_script(lambda number, body: answer(*rows)) as host,
            pytest.raises(EmbedderUnavailable, match="expected form"),
        ):
            connect(host.url).embed_texts(["甲"])

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "0.0"])
    def test_vector_without_a_direction_is_an_error(self, connect: Connect, number: str) -> None:
        body = b'{"model": "m", "data": [{"index": 0, "embedding": [%s, 0.0]}]}' % number.encode()
        with serve_script(lambda at, sent: (200, {}, body)) as host, pytest.raises(NonFiniteVector):
            connect(host.url).embed_texts(["甲"])

    def test_passing_fault_is_tried_again_where_asked_to(self, connect: Connect) -> None:
        with serve_script(lambda number, body: answer(status=503) if number % 2 == 0 else answer([1.0])) as host:
            assert connect(host.url, attempts=2).embed_texts(["甲"]).rows.tolist() == [[1.0]]
            with pytest.raises(EmbedderUnavailable, match="503"):
                connect(host.url).embed_texts(["甲"])

    def test_host_that_keeps_failing_is_left_alone(self, connect: Connect) -> None:
        with serve_script(lambda number, body: answer(status=500)) as host:
            remote = connect(host.url)
            for _ in range(BREAKER_THRESHOLD + 3):
                with pytest.raises(EmbedderUnavailable):
                    remote.embed_texts(["甲"])
            assert len(host.bodies) == BREAKER_THRESHOLD

    def test_host_that_is_away_is_unavailable(self, connect: Connect) -> None:
        with pytest.raises(EmbedderUnavailable, match="cannot be reached"):
            connect("http://127.0.0.1:9").embed_texts(["甲"])
