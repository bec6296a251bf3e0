"""Pairs to log-odds on one device: tokenised in pieces, prefixes shared, batches packed, memory and deadline kept."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import is_normalized

from torch import Tensor

from reranking.batching import take_in_order
from reranking.pace import Pace
from reranking.prompts import PREFIX, SUFFIX, split_prompt
from reranking.qwen_jobs import Job, marginal_costs, plan_batches, split_by_prefixes
from reranking.qwen_memory import FittingBatches
from reranking.qwen_network import Network
from reranking.qwen_pack import Prefix, build_pack
from reranking.turns import Place, Turns
from reranking.types import NonFiniteScore

# Tokens whose keys and values are kept: of instructions across lookups, and of the queries of one call at a time.
# A token of the 0.6B model takes 112 KiB in bfloat16, 168 where keys are float32.
KEPT_ROOT_TOKENS, KEPT_PREFIX_TOKENS = 4096, 8192
# A token has at least a byte, a character at most four, and composing characters (NFC) can triple a text.
MOST_TOKENS_A_CHARACTER = 12
FIXED_TOKENS = 128
WORTH_TRYING = 0.1  # seconds; where less is left, that nothing can be done says nothing of the pace
DEADLINE_MARGIN = 0.9  # of the time that is left: the pace is an average


@dataclass(frozen=True, slots=True)
class Pair:
    """One query and one document; `deadline` is a `time.monotonic()` moment after which its score is of no use.

    `request` numbers whose document it is: where one cannot be scored in time, the same request's later ones are not.
    """

    instruction: str
    query: str
    document: str
    deadline: float | None = None
    request: int = 0


@dataclass
class Scores:
    """What a call of `score` gave: log-odds by index of the pair, and remarks. What is missing was not scored."""

    log_odds: dict[int, float] = field(default_factory=dict)
    truncated: set[int] = field(default_factory=set)
    without_room: set[int] = field(default_factory=set)
    out_of_memory: set[int] = field(default_factory=set)
    batch_halved: bool = False


class PairScorer:
    """One model on one device; `score` may be called from many threads, a device runs one batch at a time."""

    def __init__(self, network: Network, head: Tensor, tokenizer: Any, *, max_length: int, batch_tokens: int) -> None:
        self._network = network
        self._head = head
        self._encode = make_encoder(tokenizer)
        self._prefix_ids = self._encode([PREFIX])[0]
        self._suffix_ids = self._encode([SUFFIX])[0]
        # From here on texts are citizens' and documents': a written-out <|im_end|> in them ends no turn.
        tokenizer.backend_tokenizer.encode_special_tokens = True
        self._max_length = max_length
        self.batches = FittingBatches(batch_tokens)
        self.pace = Pace()
        self._roots: OrderedDict[str, Prefix] = OrderedDict()
        self._roots_lock = threading.Lock()
        self._turns = Turns()

    @property
    def attention_name(self) -> str:
        """How the model attends on this device."""
        return self._network.attention.name

    def score(self, pairs: Sequence[Pair]) -> Scores:
        """Log-odds of the pairs, in the order given where deadlines bind. Raises NonFiniteScore."""
        scores = Scores()
        jobs = self._prepare(pairs, scores)
        if any(job.deadline is not None for job in jobs):
            self._score_in_time(jobs, scores)
        else:
            self._score_all(jobs, scores)
        return scores

    def is_truncated(self, pair: Pair) -> bool:
        """Whether a document is cut to fit. Tokenises only what could be too long."""
        texts = pair.instruction, pair.query, pair.document
        if sum(map(_most_tokens, texts)) + FIXED_TOKENS <= self._max_length:
            return False
        piece = split_prompt(pair.instruction, pair.query, pair.document)
        head, query, document = map(len, self._encode([piece.head, piece.query, piece.document]))
        return len(self._prefix_ids) + head + query + document + len(self._suffix_ids) > self._max_length

    def token_ids(self, pair: Pair) -> list[int]:
        """The tokens of a pair's whole prompt as the model reads them."""
        (job,) = self._prepare([pair], Scores())
        return [*(token for prefix in job.prefix.chain() for token in prefix.ids), *job.ids]

    def _prepare(self, pairs: Sequence[Pair], scores: Scores) -> list[Job]:
        pieces = [split_prompt(pair.instruction, pair.query, pair.document) for pair in pairs]
        documents = self._encode([piece.document for piece in pieces])
        shared = Counter((piece.head, piece.query) for piece in pieces)
        queries: dict[tuple[str, str], Prefix] = {}
        jobs = []
        for index, (pair, piece, ids) in enumerate(zip(pairs, pieces, documents, strict=True)):
            key = (piece.head, piece.query)
            if key not in queries:
                queries[key] = Prefix(self._encode([piece.query])[0], self._root(piece.head))
            query = queries[key]
            room = self._max_length - query.length - len(self._suffix_ids)
            if room < 1:
                scores.without_room.add(index)
                continue
            if len(ids) > room:
                scores.truncated.add(index)
            run, prefix = [*ids[:room], *self._suffix_ids], query
            if shared[key] == 1 and query.parent is not None:  # nobody else reads its query: nothing to keep
                run, prefix = [*query.ids, *run], query.parent
            jobs.append(Job(index, pair.request, run, prefix, pair.deadline))
        return jobs

    def _root(self, head: str) -> Prefix:
        """System line and instruction: computed once while among the last used."""
        with self._roots_lock:
            root = self._roots.pop(head, None) or Prefix([*self._prefix_ids, *self._encode([head])[0]])
            self._roots[head] = root
            while len(self._roots) > 1 and sum(root.length for root in self._roots.values()) > KEPT_ROOT_TOKENS:
                self._roots.popitem(last=False)
        return root

    def _score_all(self, jobs: Sequence[Job], scores: Scores) -> None:
        """One turn for each batch. After a batch that did not fit into memory what is left is planned anew."""
        left = Counter(job.prefix for job in jobs)
        waiting = list(jobs)
        while waiting:
            budget = self.batches.tokens
            batches = plan_batches(waiting, budget, KEPT_PREFIX_TOKENS)
            while batches and self.batches.tokens >= budget:
                batch = batches.pop(0)
                with self._turns.line_up() as place, place.take():
                    self._score_batch(batch, scores)
                left.subtract(job.prefix for job in batch)
                _forget({job.prefix for job in batch if not left[job.prefix]})
            waiting = [job for batch in batches for job in batch]

    def _score_in_time(self, jobs: Sequence[Job], scores: Scores) -> None:
        """One turn for each batch: who has a deadline waits for nobody but those who have an earlier one."""
        with self._turns.line_up(min(job.deadline for job in jobs if job.deadline is not None)) as place:
            for part in split_by_prefixes(jobs, KEPT_PREFIX_TOKENS):
                self._score_until_deadline(part, scores, place)
                _forget({job.prefix for job in part})

    def _score_until_deadline(self, jobs: Sequence[Job], scores: Scores, place: Place) -> None:
        waiting = list(jobs)
        while waiting:
            latest = _latest_deadline(waiting)
            with place.take(None if latest is None else max(0.0, latest - time.monotonic())) as got:
                waiting = self._drop_hopeless(waiting, bool(scores.log_odds)) if got else []
                if waiting:
                    room = min(self.batches.tokens, *(self._affordable(job.deadline) for job in waiting))
                    count = max(1, take_in_order(marginal_costs(waiting), room))
                    self._score_batch(waiting[:count], scores)
                    waiting = waiting[count:]

    def _drop_hopeless(self, jobs: Sequence[Job], anything_scored: bool) -> list[Job]:
        """Jobs that can still be done in time. Once a request's document cannot, those after it are not tried either:
        they would come before it in the answer for no reason but their length.
        """
        stopped: set[int] = set()
        kept = []
        for job in jobs:
            if job.request in stopped or marginal_costs([job])[0] > self._affordable(job.deadline):
                stopped.add(job.request)
            else:
                kept.append(job)
        if not kept and not anything_scored and any(_is_ahead(job.deadline) for job in jobs):
            self.pace.doubt()
        return kept

    def _affordable(self, deadline: float | None) -> int:
        """Tokens of a batch that is done before the deadline at the measured pace."""
        if deadline is None:
            return sys.maxsize
        remaining = (deadline - time.monotonic()) * DEADLINE_MARGIN
        if remaining <= 0:
            return 0
        affordable = self.pace.affordable(remaining)
        return sys.maxsize if affordable is None else affordable

    def _score_batch(self, jobs: Sequence[Job], scores: Scores) -> None:
        for part, values in self.batches.run(jobs, self._run, lambda job: len(job.ids)):
            if values is None:
                scores.out_of_memory.add(part[0].index)
            else:
                scores.log_odds |= {job.index: value for job, value in zip(part, values, strict=True)}
            scores.batch_halved |= values is None or len(part) < len(jobs)

    def _run(self, jobs: Sequence[Job]) -> list[float]:
        start = time.perf_counter()
        pack = build_pack([(job.ids, job.prefix) for job in jobs], self._head.device)
        logits = self._network.run(pack) @ self._head.T
        values = (logits[:, 0] - logits[:, 1]).tolist()
        self.pace.learn(len(pack.ids), time.perf_counter() - start, full=self.batches.tokens)
        if not all(map(math.isfinite, values)):
            raise NonFiniteScore("the model gave a score that is not finite")
        return values


def _most_tokens(text: str) -> int:
    """A bound: a token has at least a byte of the text as the tokenizer composes it."""
    if is_normalized("NFC", text):
        return len(text.encode("utf-8", "surrogatepass"))
    return MOST_TOKENS_A_CHARACTER * len(text)


def _latest_deadline(jobs: Sequence[Job]) -> float | None:
    """None where one has no deadline."""
    deadlines = [job.deadline for job in jobs if job.deadline is not None]
    return max(deadlines) if len(deadlines) == len(jobs) else None


def _is_ahead(deadline: float | None) -> bool:
    return deadline is not None and deadline - time.monotonic() > WORTH_TRYING


def _forget(prefixes: set[Prefix]) -> None:
    """Frees queries' keys and values; what hangs below nothing is kept for later lookups."""
    for prefix in prefixes:
        if prefix.parent is not None:
            prefix.forget()


def make_encoder(tokenizer: Any) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts to token ids, nothing added, nothing cut, by the tokenizer's own fast engine."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in backend.encode_batch(list(texts), add_special_tokens=False)]

    return encode
