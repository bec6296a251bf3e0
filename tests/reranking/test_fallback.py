"""Degrading in the open, and the choice of a reranker at start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from reranking.cache import MemoryScoreCache, ScoreCache
from reranking.fallback import FallbackReranker, RerankerConfig, choose_reranker
from reranking.remote import RequestRefused
from reranking.remote_options import RemoteOptions
from reranking.types import (
    Candidate,
    DeviceAbsent,
    NonFiniteScore,
    Ranking,
    RankingRequest,
    Reranker,
    RerankerError,
    RerankerInfo,
    RerankerUnavailable,
    ScoredPassage,
)
from tests.reranking.contract import RerankerContract
from tests.reranking.serving import FakeReranker

LESSER_INFO = RerankerInfo("lesser", "lesser-1", calibrated=False)
CANDIDATES = [Candidate("a", "", "停车"), Candidate("b", "", "漏水"), Candidate("c", "", "漏电")]
REQUEST = RankingRequest("漏水", CANDIDATES)


class LesserReranker:
    """Keeps the order it is given."""

    def __init__(self) -> None:
        self.calls: list[list[RankingRequest]] = []

    @property
    def info(self) -> RerankerInfo:
        return LESSER_INFO

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        self.calls.append(list(requests))
        return [Ranking(_score_by_place(request), LESSER_INFO) for request in requests]


def _score_by_place(request: RankingRequest) -> tuple[ScoredPassage, ...]:
    return tuple(
        ScoredPassage.from_log_odds(candidate.id, float(-place)) for place, candidate in enumerate(request.candidates)
    )


class StopsEarly(FakeReranker):
    """Scores the first `count` candidates of each request, as at a deadline."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        return [
            Ranking(
                _score_by_place(request)[: self.count],
                self.info,
                tuple(candidate.id for candidate in request.candidates[self.count :]),
                notices=("partial_rerank",),
            )
            for request in requests
        ]


@pytest.fixture
def first() -> FakeReranker:
    return FakeReranker()


@pytest.fixture
def second() -> LesserReranker:
    return LesserReranker()


@pytest.fixture
def fallback(first: FakeReranker, second: LesserReranker) -> FallbackReranker:
    return FallbackReranker(first, second)


class TestContractWhileWell(RerankerContract):
    @pytest.fixture
    def reranker(self, fallback: FallbackReranker) -> Reranker:
        return fallback


class TestContractWhileFailing(RerankerContract):
    @pytest.fixture
    def reranker(self, first: FakeReranker) -> Reranker:
        first.fail_with = lambda request: RerankerUnavailable("gone")
        return FallbackReranker(first, FakeReranker())


class TestFallbackReranker:
    def test_first_ranks_while_it_can(self, fallback: FallbackReranker, second: LesserReranker) -> None:
        (ranking,) = fallback.rank([REQUEST])

        assert ranking.ids == ("b", "c", "a")
        assert ranking.info.name == "fake"
        assert ranking.notices == ()
        assert second.calls == []
        assert fallback.info.name == "fake"

    @pytest.mark.parametrize(
        "error",
        [
            RerankerUnavailable("host is away"),
            NonFiniteScore("nan"),
            RequestRefused("422"),
            MemoryError(),
            RuntimeError("CUDA out of memory"),
            KeyError("a bug"),
        ],
        ids=repr,
    )
    def test_failure_is_answered_by_the_second_and_said(
        self, fallback: FallbackReranker, first: FakeReranker, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        first.fail_with = lambda request: error

        (ranking,) = fallback.rank([REQUEST])

        assert ranking.ids == ("a", "b", "c")
        assert ranking.info == LESSER_INFO
        assert ranking.notices == ("fell_back",)
        assert type(error).__name__ in caplog.text
        assert fallback.status()["degraded"] is True
        assert type(error).__name__ in fallback.status()["last_error"]
        assert fallback.status()["last_error_at"]

    def test_unforeseen_error_is_logged_with_its_trace(
        self, fallback: FallbackReranker, first: FakeReranker, caplog: pytest.LogCaptureFixture
    ) -> None:
        first.fail_with = lambda request: KeyError("a bug")

        fallback.rank([REQUEST])

        assert "Traceback" in caplog.text

    def test_unforeseen_failures_in_a_row_mean_that_it_is_broken(
        self, fallback: FallbackReranker, first: FakeReranker
    ) -> None:
        for failures in (2, 3):
            first.fail_with = lambda request: KeyError("a bug")
            for _ in range(failures):
                assert not fallback.is_broken
                fallback.rank([REQUEST])
            first.fail_with = lambda request: None
            assert fallback.is_broken is (failures == 3)
            if failures == 2:
                fallback.rank([REQUEST])

    def test_foreseen_failures_break_nothing(self, fallback: FallbackReranker, first: FakeReranker) -> None:
        first.fail_with = lambda request: RerankerUnavailable("gone")
        for _ in range(9):
            fallback.rank([REQUEST])

        assert not fallback.is_broken

    def test_recovers_by_itself(self, fallback: FallbackReranker, first: FakeReranker) -> None:
        first.fail_with = lambda request: RerankerUnavailable("gone")
        fallback.rank([REQUEST])
        first.fail_with = lambda request: None

        (ranking,) = fallback.rank([REQUEST])

        assert ranking.info.name == "fake"
        assert fallback.status()["degraded"] is False
        assert fallback.status()["fallbacks"] == 1

    def test_one_bad_request_does_not_degrade_the_others(self, fallback: FallbackReranker, first: FakeReranker) -> None:
        first.fail_with = lambda request: NonFiniteScore("nan") if request.query == "坏" else None

        rankings = fallback.rank([REQUEST, RankingRequest("坏", CANDIDATES), REQUEST])

        assert [ranking.info.name for ranking in rankings] == ["fake", "lesser", "fake"]
        assert [ranking.notices for ranking in rankings] == [(), ("fell_back",), ()]

    def test_requests_that_are_ranked_again_get_what_is_left_of_their_budget(
        self, fallback: FallbackReranker, first: FakeReranker
    ) -> None:
        def fail_slowly(request: RankingRequest) -> Exception | None:
            time.sleep(0.2)
            return NonFiniteScore("nan")

        first.fail_with = fail_slowly
        fallback.rank([RankingRequest("漏水", CANDIDATES, latency_budget=5.0), REQUEST])

        budgets = [call[0].latency_budget for call in first.calls]
        assert budgets[0] == 5.0
        assert budgets[1] is not None
        assert budgets[1] <= 4.8
        assert budgets[2] is None

    def test_first_that_fails_for_one_request_keeps_the_others(self, second: LesserReranker) -> None:
        class Picky(FakeReranker):
            def rank_each(self, requests: Sequence[RankingRequest]) -> list[Ranking | RerankerError]:
                return [
                    RequestRefused("413") if request.query == "坏" else ranking
                    for request, ranking in zip(requests, self.rank(requests), strict=True)
                ]

        first = Picky()
        fallback = FallbackReranker(first, second)

        rankings = fallback.rank([REQUEST, RankingRequest("坏", CANDIDATES), REQUEST])

        assert [ranking.info.name for ranking in rankings] == ["fake", "lesser", "fake"]
        assert len(first.calls) == 1
        assert "RequestRefused" in fallback.status()["last_error"]

    def test_absent_first_is_asked_once_for_all(self, fallback: FallbackReranker, first: FakeReranker) -> None:
        first.fail_with = lambda request: RerankerUnavailable("gone")

        rankings = fallback.rank([REQUEST] * 5)

        assert len(rankings) == 5
        assert len(first.calls) == 1

    def test_nothing_scored_in_time_is_answered_by_the_second(self, second: LesserReranker) -> None:
        fallback = FallbackReranker(FakeReranker(seconds_per_document=0.2), second)

        (ranking,) = fallback.rank([RankingRequest("漏水", CANDIDATES, latency_budget=0.05)])

        assert ranking.info == LESSER_INFO
        assert ranking.notices == ("fell_back",)
        assert second.calls[0][0].latency_budget is None

    def test_reason_for_scoring_nothing_is_kept(self, second: LesserReranker) -> None:
        class Refusing(FakeReranker):
            def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
                return [Ranking((), self.info, ("a", "b", "c"), notices=("query_too_long",)) for _ in requests]

        (ranking,) = FallbackReranker(Refusing(), second).rank([REQUEST])

        assert ranking.notices == ("query_too_long", "fell_back")

    def test_partly_scored_in_time_is_kept(self, second: LesserReranker) -> None:
        (ranking,) = FallbackReranker(StopsEarly(2), second).rank([REQUEST])

        assert ranking.info.name == "fake"
        assert [item.id for item in ranking.scored] == ["a", "b"]
        assert ranking.unscored == ("c",)
        assert second.calls == []

    def test_one_score_of_several_is_no_order(self, second: LesserReranker) -> None:
        (ranking,) = FallbackReranker(StopsEarly(1), second).rank([REQUEST])

        assert ranking.info == LESSER_INFO
        assert len(ranking.scored) == 3
        assert ranking.notices == ("fell_back",)

    def test_one_score_of_one_is_kept(self, second: LesserReranker) -> None:
        FallbackReranker(StopsEarly(1), second).rank([RankingRequest("漏水", CANDIDATES[:1])])

        assert second.calls == []

    def test_no_candidates_are_no_failure(self, fallback: FallbackReranker, second: LesserReranker) -> None:
        (ranking,) = fallback.rank([RankingRequest("漏水", [])])

        assert ranking.notices == ()
        assert second.calls == []

    def test_failure_of_the_second_is_raised(self, first: FakeReranker) -> None:
        last = FakeReranker()
        for reranker in (first, last):
            reranker.fail_with = lambda request: RerankerUnavailable("gone")

        with pytest.raises(RerankerUnavailable):
            FallbackReranker(first, last).rank([REQUEST])

    def test_falls_through_a_chain(self, fallback: FallbackReranker, first: FakeReranker) -> None:
        first.fail_with = lambda request: RerankerUnavailable("gone")
        host = FakeReranker()
        host.fail_with = lambda request: RerankerUnavailable("gone too")

        (ranking,) = FallbackReranker(host, fallback).rank([REQUEST])

        assert ranking.info == LESSER_INFO
        assert "fell_back" in ranking.notices


class Loader:
    """Loads a fake model on the devices that are there."""

    def __init__(self, *devices: str) -> None:
        self.devices = devices
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self.caches: list[ScoreCache] = []

    def __call__(self, config: RerankerConfig, device: str, cache: ScoreCache) -> Reranker:
        self.asked.append(device)
        self.caches.append(cache)
        if device in self.failing:
            raise RuntimeError("CUDA error: out of luck")
        if device not in self.devices:
            raise DeviceAbsent(f"no {device} here") if device == "cuda" else RerankerUnavailable(f"no {device} here")
        return LoadedModel(device)


class LoadedModel(FakeReranker):
    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("Qwen3-Reranker", "r1", calibrated=True, device=self.device, dtype="bfloat16")

    def status(self) -> Mapping[str, Any]:
        return {"load_seconds": 1.5, "memory_bytes": 1_200_000_000}


class TestChooseReranker:
    @pytest.mark.parametrize(
        ("there", "asked", "chosen"),
        [(("cuda", "cpu"), ["cuda"], "cuda"), (("cpu",), ["cuda", "cpu"], "cpu")],
    )
    def test_gpu_else_processor(
        self, second: LesserReranker, there: tuple[str, ...], asked: list[str], chosen: str
    ) -> None:
        loader = Loader(*there)

        choice = choose_reranker(RerankerConfig(model_path="/m"), lexical=second, load_model=loader)

        assert loader.asked == asked
        assert choice.reranker.info.device == chosen
        assert choice.is_degraded is False
        assert choice.status()["device"] == chosen
        assert choice.status()["load_seconds"] == 1.5
        assert choice.status()["memory_bytes"] == 1_200_000_000
        assert choice.status()["degraded"] is False
        assert choice.status()["attempts"][-1] == {"engine": "model", "device": chosen, "error": ""}

    def test_processor_instead_of_a_gpu_that_failed_is_a_degradation(self, second: LesserReranker) -> None:
        loader = Loader("cuda", "cpu")
        loader.failing = {"cuda"}
        choice = choose_reranker(RerankerConfig(model_path="/m"), lexical=second, load_model=loader)

        assert choice.reranker.info.device == "cpu"
        assert choice.is_degraded is True
        assert choice.status()["degraded"] is True

    def test_only_better_ones_are_tried_instead_of_what_ranks(self, second: LesserReranker) -> None:
        loader = Loader("cuda", "cpu")
        loader.failing = {"cuda"}
        config = RerankerConfig(model_path="/m")
        poor = choose_reranker(config, lexical=second, load_model=loader)
        same = choose_reranker(config, lexical=second, load_model=loader, instead_of=poor)
        loader.failing = set()
        better = choose_reranker(config, lexical=second, load_model=loader, instead_of=same)

        assert same is poor
        assert loader.asked == ["cuda", "cpu", "cuda", "cuda"]
        assert better.reranker.info.device == "cuda"
        assert better.is_degraded is False

    def test_everything_is_tried_instead_of_what_broke(self, second: LesserReranker) -> None:
        loader = Loader("cuda", "cpu")
        config = RerankerConfig(model_path="/m")
        choice = choose_reranker(config, lexical=second, load_model=loader)
        assert isinstance(choice.reranker, FallbackReranker)
        assert isinstance(choice.reranker.first, LoadedModel)
        choice.reranker.first.fail_with = lambda request: RuntimeError("CUDA error: device-side assert triggered")
        choice.reranker.rank([REQUEST])
        loader.failing = {"cuda"}

        assert choice.is_broken
        assert choice.status()["degraded"] is True
        again = choose_reranker(config, lexical=second, load_model=loader, instead_of=choice)
        assert again.reranker.info.device == "cpu"
        assert again.is_degraded is True

    def test_named_device_is_the_only_one_tried(self, second: LesserReranker) -> None:
        loader = Loader("cpu")

        choice = choose_reranker(RerankerConfig(model_path="/m", device="cuda:1"), lexical=second, load_model=loader)

        assert loader.asked == ["cuda:1"]
        assert choice.reranker is second

    def test_model_that_cannot_be_loaded_degrades_in_the_open(
        self, second: LesserReranker, caplog: pytest.LogCaptureFixture
    ) -> None:
        choice = choose_reranker(RerankerConfig(model_path="/m"), lexical=second, load_model=Loader())

        assert choice.reranker is second
        assert choice.is_degraded is True
        assert choice.status()["degraded"] is True
        assert choice.status()["name"] == "lesser"
        assert [attempt["error"] for attempt in choice.status()["attempts"]] == [
            "DeviceAbsent: no cuda here",
            "RerankerUnavailable: no cpu here",
            "",
        ]
        assert "no cpu here" in caplog.text
        assert "lesser ranks" in caplog.text

    @pytest.mark.parametrize(
        "error", [ImportError("no torch"), MemoryError(), OSError("no such folder"), ValueError("x")]
    )
    def test_whatever_keeps_it_from_loading_is_survived(self, second: LesserReranker, error: Exception) -> None:
        def fail(config: RerankerConfig, device: str, cache: ScoreCache) -> Reranker:
            raise error

        choice = choose_reranker(RerankerConfig(model_path="/m"), lexical=second, load_model=fail)

        assert choice.reranker is second
        assert type(error).__name__ in choice.status()["attempts"][0]["error"]

    def test_no_model_and_no_host_is_lexical_and_no_degradation(self, second: LesserReranker) -> None:
        choice = choose_reranker(RerankerConfig(), lexical=second)

        assert choice.reranker is second
        assert choice.is_degraded is False
        assert choice.status()["attempts"] == [{"engine": "lexical", "device": "", "error": ""}]

    def test_lexical_can_be_asked_for(self, second: LesserReranker) -> None:
        config = RerankerConfig(engine="lexical", model_path="/m", remote=RemoteOptions("http://host"))

        assert choose_reranker(config, lexical=second, load_model=Loader("cpu")).reranker is second

    def test_host_goes_before_the_model(self, second: LesserReranker) -> None:
        loader = Loader("cuda")
        config = RerankerConfig(model_path="/m", remote=RemoteOptions("http://127.0.0.1:1", model="qwen"))

        choice = choose_reranker(config, lexical=second, load_model=loader)

        assert loader.asked == []
        assert choice.reranker.info.name == "remote:qwen"

    def test_host_that_is_away_is_replaced_when_it_is_asked(self, second: LesserReranker) -> None:
        config = RerankerConfig(remote=RemoteOptions("http://127.0.0.1:1", attempts=1))
        choice = choose_reranker(config, lexical=second)

        (ranking,) = choice.reranker.rank([REQUEST])

        assert ranking.info == LESSER_INFO
        assert ranking.notices == ("fell_back",)
        assert choice.status()["degraded"] is True
        assert choice.status()["breaker"] == "closed"

    def test_remote_without_a_host_degrades(self, second: LesserReranker) -> None:
        choice = choose_reranker(RerankerConfig(engine="remote"), lexical=second)

        assert choice.reranker is second
        assert choice.is_degraded is True

    def test_cache_is_handed_to_the_model(self, second: LesserReranker) -> None:
        loader, cache = Loader("cpu"), MemoryScoreCache()

        choose_reranker(RerankerConfig(model_path="/m"), lexical=second, cache=cache, load_model=loader)

        assert all(given is cache for given in loader.caches)

    def test_out_of_memory_while_ranking_degrades_in_the_open(self, second: LesserReranker) -> None:
        choice = choose_reranker(RerankerConfig(model_path="/m"), lexical=second, load_model=Loader("cuda"))
        assert isinstance(choice.reranker, FallbackReranker)
        assert isinstance(choice.reranker.first, LoadedModel)
        choice.reranker.first.fail_with = lambda request: RuntimeError("CUDA out of memory")

        (ranking,) = choice.reranker.rank([REQUEST])

        assert ranking.notices == ("fell_back",)
        assert choice.status()["degraded"] is True
        assert "out of memory" in choice.status()["last_error"]

    def test_real_loader_degrades_where_there_are_no_weights(self, second: LesserReranker, tmp_path: Any) -> None:
        pytest.importorskip("torch")

        choice = choose_reranker(
            RerankerConfig(model_path=str(tmp_path), source="folder", device="cpu"), lexical=second
        )

        assert choice.reranker is second
        assert choice.is_degraded is True


def test_torch_is_not_imported_before_a_model_is_loaded() -> None:
    modules = "sys, reranking.fallback, reranking.remote, reranking.cache, reranking.server_app"
    code = f"import {modules}; print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
