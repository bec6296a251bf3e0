"""The remote client against real servers: ours, and hosts that answer as they are told."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from reranking.remote import RequestRefused
from reranking.remote_options import RemoteOptions
from reranking.server_app import ServerOptions
from reranking.server_schemas import Limits
from reranking.types import Candidate, NonFiniteScore, Ranking, RankingRequest, Reranker, RerankerUnavailable
from tests.reranking.contract import RerankerContract
from tests.reranking.serving import HANG_UP, REQUEST, Answer, FakeReranker, connect, connect_script, make_answer, serve


class RemoteContract(RerankerContract):
    options: dict[str, Any] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def reranker(cls) -> Iterator[Reranker]:
        with serve(FakeReranker()) as url, connect(url, **cls.options) as remote:
            yield remote


class TestHotlineContract(RemoteContract):
    pass


class TestTeiContract(RemoteContract):
    options = {"api": "tei", "template": "host"}


class TestV1Contract(RemoteContract):
    options = {"api": "v1", "template": "host"}


class TestSlowHotlineContract(RerankerContract):
    has_deadline = True

    @pytest.fixture(scope="class")
    @classmethod
    def reranker(cls) -> Iterator[Reranker]:
        with serve(FakeReranker(seconds_per_document=0.002)) as url, connect(url) as remote:
            yield remote


class TestAgainstTheServer:
    @pytest.mark.parametrize(
        "options", [{}, {"api": "tei", "template": "host"}, {"api": "v1", "template": "host"}], ids=str
    )
    def test_log_odds_arrive_to_the_last_bit(self, options: dict[str, Any]) -> None:
        engine = FakeReranker()
        plain = [Candidate(str(number), "", "漏水" * number) for number in range(5)]
        request = RankingRequest("楼上漏水", plain)
        with serve(engine) as url, connect(url, **options) as remote:
            (ranking,) = remote.rank([request])

        (local,) = engine.rank([request])
        assert [(item.id, item.log_odds) for item in ranking.scored] == [
            (item.id, item.log_odds) for item in local.scored
        ]

    def test_info_is_the_hosts_own(self) -> None:
        with serve(FakeReranker()) as url, connect(url) as remote:
            before = remote.info
            (ranking,) = remote.rank([REQUEST])

            assert before.name.startswith("remote:127.0.0.1")
            assert remote.info == ranking.info
            assert (ranking.info.name, ranking.info.revision) == ("fake", "fake-1")

    def test_deadline_travels_and_the_partial_ranking_comes_back(self) -> None:
        many = [Candidate(str(number), "", "漏水") for number in range(100)]
        with serve(FakeReranker(seconds_per_document=0.04)) as url, connect(url) as remote:
            remote.rank([REQUEST])  # connects
            (ranking,) = remote.rank([RankingRequest("漏水", many, latency_budget=2.5)])

        assert 0 < len(ranking.scored) < 100
        assert ranking.notices == ("partial_rerank",)
        assert ranking.seconds < 2.7

    def test_host_that_does_not_keep_the_deadline_leaves_everything_unscored(self) -> None:
        engine = FakeReranker()
        engine.gate.clear()
        with serve(engine) as url, connect(url) as remote:
            started = time.monotonic()
            (ranking,) = remote.rank([RankingRequest("漏水", REQUEST.candidates, latency_budget=0.2)])
            elapsed = time.monotonic() - started
            engine.gate.set()

        assert ranking.unscored == ("a", "b", "c")
        assert ranking.scored == ()
        assert ranking.notices == ("partial_rerank",)
        assert 0.15 < elapsed < 1

    def test_requests_of_one_call_are_batched_by_the_host(self) -> None:
        engine = FakeReranker()
        with serve(engine, ServerOptions(window=0.2)) as url, connect(url, concurrency=8) as remote:
            rankings = remote.rank([RankingRequest(f"漏水{number}", REQUEST.candidates) for number in range(8)])

        assert len(rankings) == 8
        assert sum(map(len, engine.calls)) == 8
        assert len(engine.calls) <= 2

    def test_refusal_of_one_request_takes_no_others_ranking(self) -> None:
        def script(number: int, body: bytes) -> Answer:
            return make_answer({}, 413) if "坏" in json.loads(body)["query"] else make_answer()

        requests = [RankingRequest(query, REQUEST.candidates) for query in ("好", "坏", "好")]
        with connect_script(script) as (remote, _):
            outcomes = remote.rank_each(requests)
            with pytest.raises(RequestRefused):
                remote.rank(requests)

        assert [isinstance(outcome, Ranking) for outcome in outcomes] == [True, False, True]
        assert isinstance(outcomes[1], RequestRefused)

    def test_key_is_sent(self) -> None:
        with serve(FakeReranker(), ServerOptions(api_key="key-1")) as url:
            with connect(url, api_key="key-1") as remote:
                assert remote.rank([REQUEST])[0].ids
            with connect(url, api_key="wrong") as remote, pytest.raises(RequestRefused, match="401"):
                remote.rank([REQUEST])

    def test_key_is_not_shown(self) -> None:
        assert "key-1" not in repr(RemoteOptions("http://host", api_key="key-1"))

    def test_refusal_is_no_reason_to_try_again(self) -> None:
        options = ServerOptions(limits=Limits(documents=2))
        with (
            serve(FakeReranker(), options) as url,
            connect(url) as remote,
            pytest.raises(RequestRefused, match="too_many_documents"),
        ):
            remote.rank([REQUEST])

    def test_engine_failures_arrive_as_such(self) -> None:
        engine = FakeReranker()
        engine.fail_with = lambda request: NonFiniteScore("nan")
        with serve(engine) as url, connect(url) as remote, pytest.raises(RerankerUnavailable, match="non_finite_score"):
            remote.rank([REQUEST])

    def test_no_candidates_cost_no_request(self) -> None:
        with connect("http://127.0.0.1:1") as remote:
            assert remote.rank([RankingRequest("漏水", [])])[0].ids == ()


class TestMoreDocumentsThanTheHostTakes:
    many = [Candidate(str(number), "", f"第{number}条" + "漏水" * (number % 7)) for number in range(70)]

    @staticmethod
    def take_at_most(most: int) -> Callable[[int, bytes], Answer]:
        def script(number: int, body: bytes) -> Answer:
            texts = json.loads(body)["texts"]
            if len(texts) > most:
                return make_answer({}, 422)
            return make_answer([{"index": index, "score": float(len(text))} for index, text in enumerate(texts)])

        return script

    def test_tei_is_sent_no_more_than_it_takes(self) -> None:
        with connect_script(self.take_at_most(32), api="tei", template="host") as (remote, host):
            (ranking,) = remote.rank([RankingRequest("漏水", self.many)])

        expected = sorted(self.many, key=lambda candidate: -len(candidate.text))
        assert ranking.ids == tuple(candidate.id for candidate in expected)
        assert len(host.bodies) == 3

    def test_limit_can_be_said(self) -> None:
        options = {"api": "tei", "template": "host", "max_documents": 20}
        with connect_script(self.take_at_most(20), **options) as (remote, host):
            first, second = remote.rank([RankingRequest("漏水", self.many), RankingRequest("漏水", self.many[:3])])

        assert len(first.scored) == 70
        assert len(second.scored) == 3
        assert len(host.bodies) == 5

    def test_half_an_order_is_none(self) -> None:
        def script(number: int, body: bytes) -> Answer:
            return make_answer({}, 500) if "第69条" in json.loads(body)["texts"][-1] else good(number, body)

        good = self.take_at_most(32)
        with connect_script(script, api="tei", template="host") as (remote, _), pytest.raises(RerankerUnavailable):
            remote.rank([RankingRequest("漏水", self.many)])

    def test_own_server_takes_them_all_at_once(self) -> None:
        engine = FakeReranker()
        with serve(engine) as url, connect(url) as remote:
            remote.rank([RankingRequest("漏水", self.many)])

        assert [len(request.candidates) for call in engine.calls for request in call] == [70]


class TestRetries:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_passing_fault_is_tried_again(self, status: int) -> None:
        def script(number: int, body: bytes) -> Answer:
            return make_answer() if number == 2 else make_answer({}, status)

        with connect_script(script) as (remote, host):
            assert remote.rank([REQUEST])[0].ids == ("c", "a", "b")
            assert len(host.bodies) == 3

    def test_broken_connection_is_tried_again(self) -> None:
        def script(number: int, body: bytes) -> Answer:
            return make_answer() if number else (HANG_UP, {}, b"")

        with connect_script(script) as (remote, host):
            assert remote.rank([REQUEST])[0].ids == ("c", "a", "b")
            assert len(host.bodies) == 2

    @pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500])
    def test_lasting_fault_is_not_tried_again(self, status: int) -> None:
        with connect_script(lambda number, body: make_answer({}, status)) as (remote, host):
            with pytest.raises(RerankerUnavailable, match=str(status)):
                remote.rank([REQUEST])
            assert len(host.bodies) == 1

    def test_attempts_are_bounded(self) -> None:
        with connect_script(lambda number, body: make_answer({}, 503), attempts=3) as (remote, host):
            with pytest.raises(RerankerUnavailable, match="503"):
                remote.rank([REQUEST])
            assert len(host.bodies) == 3

    def test_hosts_wish_to_wait_is_kept(self) -> None:
        def script(number: int, body: bytes) -> Answer:
            return make_answer() if number else make_answer({}, 429, {"Retry-After": "1"})

        with connect_script(script) as (remote, _):
            started = time.monotonic()
            remote.rank([REQUEST])

            assert time.monotonic() - started >= 1

    @pytest.mark.parametrize("status", [429, 503])
    def test_long_wait_is_not_waited(self, status: int) -> None:
        with connect_script(lambda number, body: make_answer({}, status, {"Retry-After": "30"})) as (remote, host):
            started = time.monotonic()
            with pytest.raises(RerankerUnavailable):
                remote.rank([REQUEST])

            assert time.monotonic() - started < 2
            assert len(host.bodies) == 1

    def test_date_as_retry_after_is_no_error(self) -> None:
        def script(number: int, body: bytes) -> Answer:
            return make_answer() if number else make_answer({}, 503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})

        with connect_script(script) as (remote, _):
            assert remote.rank([REQUEST])[0].ids

    def test_retries_end_with_the_latency_budget(self) -> None:
        hurried = RankingRequest("漏水", REQUEST.candidates, latency_budget=0.5)
        with connect_script(lambda number, body: make_answer({}, 503), attempts=1000) as (remote, host):
            started = time.monotonic()
            # Where the budget ends during the pause before a try, that is a missed deadline and no fault.
            with suppress(RerankerUnavailable):
                assert remote.rank([hurried])[0].scored == ()

            assert time.monotonic() - started < 0.8
            assert len(host.bodies) > 1

    def test_host_that_is_not_there(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with connect(f"http://127.0.0.1:{port}") as remote, pytest.raises(RerankerUnavailable, match="reached"):
            remote.rank([REQUEST])

    def test_slow_host_is_given_up_and_not_asked_twice(self) -> None:
        let_go = threading.Event()

        def script(number: int, body: bytes) -> Answer:
            let_go.wait(5)
            return make_answer()

        with connect_script(script, timeout=0.2) as (remote, host):
            started = time.monotonic()
            with pytest.raises(RerankerUnavailable, match=r"0\.20 s"):
                remote.rank([REQUEST])
            elapsed = time.monotonic() - started
            let_go.set()

            assert elapsed < 1
            assert len(host.bodies) == 1


class TestAnswers:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<html>busy</html>",
            b"[]",
            b"null",
            b'{"reranked_ids": ["a", "b"], "log_odds": [1, 2]}',
            b'{"reranked_ids": ["a", "b", "c"], "log_odds": [1, 2, 3], "unscored_ids": [[]]}',
            b'{"reranked_ids": ["a", "b", "c"], "log_odds": [1, 2, 3], "notices": 3}',
            b"\xff\xfe",
        ],
    )
    def test_nonsense_is_no_order(self, content: bytes) -> None:
        with connect_script(lambda number, body: (200, {}, content)) as (remote, host):
            with pytest.raises(RerankerUnavailable):
                remote.rank([REQUEST])
            assert len(host.bodies) == 1

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b'{"error": {"code": "queue_full", "message": "QUESTION"}}', "queue_full"),
            (b'{"error": "QUESTION", "error_type": "Validation"}', "Validation"),
            (b'{"error": {"message": "QUESTION", "type": "BadRequestError", "code": 400}}', "BadRequestError"),
            (b'{"detail": [{"input": "QUESTION"}]}', ""),
            (b'["QUESTION"]', ""),
            (b"QUESTION", ""),
        ],
    )
    def test_error_says_the_hosts_code_and_not_its_words(self, content: bytes, code: str) -> None:
        def script(number: int, body: bytes) -> Answer:
            return 400, {}, content

        with connect_script(script) as (remote, _), pytest.raises(RequestRefused) as caught:
            remote.rank([REQUEST])

        assert str(caught.value) == f"host answered 400 {code}".rstrip()

    def test_nan_is_no_score(self) -> None:
        answer = {"reranked_ids": ["a", "b", "c"], "log_odds": [1.0, math.nan, 2.0]}

        with connect_script(lambda number, body: make_answer(answer)) as (remote, _), pytest.raises(NonFiniteScore):
            remote.rank([REQUEST])
