"""Which reranker is used, and what happens when it fails: a lesser one answers, and everybody is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, runtime_checkable

from reranking.cache import NullScoreCache, ScoreCache
from reranking.prompts import DEFAULT_INSTRUCTION
from reranking.remote import RemoteReranker
from reranking.remote_options import RemoteOptions
from reranking.types import (
    PARTIAL_RERANK,
    DeviceAbsent,
    NonFiniteScore,
    Ranking,
    RankingRequest,
    Reranker,
    RerankerError,
    RerankerInfo,
)

logger = logging.getLogger(__name__)

FELL_BACK = "fell_back"
FEWEST_SCORED = 2
BROKEN_AFTER = 3  # unforeseen failures in a row
LOST_DEVICE = "CUDA error"


@runtime_checkable
class ReportsStatus(Protocol):
    """A reranker that can say more of itself than its info: load time, memory, breaker state."""

    def status(self) -> Mapping[str, Any]: ...


@runtime_checkable
class RanksEach(Protocol):
    """A reranker that can fail for one request and not for another."""

    def rank_each(self, requests: Sequence[RankingRequest]) -> list[Ranking | RerankerError]: ...


class FallbackReranker:
    """Ranks with `first`; where that fails or scores too little in time to order by, with `second`, and says so.

    A ranking that `second` made carries the notice `fell_back` and `second`'s info. `second` is asked without a
    deadline, which `first` has used up: it must be fast. Raises what `second` raises.
    """

    def __init__(self, first: Reranker, second: Reranker) -> None:
        self.first = first
        self.second = second
        self._fallbacks = 0
        self._last_error = ""
        self._last_error_at: str | None = None
        self._is_degraded = False
        self._unforeseen = 0  # in a row
        self._lost_device = False

    @property
    def is_broken(self) -> bool:
        """Whether `first` is not worth asking any more: a lost device stays lost for the process that lost it."""
        return self._lost_device or self._unforeseen >= BROKEN_AFTER

    @property
    def info(self) -> RerankerInfo:
        return self.first.info

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        results = self._rank_first(requests)
        failed = [index for index, result in enumerate(results) if _needs_second(requests[index], result)]
        for index, ranking in zip(failed, self._rank_second([requests[index] for index in failed]), strict=True):
            results[index] = replace(ranking, notices=_join_notices(results[index], ranking))
        self._is_degraded = bool(failed)
        return [ranking for ranking in results if ranking is not None]

    def status(self) -> dict[str, Any]:
        """For `/api/v1/status`: who ranks, and whether and why the last call fell back."""
        return {
            **describe_reranker(self.first),
            "degraded": self._is_degraded or self.is_broken,
            "fallback": self.second.info.name,
            "fallbacks": self._fallbacks,
            "last_error": self._last_error,
            "last_error_at": self._last_error_at,
        }

    def _rank_first(self, requests: Sequence[RankingRequest]) -> list[Ranking | None]:
        """None for each request that `first` could not rank."""
        started = time.monotonic()
        try:
            if isinstance(self.first, RanksEach):
                return [self._sort_out(outcome) for outcome in self.first.rank_each(requests)]
            rankings: list[Ranking | None] = [*self.first.rank(requests)]
            self._unforeseen = 0
            return rankings
        except NonFiniteScore as error:
            if len(requests) > 1:
                # What is wrong with one request must not take the others from the model.
                return [self._rank_first([_take_off(request, started)])[0] for request in requests]
            self._note(error)
        except RerankerError as error:
            self._note(error)
        except Exception as error:
            logger.exception("reranker %s failed unforeseen", self.first.info.name)
            self._unforeseen += 1
            self._lost_device |= LOST_DEVICE in str(error)
            self._note(error)
        return [None] * len(requests)

    def _sort_out(self, outcome: Ranking | RerankerError) -> Ranking | None:
        if isinstance(outcome, Ranking):
            return outcome
        self._note(outcome)
        return None

    def _rank_second(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        if not requests:
            return []
        self._fallbacks += len(requests)
        started = time.perf_counter()
        rankings = self.second.rank([replace(request, latency_budget=None) for request in requests])
        logger.warning(
            "%d lookups ranked by %s instead of %s in %.3f s",
            len(requests),
            self.second.info.name,
            self.first.info.name,
            time.perf_counter() - started,
        )
        return rankings

    def _note(self, error: Exception) -> None:
        self._last_error = f"{type(error).__name__}: {error}"
        self._last_error_at = datetime.now(UTC).isoformat(timespec="seconds")
        logger.warning("reranker %s failed: %s", self.first.info.name, self._last_error)


@dataclass(frozen=True, slots=True)
class RerankerConfig:
    """What is known of the rerankers at hand.

    `engine` auto means: the remote host if one is named, else the model if a path is, else the lexical reranker.
    `device` auto means: GPU, else CPU. `model_path` is a folder or a hub id; for it and what follows `device` see
    `reranking.qwen.QwenReranker`.
    """

    engine: Literal["auto", "remote", "model", "lexical"] = "auto"
    remote: RemoteOptions | None = None
    model_path: str = ""
    device: str = "auto"
    source: Literal["auto", "folder", "huggingface", "modelscope"] = "auto"
    dtype: str = "auto"
    int8: bool = False
    threads: int | None = None
    max_length: int = 8192
    trim: bool | int = False
    instruction: str = DEFAULT_INSTRUCTION


ModelLoader = Callable[[RerankerConfig, str, ScoreCache], Reranker]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A reranker that was tried at start and why it could not be used (`error` empty: it could)."""

    engine: str
    device: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class RerankerChoice:
    """The reranker that was chosen. `is_degraded`: a better one was asked for and could not be had."""

    reranker: Reranker
    attempts: tuple[Attempt, ...]
    is_degraded: bool

    @property
    def is_broken(self) -> bool:
        """Whether the reranker stopped working for good: another is to be chosen."""
        return isinstance(self.reranker, FallbackReranker) and self.reranker.is_broken

    def status(self) -> dict[str, Any]:
        """For `/api/v1/status`."""
        described = describe_reranker(self.reranker)
        return {
            **described,
            "degraded": self.is_degraded or bool(described.get("degraded")),
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }


def load_qwen(config: RerankerConfig, device: str, cache: ScoreCache) -> Reranker:
    """The model on one device. Torch is imported here, not before. Raises RerankerUnavailable, ImportError."""
    from reranking.qwen import QwenReranker

    return QwenReranker(
        config.model_path,
        source=config.source,
        device=device,
        dtype=config.dtype,
        int8=config.int8,
        threads=config.threads,
        max_length=config.max_length,
        trim=config.trim,
        cache=cache,
        instruction=config.instruction,
    )


def choose_reranker(
    config: RerankerConfig,
    *,
    lexical: Reranker,
    cache: ScoreCache | None = None,
    load_model: ModelLoader | None = None,
    instead_of: RerankerChoice | None = None,
) -> RerankerChoice:
    """The best reranker that can be had now, in front of the lexical one. Never raises for one that cannot be had.

    `instead_of` an earlier choice that still works only better ones are tried, so that no model is loaded twice;
    it is given back where none can be had. A choice is degraded where a better one failed: a GPU that is not there
    has not failed.
    """
    attempts: list[Attempt] = []
    has_failed = False
    for engine, device in _list_better_steps(config, instead_of):
        try:
            best = _start(config, engine, device, load_model or load_qwen, NullScoreCache() if cache is None else cache)
        except Exception as error:
            # Whatever keeps a model from loading, the desk goes on without it.
            logger.warning("reranker %s %s cannot be used: %r", engine, device, error)
            attempts.append(Attempt(engine, device, f"{type(error).__name__}: {error}"))
            has_failed |= not isinstance(error, DeviceAbsent)
            continue
        attempts.append(Attempt(engine, device))
        logger.info("reranker: %s", best.info)
        return RerankerChoice(FallbackReranker(best, lexical), tuple(attempts), is_degraded=has_failed)
    if instead_of is not None and not instead_of.is_broken:
        return instead_of
    is_degraded = bool(attempts)
    if is_degraded:
        logger.error("no neural reranker could be had: %s ranks", lexical.info.name)
    return RerankerChoice(lexical, (*attempts, Attempt("lexical")), is_degraded)


def describe_reranker(reranker: Reranker) -> dict[str, Any]:
    """Its info, and its own status where it has one."""
    return {**asdict(reranker.info), **(reranker.status() if isinstance(reranker, ReportsStatus) else {})}


def _list_steps(config: RerankerConfig) -> list[tuple[str, str]]:
    """The (engine, device) pairs to try, best first. A GPU that fails leaves the CPU."""
    if config.engine == "remote" or (config.engine == "auto" and config.remote is not None):
        return [("remote", "")]
    if config.engine == "model" or (config.engine == "auto" and config.model_path):
        return [("model", device) for device in (("cuda", "cpu") if config.device == "auto" else (config.device,))]
    return []


def _list_better_steps(config: RerankerConfig, than: RerankerChoice | None) -> list[tuple[str, str]]:
    steps = _list_steps(config)
    if than is None or than.is_broken:
        return steps
    used = (than.attempts[-1].engine, than.attempts[-1].device)
    return steps[: steps.index(used)] if used in steps else steps


def _start(config: RerankerConfig, engine: str, device: str, load_model: ModelLoader, cache: ScoreCache) -> Reranker:
    if engine == "model":
        return load_model(config, device, cache)
    if config.remote is None:
        raise ValueError("no remote host is named")
    return RemoteReranker(config.remote)


def _take_off(request: RankingRequest, started: float) -> RankingRequest:
    """The request with what is left of its latency budget."""
    if request.latency_budget is None:
        return request
    return replace(request, latency_budget=max(0.0, request.latency_budget - (time.monotonic() - started)))


def _needs_second(request: RankingRequest, ranking: Ranking | None) -> bool:
    """One score of several is no order: there is nothing to compare it with."""
    return ranking is None or len(ranking.scored) < min(FEWEST_SCORED, len(request.candidates))


def _join_notices(first: Ranking | None, second: Ranking) -> tuple[str, ...]:
    """Why `first` scored so little, as far as it says, what `second` has to say, and that it was `second`."""
    reasons = [] if first is None else [notice for notice in first.notices if notice != PARTIAL_RERANK]
    return tuple(dict.fromkeys([*reasons, *second.notices, FELL_BACK]))
