"""Which pairs go into a batch together: pure functions on lengths in tokens.

Batches are packed, not padded, so a batch is bounded by its sum of tokens, and what is in it changes no score.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence


def pack_balanced(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of `lengths` in as few batches of at most `budget` tokens as greedy filling finds, evenly full.

    Longest first, each into the emptiest batch that has room. What is longer than the budget is a batch by itself.
    Inside a batch the indices keep their order.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    alone = [[index] for index in order if lengths[index] >= budget]
    rest = order[len(alone) :]
    count = math.ceil(sum(lengths[index] for index in rest) / budget)
    while (batches := _spread(lengths, rest, count, budget)) is None:
        count += 1
    return alone + [sorted(batch) for batch in batches if batch]


def _spread(lengths: Sequence[int], order: Sequence[int], count: int, budget: int) -> list[list[int]] | None:
    """`order` dealt to `count` batches, each to the emptiest; None where one would overflow."""
    batches: list[list[int]] = [[] for _ in range(count)]
    fill = [(0, number) for number in range(count)]
    for index in order:
        tokens, number = heapq.heappop(fill)
        if tokens + lengths[index] > budget:
            return None
        batches[number].append(index)
        heapq.heappush(fill, (tokens + lengths[index], number))
    return batches


def take_in_order(lengths: Sequence[int], budget: int) -> int:
    """How many items from the front fit into `budget` tokens."""
    total = 0
    for count, length in enumerate(lengths):
        total += length
        if total > budget:
            return count
    return len(lengths)


def interleave(counts: Sequence[int]) -> list[tuple[int, int]]:
    """(request, turn): the first of every request, then the second of every request, …"""
    return [
        (request, turn)
        for turn in range(max(counts, default=0))
        for request, count in enumerate(counts)
        if turn < count
    ]


def halve(batch: Sequence[int]) -> tuple[list[int], list[int]]:
    """A batch that did not fit into memory, as two."""
    middle = len(batch) // 2
    return list(batch[:middle]), list(batch[middle:])
