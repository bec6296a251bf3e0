"""Qwen3-Reranker: candidates ordered by the model's published score, logit(yes) − logit(no) of the last token."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from reranking.batching import interleave
from reranking.cache import NullScoreCache, ScoreCache, SharedScores, score_key
from reranking.pace import Pace
from reranking.prompts import DEFAULT_INSTRUCTION, TEMPLATE_VERSION, format_document
from reranking.qwen_attention import choose_attention
from reranking.qwen_compile import are_compiled, can_compile, is_worth_compiling
from reranking.qwen_device import choose_device, choose_dtype, memory_bytes, reserved_bytes, set_threads
from reranking.qwen_int8 import Int8Linear, Int8Steps, compile_int8_steps, has_exact_int8, wide_rows
from reranking.qwen_linear import make_linear
from reranking.qwen_loading import LONGEST, Checkpoint, Source, build_network, load_checkpoint
from reranking.qwen_network import WIDE_ROWS
from reranking.qwen_pointwise import Pointwise, compile_pointwise
from reranking.qwen_scoring import Pair, PairScorer
from reranking.trimming import DEFAULT_TRIM_CHARACTERS, trim_text
from reranking.types import (
    PARTIAL_RERANK,
    Candidate,
    NonFiniteScore,
    Ranking,
    RankingRequest,
    RerankerInfo,
    RerankerUnavailable,
    ScoredPassage,
    order_scored,
)

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 1024, 32_768
FLAT_SPREAD = 1e-4

PROBE_QUERY = "住宅楼外墙渗水由谁维修"
PROBE_DOCUMENTS = (
    "住宅共用部位在保修期内出现渗漏的，由建设单位负责维修；保修期满后，维修费用从住宅专项维修资金中列支。",
    "申请办理居住证，应当提交本人居民身份证、近期照片和居住地住址证明。",
    "City buses run every ten minutes on working days.",
)


class QwenReranker:
    """One loaded model. Safe to use from many threads: the model runs one batch at a time.

    `trim` is False (the whole passage is read), True, or the number of characters a passage is trimmed to.
    `dtype` is auto, float32, bfloat16 or float16; `int8` runs the layers' products in int8 on top of it (CPU only).
    `batch_tokens` bounds a batch (1,024 on a CPU, 32,768 on a GPU); `compiled` None compiles where it pays.
    Raises RerankerUnavailable where the model cannot be loaded or fails its check, ValueError for a wrong setting.
    """

    def __init__(
        self,
        model_path_or_hub_id: str,
        *,
        source: Source = "auto",
        device: str = "auto",
        dtype: str = "auto",
        int8: bool = False,
        threads: int | None = None,
        max_length: int = 8192,
        trim: bool | int = False,
        cache: ScoreCache | None = None,
        instruction: str = DEFAULT_INSTRUCTION,
        batch_tokens: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        if not 128 <= max_length <= LONGEST:
            raise ValueError(f"max_length must lie between 128 and {LONGEST}")
        started = time.perf_counter()
        self.max_length = max_length
        self.instruction = instruction
        self._trim = DEFAULT_TRIM_CHARACTERS if trim is True else int(trim)
        self._shared = SharedScores(cache or NullScoreCache())
        chosen = choose_device(device)
        self.threads = set_threads(threads) if chosen.type == "cpu" else torch.get_num_threads()
        self._tensor_dtype = tensor_dtype = choose_dtype(dtype, chosen)
        int8 = int8 and _can_int8(chosen)
        checkpoint = load_checkpoint(model_path_or_hub_id, source=source, dtype=tensor_dtype, device=chosen)
        names = str(tensor_dtype).removeprefix("torch."), "int8" if int8 else ""
        self._info = RerankerInfo(
            checkpoint.name, checkpoint.revision, True, str(chosen), "+".join(filter(None, names))
        )
        self.hidden_size = checkpoint.head.shape[1]  # 1,024 of the 0.6B model, 2,560 of 4B, 4,096 of 8B
        self._scorer = self._build(checkpoint, chosen, int8, batch_tokens, compiled)
        self._check_probe()
        self.load_seconds = time.perf_counter() - started
        logger.info("reranker ready: %s", self.status())

    def _build(
        self, checkpoint: Checkpoint, device: torch.device, int8: bool, batch_tokens: int | None, compiled: bool | None
    ) -> PairScorer:
        budget = batch_tokens or (CPU_BATCH_TOKENS if device.type == "cpu" else GPU_BATCH_TOKENS)
        if compiled is None:
            compiled = can_compile(device) and is_worth_compiling(checkpoint.model)
        steps = compile_int8_steps() if compiled else Int8Steps()
        self._pointwise = compile_pointwise() if compiled else Pointwise()
        network = build_network(
            checkpoint.model,
            make_linear=lambda weight: Int8Linear(weight, steps, budget) if int8 else make_linear(weight, budget),
            attention=choose_attention(device, self._tensor_dtype, checkpoint.model.config.head_dim),
            pointwise=self._pointwise,
            max_length=self.max_length,
            wide_rows=wide_rows(self._tensor_dtype) if int8 else WIDE_ROWS,
        )
        return PairScorer(
            network, checkpoint.head, checkpoint.tokenizer, max_length=self.max_length, batch_tokens=budget
        )

    @property
    def info(self) -> RerankerInfo:
        return self._info

    def status(self) -> dict[str, Any]:
        """What runs where, for the log and the status page. Seconds and bytes.

        `compiled` and `batch_tokens` are as of now: compiling may have failed late, batches may have been halved.
        """
        device = torch.device(self._info.device)
        return {
            "name": self._info.name,
            "revision": self._info.revision,
            "device": self._info.device,
            "dtype": self._info.dtype,
            "threads": self.threads,
            "max_length": self.max_length,
            "int8": self._info.dtype.endswith("+int8"),
            "compiled": are_compiled(self._pointwise.norm, self._pointwise.norm_rotate),
            "attention": self._scorer.attention_name,
            "batch_tokens": self._scorer.batches.tokens,
            "tokens_per_second": round(1 / pace) if (pace := self._scorer.pace.seconds_per_token) else None,
            "load_seconds": round(getattr(self, "load_seconds", 0.0), 3),
            "memory_bytes": memory_bytes(device),
            "reserved_bytes": reserved_bytes(device),
        }

    def rank(self, requests: Sequence[RankingRequest]) -> list[Ranking]:
        """Scores all requests as one; rankings in their order. Raises NonFiniteScore.

        Notices: `truncated`, `trimmed`, `partial_rerank` (the deadline came first), `batch_halved` and
        `out_of_memory` (unscored documents that do not fit even alone), `query_too_long` (nothing was scored).
        """
        call = _Call(started=time.monotonic(), requests=requests)
        self._lay_out(call)
        result = self._shared.get_or_compute(
            list(call.pairs), lambda keys: self._compute(call, keys), timeout=call.longest_wait()
        )
        call.log_odds, call.cached = result.scores, result.cached
        call.truncated |= {key for key in result.cached if self._scorer.is_truncated(call.pairs[key])}
        seconds = time.monotonic() - call.started
        return [self._ranking(call, number, seconds) for number in range(len(requests))]

    def score_pairs(self, pairs: Sequence[tuple[str, str]], instruction: str | None = None) -> list[float]:
        """Log-odds of (query, document) pairs, without cache. Raises NonFiniteScore, RerankerUnavailable."""
        wanted = [Pair(instruction or self.instruction, query, document) for query, document in pairs]
        scores = self._scorer.score(wanted)
        if len(scores.log_odds) < len(wanted):
            raise RerankerUnavailable("a pair is too long or does not fit into memory")
        return [scores.log_odds[index] for index in range(len(wanted))]

    def _lay_out(self, call: _Call) -> None:
        """The pairs in the order in which they are likely to matter, equal ones once."""
        orders = [request.scoring_order() for request in call.requests]
        for number, turn in interleave([len(order) for order in orders]):
            request, place = call.requests[number], orders[number][turn]
            pair = self._pair(call, number, request.candidates[place])
            key = self._key(pair)
            call.keys[number, place] = key
            known = call.pairs.get(key)
            if known is None or _later(pair.deadline, known.deadline):
                call.pairs[key] = pair

    def _pair(self, call: _Call, number: int, candidate: Candidate) -> Pair:
        request = call.requests[number]
        if self._trim and len(candidate.text) > self._trim:
            candidate = replace(candidate, text=trim_text(candidate.text, request.query, self._trim))
            call.trimmed.add(id(request))
        deadline = None if request.latency_budget is None else call.started + request.latency_budget
        instruction = self.instruction if request.instruction is None else request.instruction
        return Pair(instruction, request.query, format_document(candidate), deadline, number)

    def _key(self, pair: Pair) -> str:
        return score_key(
            revision=self._info.revision,
            dtype=self._info.dtype,
            template=TEMPLATE_VERSION,
            instruction=pair.instruction,
            query=pair.query,
            document=pair.document,
            max_length=self.max_length,
        )

    def _compute(self, call: _Call, keys: Sequence[str]) -> dict[str, float]:
        scores = self._scorer.score([call.pairs[key] for key in keys])
        call.batch_halved |= scores.batch_halved
        call.truncated |= {keys[index] for index in scores.truncated}
        call.without_room |= {keys[index] for index in scores.without_room}
        call.out_of_memory |= {keys[index] for index in scores.out_of_memory}
        return {keys[index]: value for index, value in scores.log_odds.items()}

    def _ranking(self, call: _Call, number: int, seconds: float) -> Ranking:
        scored, unscored = [], []
        candidates = call.requests[number].candidates
        keys = [call.keys[number, place] for place in range(len(candidates))]
        for candidate, key in zip(candidates, keys, strict=True):
            if key in call.log_odds:
                flags = {"truncated": key in call.truncated, "cached": key in call.cached}
                scored.append(ScoredPassage.from_log_odds(candidate.id, call.log_odds[key], **flags))
            else:
                unscored.append(candidate.id)
        notices = call.notices(number, keys)
        return Ranking(order_scored(scored), self._info, tuple(unscored), seconds, notices)

    def _check_probe(self) -> None:
        """A fixed probe, twice: the first pass warms up, the second sets the pace that deadlines are kept by."""
        pairs = [(PROBE_QUERY, document) for document in PROBE_DOCUMENTS]
        try:
            self.score_pairs(pairs)
            self._scorer.pace = Pace()
            values = self.score_pairs(pairs)
        except NonFiniteScore as error:
            raise RerankerUnavailable(f"the model's probe failed: {error}") from error
        if max(values) - min(values) < FLAT_SPREAD:
            raise RerankerUnavailable(f"the model scores everything alike: {values}")


@dataclass
class _Call:
    """One call of `rank`. Keys are the cache's; `pairs` has each key once."""

    started: float
    requests: Sequence[RankingRequest]
    keys: dict[tuple[int, int], str] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    log_odds: Mapping[str, float] = field(default_factory=dict)
    cached: frozenset[str] = frozenset()
    truncated: set[str] = field(default_factory=set)
    without_room: set[str] = field(default_factory=set)
    out_of_memory: set[str] = field(default_factory=set)
    trimmed: set[int] = field(default_factory=set)
    batch_halved: bool = False

    def longest_wait(self) -> float | None:
        """Seconds that scores of other threads may be waited for; None where a request has no deadline."""
        budgets = [request.latency_budget for request in self.requests]
        return None if not budgets or None in budgets else max(budget for budget in budgets if budget is not None)

    def notices(self, number: int, keys: Sequence[str]) -> tuple[str, ...]:
        """What is to be said of a request whose candidates have these keys."""
        late = [key for key in keys if key not in self.log_odds and key not in self.without_room | self.out_of_memory]
        remarks = (
            ("truncated", not self.truncated.isdisjoint(keys)),
            ("trimmed", id(self.requests[number]) in self.trimmed),
            (PARTIAL_RERANK, bool(late)),
            ("batch_halved", self.batch_halved),
            ("out_of_memory", not self.out_of_memory.isdisjoint(keys)),
            ("query_too_long", not self.without_room.isdisjoint(keys)),
        )
        return tuple(name for name, holds in remarks if holds)


def _can_int8(device: torch.device) -> bool:
    if device.type != "cpu":
        logger.warning("int8 is for CPUs and is left out on %s: bfloat16 is nearer and fast enough there", device)
        return False
    if not has_exact_int8():
        logger.warning("int8 is left out: this processor's int8 products are not exact")
        return False
    return True


def _later(first: float | None, second: float | None) -> bool:
    return second is not None and (first is None or first > second)
