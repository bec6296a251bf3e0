"""A reranker on another host, over HTTP: time-outs, retries, a circuit breaker, and answers that are checked."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from reranking.breaker import HostBreaker, HostLeftAlone
from reranking.remote_options import RemoteOptions
from reranking.remote_shapes import SHAPES, join_rankings, split_request
from reranking.types import (
    PARTIAL_RERANK,
    Candidate,
    Ranking,
    RankingRequest,
    Reranker,
    RerankerError,
    RerankerInfo,
    RerankerUnavailable,
)

logger = logging.getLogger(__name__)

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
NETWORK_SHARE = 0.1  # of the latency budget, kept for the way there and back
LONGEST_RETRY_AFTER = 2.0  # seconds; rather than wait longer, a lesser reranker answers
CLOCK_TOLERANCE = 0.005  # seconds

_BACKOFF = wait_random_exponential(multiplier=0.1, max=1.0)


class RequestRefused(RerankerUnavailable):
    """The host is well and refuses this request (4xx): no retry, and nothing against the host."""


class _TryAgain(RerankerUnavailable):
    """A fault that may pass; ranking twice does no harm. `retry_after` is the host's wish, in seconds."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class HostBusy(_TryAgain):
    """The host is well and has too much to do (429)."""


class _TimedOut(RerankerUnavailable):
    """The host did not answer in time. Not tried again: it may still be at work on the first try."""


class RemoteReranker:
    """Ranks on the host that `RemoteOptions` describes. Safe for many threads; `close` ends its connections.

    Raises RerankerUnavailable when the host is away, too slow (unless the request's own latency budget ran out:
    then everything is unscored), refuses, or gives an answer that does not fit the request; NonFiniteScore.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        self._shape = SHAPES[options.api]
        self._info = options.info
        headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        self._client = httpx.Client(base_url=options.url, headers=headers)
        self._breaker = HostBreaker(
            threshold=options.breaker_threshold, seconds=options.breaker_seconds, exclude=[RequestRefused, HostBusy]
        )

    @property
    def info(self) -> RerankerInfo:
        """By the host's last answer; before the first, by the options."""
        return self._info

    def status(self) -> dict[str, Any]:
        return {"api": self._options.api, "breaker": self._breaker.state}

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        """One HTTP request for each, several at once, so that the host can batch them."""
        rankings = []
        for outcome in self.rank_each(requests):
            if isinstance(outcome, RerankerError):
                raise outcome
            rankings.append(outcome)
        return rankings

    def rank_each(self, requests: Sequence[RankingRequest]) -> list[Ranking | RerankerError]:
        """As `rank`, but what went wrong with one request takes no other's ranking."""
        split = [split_request(request, self._options.documents_a_request) for request in requests]
        outcomes = iter(self._try_all([part for parts in split for part in parts]))
        return [
            _join(request, list(itertools.islice(outcomes, len(parts))))
            for request, parts in zip(requests, split, strict=True)
        ]

    def _try_all(self, requests: Sequence[RankingRequest]) -> list[Ranking | RerankerError]:
        started = time.monotonic()
        if len(requests) <= 1:
            return [self._try_one(request, started) for request in requests]
        workers = min(len(requests), self._options.concurrency)
        with ThreadPoolExecutor(workers, thread_name_prefix="remote-rerank") as pool:
            return list(pool.map(lambda request: self._try_one(request, started), requests))

    def close(self) -> None:
        self._client.close()

    def _try_one(self, request: RankingRequest, started: float) -> Ranking | RerankerError:
        try:
            return self._rank_one(request, started)
        except RerankerError as error:
            return error

    def _rank_one(self, request: RankingRequest, started: float) -> Ranking:
        if not request.candidates:
            return Ranking((), self._info)
        budget = request.latency_budget
        deadline = None if budget is None else started + budget
        if deadline is not None and time.monotonic() >= deadline:  # its turn came too late: not the host's fault
            return self._leave_unscored(request, started)
        try:
            with self._breaker.guard():
                ranking = self._ask(request, deadline)
        except HostLeftAlone as error:
            raise RerankerUnavailable(str(error)) from error
        except _TimedOut as error:
            if deadline is None or time.monotonic() < deadline - CLOCK_TOLERANCE:
                raise
            logger.warning("remote reranker did not answer within the latency budget of %.2f s: %s", budget, error)
            return self._leave_unscored(request, started)
        self._info = ranking.info
        return replace(ranking, seconds=time.monotonic() - started)

    def _leave_unscored(self, request: RankingRequest, started: float) -> Ranking:
        ids = tuple(candidate.id for candidate in request.candidates)
        return Ranking((), self._info, ids, time.monotonic() - started, (PARTIAL_RERANK,))

    def _ask(self, request: RankingRequest, deadline: float | None) -> Ranking:
        """Posts until it works or is not worth another try, and reads the answer."""
        patience = self._options.timeout if deadline is None else deadline - time.monotonic()
        retrying = Retrying(
            retry=retry_if_exception(_is_worth_retrying),
            wait=_choose_wait,
            stop=stop_after_attempt(self._options.attempts) | stop_before_delay(patience),
            reraise=True,
        )
        data = retrying(self._post, request, deadline)
        try:
            return self._shape.parse(self._options, request, data)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise RerankerUnavailable(f"host's answer has not the expected form: {error!r}") from error

    def _post(self, request: RankingRequest, deadline: float | None) -> Any:
        remaining = self._options.timeout if deadline is None else deadline - time.monotonic()
        if remaining <= 0:
            raise _TimedOut("latency budget is used up")
        if deadline is not None:
            request = replace(request, latency_budget=remaining * (1 - NETWORK_SHARE))
        wait = min(self._options.timeout, remaining)
        timeout = httpx.Timeout(wait, connect=min(self._options.connect_timeout, wait))
        try:
            response = self._client.post(
                self._shape.path, json=self._shape.build(self._options, request), timeout=timeout
            )
        except (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout) as error:
            # Among them a kept connection that the host has closed meanwhile.
            raise _TryAgain(f"host cannot be reached: {error!r}") from error
        except httpx.TimeoutException as error:
            raise _TimedOut(f"host did not answer within {wait:.2f} s") from error
        except httpx.HTTPError as error:
            raise RerankerUnavailable(f"connection failed: {error!r}") from error
        return _read_answer(response)


def _join(request: RankingRequest, outcomes: Sequence[Ranking | RerankerError]) -> Ranking | RerankerError:
    """A request's own outcome from those of its parts: half an order is none."""
    rankings = [outcome for outcome in outcomes if isinstance(outcome, Ranking)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, RerankerError)]
    if errors:
        return errors[0]
    try:
        return join_rankings(request, rankings)
    except RerankerError as error:
        return error


PROBES = (
    ("电动自行车能不能在楼道里充电", "禁止在建筑物的楼道、楼梯间、安全出口停放电动自行车或者为其充电。"),
    ("新生儿怎么上医保", "新生儿自出生之日起九十日内办理参保登记的，自出生之日起享受居民医疗保险待遇。"),
    ("公租房申请要什么条件", "申请公共租赁住房的家庭，应当在本市无自有住房且人均月收入低于规定的标准。"),
)


def check_order(reranker: Reranker) -> None:
    """Asks three questions whose answers are plain: who lacks the prompt template or the weights does not pass.

    Raises RerankerUnavailable with what went wrong, where another document than the answer comes first or scores are
    flat. A random order passes once in 27.
    """
    candidates = [Candidate(str(index), "", text) for index, (_, text) in enumerate(PROBES)]
    rankings = reranker.rank([RankingRequest(question, candidates) for question, _ in PROBES])
    for index, ranking in enumerate(rankings):
        if len({item.log_odds for item in ranking.scored}) < len(candidates):
            raise RerankerUnavailable(f"scores of different documents are equal: {ranking.scored}")
        if ranking.ids[0] != str(index):
            raise RerankerUnavailable(f"a wrong answer comes first for {PROBES[index][0]!r}: is the template missing?")


def _read_answer(response: httpx.Response) -> Any:
    """The JSON of a good answer. Raises what says whether to try again."""
    if response.is_success:
        try:
            return response.json()
        except ValueError as error:
            raise RerankerUnavailable("host did not answer with JSON") from error
    message = f"host answered {response.status_code} {_read_error_code(response)}".rstrip()
    if response.status_code == 429:
        raise HostBusy(message, _read_retry_after(response))
    if response.status_code in RETRIED_STATUSES:
        raise _TryAgain(message, _read_retry_after(response))
    if response.is_client_error:
        raise RequestRefused(message)
    raise RerankerUnavailable(message)


def _read_error_code(response: httpx.Response) -> str:
    """The error's code or type. Not its text: some hosts repeat the request in it, and this goes to the log."""
    try:
        data = response.json()
    except ValueError:
        return ""
    answer = data if isinstance(data, dict) else {}
    inner = answer.get("error")
    error = inner if isinstance(inner, dict) else answer
    found = [error.get(key) for key in ("code", "type", "error_type")]
    return next((value[:50] for value in found if isinstance(value, str) and value.isidentifier()), "")


def _read_retry_after(response: httpx.Response) -> float:
    """Seconds of a Retry-After header; a date or none counts as 0."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0


def _is_worth_retrying(error: BaseException) -> bool:
    return isinstance(error, _TryAgain) and error.retry_after <= LONGEST_RETRY_AFTER


def _choose_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_BACKOFF(state), error.retry_after if isinstance(error, _TryAgain) else 0.0)
