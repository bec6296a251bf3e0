"""When a remote host is left alone, when it is tried again, and how a host without the prompt template is found out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from reranking.remote import HostBusy, RequestRefused, check_order
from reranking.types import RankingRequest, RerankerUnavailable
from tests.reranking.serving import REQUEST, Answer, connect_script, make_answer


class TestBreaker:
    options = {"breaker_threshold": 2, "breaker_seconds": 0.4, "attempts": 1}

    def test_opens_after_failures_and_recovers(self) -> None:
        healthy = threading.Event()

        def script(number: int, body: bytes) -> Answer:
            return make_answer() if healthy.is_set() else make_answer({}, 503)

        with connect_script(script, **self.options) as (remote, host):
            for _ in range(4):
                with pytest.raises(RerankerUnavailable):
                    remote.rank([REQUEST])
            asked_while_failing = len(host.bodies)
            opened = remote.status()["breaker"]
            healthy.set()
            with pytest.raises(RerankerUnavailable, match="left alone"):
                remote.rank([REQUEST])
            time.sleep(0.5)

            assert asked_while_failing == 2
            assert opened == "opened"
            assert remote.rank([REQUEST])[0].ids == ("c", "a", "b")
            assert remote.status()["breaker"] == "closed"

    def test_failed_trial_opens_it_again(self) -> None:
        with connect_script(lambda number, body: make_answer({}, 500), **self.options) as (remote, host):
            for _ in range(2):
                with pytest.raises(RerankerUnavailable):
                    remote.rank([REQUEST])
            time.sleep(0.5)
            for _ in range(3):
                with pytest.raises(RerankerUnavailable):
                    remote.rank([REQUEST])

            assert len(host.bodies) == 3

    @pytest.mark.parametrize(("status", "kind"), [(422, RequestRefused), (429, HostBusy)])
    def test_refusals_and_a_full_queue_do_not_open_it(self, status: int, kind: type[Exception]) -> None:
        with connect_script(lambda number, body: make_answer({}, status), **self.options) as (remote, host):
            for _ in range(5):
                with pytest.raises(kind):
                    remote.rank([REQUEST])

            assert len(host.bodies) == 5
            assert remote.status()["breaker"] == "closed"

    def test_missed_deadlines_open_it(self) -> None:
        let_go = threading.Event()

        def script(number: int, body: bytes) -> Answer:
            let_go.wait(5)
            return make_answer()

        with connect_script(script, **self.options) as (remote, _):
            hurried = RankingRequest("漏水", REQUEST.candidates, latency_budget=0.1)
            rankings = [remote.rank([hurried])[0] for _ in range(2)]
            let_go.set()

            assert all(ranking.unscored for ranking in rankings)
            with pytest.raises(RerankerUnavailable, match="left alone"):
                remote.rank([hurried])

    def test_request_whose_turn_came_too_late_says_nothing_against_the_host(self) -> None:
        let_go = threading.Event()

        def script(number: int, body: bytes) -> Answer:
            let_go.wait(5)
            return make_answer()

        hurried = RankingRequest("漏水", REQUEST.candidates, latency_budget=0.2)
        with connect_script(script, **self.options, concurrency=1) as (remote, host):
            rankings = remote.rank([hurried] * 4)
            let_go.set()

            assert all(ranking.unscored for ranking in rankings)
            assert len(host.bodies) == 1
            assert remote.status()["breaker"] == "closed"

    def test_one_call_alone_tries_a_host_that_failed(self) -> None:
        let_go, asked = threading.Event(), threading.Event()

        def script(number: int, body: bytes) -> Answer:
            if number < 2:
                return make_answer({}, 503)
            asked.set()
            let_go.wait(5)
            return make_answer()

        with connect_script(script, **self.options) as (remote, host):
            for _ in range(2):
                with pytest.raises(RerankerUnavailable):
                    remote.rank([REQUEST])
            time.sleep(0.5)
            trial = threading.Thread(target=remote.rank, args=([REQUEST],))
            trial.start()
            assert asked.wait(5)
            with pytest.raises(RerankerUnavailable, match="being tried"):
                remote.rank([REQUEST])
            let_go.set()
            trial.join(5)

            assert len(host.bodies) == 3
            assert remote.status()["breaker"] == "closed"
            assert remote.rank([REQUEST])[0].ids

    def test_many_threads_do_not_confuse_it(self) -> None:
        with connect_script(lambda number, body: make_answer({}, 503), **self.options, concurrency=16) as (
            remote,
            host,
        ):
            for _ in range(5):
                with pytest.raises(RerankerUnavailable):
                    remote.rank([REQUEST] * 16)

            assert remote.status()["breaker"] == "opened"
            assert len(host.bodies) <= 18


class TestCheckOrder:
    @staticmethod
    def answer_by(score: Callable[[str, str], float]) -> Callable[[int, bytes], Answer]:
        def script(number: int, body: bytes) -> Answer:
            asked = json.loads(body)
            scores = [score(asked["query"], document["content"]) for document in asked["documents"]]
            return make_answer({"reranked_ids": [item["id"] for item in asked["documents"]], "log_odds": scores})

        return script

    def test_sensible_host_passes(self) -> None:
        def share(query: str, text: str) -> float:
            return len(set(query) & set(text)) + len(text) / 1000

        with connect_script(self.answer_by(share)) as (remote, host):
            check_order(remote)

            assert len(host.bodies) == 3

    def test_flat_scores_do_not_pass(self) -> None:
        script = self.answer_by(lambda query, text: 0.0)
        with connect_script(script) as (remote, _), pytest.raises(RerankerUnavailable, match="equal"):
            check_order(remote)

    def test_order_that_ignores_the_question_does_not_pass(self) -> None:
        script = self.answer_by(lambda query, text: float(len(text)))
        with connect_script(script) as (remote, _), pytest.raises(RerankerUnavailable, match="template"):
            check_order(remote)
