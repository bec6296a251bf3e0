"""Pairs to log-odds on one device: tokenised in pieces, prefixes shared, batches packed, memory and deadline kept."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reranking.batching import halve, pack_balanced, take_in_order
from reranking.prompts import PREFIX, SUFFIX, split_prompt
from reranking.qwen_network import Network
from reranking.qwen_pack import Prefix, build_pack
from reranking.types import NonFiniteScore

logger = logging.getLogger(__name__)

KEPT_ROOTS = 16
# A token has at least a byte, a character at most four, and composing characters (NFC) can triple a text.
MOST_TOKENS_A_CHARACTER = 12
FIXED_TOKENS = 128
GOOD_BATCHES = 64  # after so many, batches that were halved may double
DEADLINE_MARGIN = 0.9  # of the time that is left: the pace is an average


@dataclass(frozen=True, slots=True)
class Pair:
    """One query and one document; `deadline` is a `time.monotonic()` moment after which its score is of no use."""

    instruction: str
    query: str
    document: str
    deadline: float | None = None


@dataclass
class Scores:
    """What a call of `score` gave: log-odds by index of the pair, and remarks. What is missing was not scored."""

    log_odds: dict[int, float] = field(default_factory=dict)
    truncated: set[int] = field(default_factory=set)
    without_room: set[int] = field(default_factory=set)
    out_of_memory: set[int] = field(default_factory=set)
    batch_halved: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    index: int
    ids: Sequence[int]
    prefix: Prefix
    deadline: float | None


class PairScorer:
    """One model on one device; `score` may be called from many threads and runs one at a time."""

    def __init__(self, network: Network, head: Tensor, tokenizer: Any, *, max_length: int, batch_tokens: int) -> None:
        self._network = network
        self._head = head
        self._encode = make_encoder(tokenizer)
        self._prefix_ids = self._encode([PREFIX])[0]
        self._suffix_ids = self._encode([SUFFIX])[0]
        # From here on texts are citizens' and documents': a written-out <|im_end|> in them ends no turn.
        tokenizer.backend_tokenizer.encode_special_tokens = True
        self._max_length = max_length
        self.batch_tokens = self._most_batch_tokens = batch_tokens
        self._good_batches = 0  # since memory last ran out
        self.seconds_per_token = 0.0
        self._roots: OrderedDict[str, Prefix] = OrderedDict()
        self._lock = threading.Lock()

    def score(self, pairs: Sequence[Pair]) -> Scores:
        """Log-odds of the pairs, in the order given where deadlines bind. Raises NonFiniteScore."""
        scores = Scores()
        latest = _latest_deadline(pairs)
        if not self._lock.acquire(timeout=-1 if latest is None else max(0.0, latest - time.monotonic())):
            return scores
        try:
            jobs = self._prepare(pairs, scores)
            if any(job.deadline is not None for job in jobs):
                self._score_until_deadline(jobs, scores)
            else:
                self._score_all(jobs, scores)
        finally:
            self._lock.release()
        return scores

    def is_truncated(self, pair: Pair) -> bool:
        """Whether a document is cut to fit. Tokenises only what could be too long."""
        characters = len(pair.instruction) + len(pair.query) + len(pair.document)
        if characters * MOST_TOKENS_A_CHARACTER + FIXED_TOKENS <= self._max_length:
            return False
        piece = split_prompt(pair.instruction, pair.query, pair.document)
        head, query, document = map(len, self._encode([piece.head, piece.query, piece.document]))
        return len(self._prefix_ids) + head + query + document + len(self._suffix_ids) > self._max_length

    def token_ids(self, pair: Pair) -> list[int]:
        """The tokens of a pair's whole prompt as the model reads them."""
        (job,) = self._prepare([pair], Scores())
        return [*(token for prefix in job.prefix.chain() for token in prefix.ids), *job.ids]

    def _prepare(self, pairs: Sequence[Pair], scores: Scores) -> list[_Job]:
        queries: dict[tuple[str, str], Prefix] = {}
        pieces = [split_prompt(pair.instruction, pair.query, pair.document) for pair in pairs]
        documents = self._encode([piece.document for piece in pieces])
        jobs = []
        for index, (pair, piece, ids) in enumerate(zip(pairs, pieces, documents, strict=True)):
            key = (pair.instruction, pair.query)
            if key not in queries:
                queries[key] = Prefix(self._encode([piece.query])[0], self._root(piece.head))
            prefix = queries[key]
            room = self._max_length - prefix.length - len(self._suffix_ids)
            if room < 1:
                scores.without_room.add(index)
                continue
            if len(ids) > room:
                scores.truncated.add(index)
            jobs.append(_Job(index, [*ids[:room], *self._suffix_ids], prefix, pair.deadline))
        return jobs

    def _root(self, head: str) -> Prefix:
        """System line and instruction: computed once while among the last used."""
        root = self._roots.pop(head, None) or Prefix([*self._prefix_ids, *self._encode([head])[0]])
        self._roots[head] = root
        while len(self._roots) > KEPT_ROOTS:
            self._roots.popitem(last=False)
        return root

    def _score_all(self, jobs: Sequence[_Job], scores: Scores) -> None:
        for batch in pack_balanced([len(job.ids) for job in jobs], self.batch_tokens):
            self._score_batch([jobs[index] for index in batch], scores)

    def _score_until_deadline(self, jobs: Sequence[_Job], scores: Scores) -> None:
        waiting = list(jobs)
        while waiting := self._drop_hopeless(waiting, bool(scores.log_odds)):
            room = min(self.batch_tokens, *(self._affordable(job.deadline) for job in waiting))
            count = max(1, take_in_order([len(job.ids) for job in waiting], room))
            self._score_batch(waiting[:count], scores)
            waiting = waiting[count:]

    def _drop_hopeless(self, jobs: Sequence[_Job], anything_scored: bool) -> list[_Job]:
        """Jobs that can still be done in time. Once a query's document cannot, those after it are not tried either:
        they would come before it in the answer for no reason but their length.
        """
        stopped: set[int] = set()
        kept = []
        for job in jobs:
            if id(job.prefix) in stopped or len(job.ids) > self._affordable(job.deadline):
                stopped.add(id(job.prefix))
            else:
                kept.append(job)
        if jobs and not kept and not anything_scored:
            # A pace wrongly learnt would otherwise never be corrected: nothing would run any more.
            self.seconds_per_token *= 0.9
        return kept

    def _affordable(self, deadline: float | None) -> int:
        """Tokens of a batch that is done before the deadline at the measured pace."""
        if deadline is None:
            return sys.maxsize
        remaining = (deadline - time.monotonic()) * DEADLINE_MARGIN
        if remaining <= 0:
            return 0
        return int(remaining / self.seconds_per_token) if self.seconds_per_token else sys.maxsize

    def _score_batch(self, jobs: Sequence[_Job], scores: Scores) -> None:
        values, failure = self._try(jobs)
        if values is None:
            # Only here, with the exception gone: its traceback holds the tensors of the pass that did not fit.
            self._halve(jobs, scores, failure)
            return
        self._grow_again()
        for job, value in zip(jobs, values, strict=True):
            scores.log_odds[job.index] = value

    def _try(self, jobs: Sequence[_Job]) -> tuple[list[float] | None, str]:
        """The values, or None and what was said when memory ran out."""
        try:
            return self._run(jobs), ""
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None, str(error)

    def _grow_again(self) -> None:
        """What was short of memory for a while need not be for ever."""
        if self.batch_tokens >= self._most_batch_tokens:
            return
        self._good_batches += 1
        if self._good_batches >= GOOD_BATCHES:
            self.batch_tokens, self._good_batches = min(2 * self.batch_tokens, self._most_batch_tokens), 0
            logger.info("batches of %d tokens are tried again", self.batch_tokens)

    def _halve(self, jobs: Sequence[_Job], scores: Scores, failure: str) -> None:
        tokens = sum(len(job.ids) for job in jobs)
        logger.warning("out of memory with %d documents of %d tokens: %s", len(jobs), tokens, failure)
        scores.batch_halved = True
        self._good_batches = 0
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(jobs) == 1:
            scores.out_of_memory.add(jobs[0].index)
            return
        self.batch_tokens = max(1, min(self.batch_tokens, tokens // 2))
        for half in halve(range(len(jobs))):
            self._score_batch([jobs[index] for index in half], scores)

    def _run(self, jobs: Sequence[_Job]) -> list[float]:
        start = time.perf_counter()
        pack = build_pack([(job.ids, job.prefix) for job in jobs], self._head.device)
        logits = self._network.run(pack) @ self._head.T
        values = (logits[:, 0] - logits[:, 1]).tolist()
        self._learn_pace((time.perf_counter() - start) / len(pack.ids))
        if not all(map(math.isfinite, values)):
            raise NonFiniteScore("the model gave a score that is not finite")
        return values

    def _learn_pace(self, seconds_per_token: float) -> None:
        known = self.seconds_per_token
        self.seconds_per_token = (known + seconds_per_token) / 2 if known else seconds_per_token


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or for this process."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def _latest_deadline(pairs: Sequence[Pair]) -> float | None:
    deadlines = [pair.deadline for pair in pairs if pair.deadline is not None]
    return max(deadlines) if deadlines and len(deadlines) == len(pairs) else None


def make_encoder(tokenizer: Any) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts to token ids, nothing added, nothing cut, by the tokenizer's own fast engine."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in backend.encode_batch(list(texts), add_special_tokens=False)]

    return encode
