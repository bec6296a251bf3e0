"""Batches on a device whose memory may run out: run in halves then, kept smaller, and larger again when it lasts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from reranking.batching import halve

logger = logging.getLogger(__name__)

GOOD_BATCHES = 64  # after so many, batches that were halved may double

Item = TypeVar("Item")
Result = TypeVar("Result")


class FittingBatches:
    """How many tokens a batch of one device is planned for; `tokens` is as of now, never above what it began with."""

    def __init__(self, tokens: int) -> None:
        self.tokens = self._most_tokens = tokens
        self._good = 0  # batches since memory last ran out

    def run(
        self, batch: Sequence[Item], work: Callable[[Sequence[Item]], Result], count_tokens: Callable[[Item], int]
    ) -> Iterator[tuple[Sequence[Item], Result | None]]:
        """The parts in which the batch fitted into memory, with what `work` gave; None for one item that never fits."""
        result, failure = _try(work, batch)
        if result is not None:
            self._grow_again()
            yield batch, result
            return
        # Only here, with the exception gone: its traceback holds the tensors of the pass that did not fit.
        tokens = sum(map(count_tokens, batch))
        logger.warning("out of memory with %d texts of %d tokens: %s", len(batch), tokens, failure)
        self._good = 0
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) == 1:
            yield batch, None
            return
        self.tokens = max(1, min(self.tokens, tokens // 2))
        for half in halve(range(len(batch))):
            yield from self.run([batch[index] for index in half], work, count_tokens)

    def _grow_again(self) -> None:
        """What was short of memory for a while need not be for ever."""
        if self.tokens >= self._most_tokens:
            return
        self._good += 1
        if self._good >= GOOD_BATCHES:
            self.tokens, self._good = min(2 * self.tokens, self._most_tokens), 0
            logger.info("batches of %d tokens are tried again", self.tokens)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or for this process."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def _try(work: Callable[[Sequence[Item]], Result], batch: Sequence[Item]) -> tuple[Result | None, str]:
    """What `work` gave, or None and what was said when memory ran out."""
    try:
        return work(batch), ""
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None, str(error)
