"""What is to be scored in which pack: pairs as token runs below shared prefixes, planned by their tokens.

A prefix that is not computed yet is read in the pack of its first document, and counted there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reranking.batching import pack_balanced
from reranking.qwen_pack import Prefix

SHORT_SHARE = 32  # a query of at most a 32nd of a batch is short


@dataclass(frozen=True, slots=True)
class Job:
    """One document below its prefix. `index` is the pair's, `request` says whose it is; `deadline` as in `Pair`."""

    index: int
    request: int
    ids: Sequence[int]
    prefix: Prefix
    deadline: float | None


def marginal_costs(jobs: Iterable[Job]) -> list[int]:
    """The tokens that each job adds to a pack of those before it."""
    counted: set[Prefix] = set()
    costs = []
    for job in jobs:
        new = [prefix for prefix in job.prefix.chain() if not prefix.computed and prefix not in counted]
        counted.update(new)
        costs.append(len(job.ids) + sum(len(prefix.ids) for prefix in new))
    return costs


def plan_batches(jobs: Sequence[Job], budget: int, most_kept: int) -> list[list[Job]]:
    """Batches of about `budget` tokens, evenly full; what is longer is a batch by itself.

    Documents of short queries are mixed, so that few batches do: their prefixes, at most `most_kept` tokens at a time,
    are not counted. A long query's is, and its batches come one after the other: its prefix can go after them. The
    system's and the instruction's tokens are never counted: few, and computed once.
    """
    limit = budget // SHORT_SHARE
    batches: list[list[Job]] = []
    for part in split_by_prefixes([job for job in jobs if _own_tokens(job.prefix) <= limit], most_kept):
        batches += [[part[index] for index in batch] for batch in pack_balanced([len(job.ids) for job in part], budget)]
    return batches + _plan_long([job for job in jobs if _own_tokens(job.prefix) > limit], budget)


def _plan_long(jobs: Sequence[Job], budget: int) -> list[list[Job]]:
    small: list[list[Job]] = []
    batches: list[list[Job]] = []
    for group in _group_by_prefix(jobs):
        if _own_tokens(group[0].prefix) + sum(len(job.ids) for job in group) <= budget:
            small.append(group)
        else:
            batches += _plan_group(group, budget)
    weights = [_own_tokens(group[0].prefix) + sum(len(job.ids) for job in group) for group in small]
    return batches + [[job for index in batch for job in small[index]] for batch in pack_balanced(weights, budget)]


def split_by_prefixes(jobs: Sequence[Job], most_tokens: int) -> list[list[Job]]:
    """Jobs in their order, but so that the prefixes of each part have at most `most_tokens` (or are one)."""
    parts: list[list[Job]] = []
    part_of: dict[Prefix, int] = {}
    tokens = 0
    for job in jobs:
        if job.prefix not in part_of:
            tokens += job.prefix.length
            if not parts or tokens > most_tokens:
                parts.append([])
                tokens = job.prefix.length
            part_of[job.prefix] = len(parts) - 1
        parts[part_of[job.prefix]].append(job)
    return parts


def _group_by_prefix(jobs: Sequence[Job]) -> list[list[Job]]:
    groups: dict[Prefix, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.prefix, []).append(job)
    return list(groups.values())


def _plan_group(group: Sequence[Job], budget: int) -> list[list[Job]]:
    """One query's jobs; the batch of the shortest document comes first and holds the prefix."""
    lengths = [len(job.ids) for job in group]
    first = min(range(len(group)), key=lengths.__getitem__)
    lengths[first] += _own_tokens(group[0].prefix)
    batches = pack_balanced(lengths, budget)
    batches.sort(key=lambda batch: first not in batch)
    return [[group[index] for index in batch] for batch in batches]


def _own_tokens(prefix: Prefix) -> int:
    """The tokens of a query still to be computed; none for what hangs below the instruction itself."""
    return 0 if prefix.computed or prefix.parent is None else len(prefix.ids)
