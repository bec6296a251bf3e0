"""Prompts as a tree of token runs, and a pack: runs laid end to end, without padding, for one pass of the network.

System and instruction are the root (once per process), a query hangs below it (once per query), documents below
the query. A run attends to the runs above it and, causally, to itself; what else is in the pack it cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(eq=False)
class Prefix:
    """A run that others share. `layers` holds, once computed, keys and values of the whole chain down to here.

    Keys and values are [length, key-value heads, head size], `length` counting the tokens above as well.
    """

    ids: Sequence[int]
    parent: Prefix | None = None
    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    computed: bool = False

    @property
    def length(self) -> int:
        return len(self.ids) + (self.parent.length if self.parent else 0)

    def chain(self) -> list[Prefix]:
        """This prefix and those above it, root first."""
        return [*(self.parent.chain() if self.parent else ()), self]

    def extend(self, keys: Tensor, values: Tensor) -> None:
        """Adds the next layer's own keys and values, [own tokens, heads, head size]."""
        if self.parent is not None:
            above_keys, above_values = self.parent.layers[len(self.layers)]
            self.layers.append((torch.cat((above_keys, keys)), torch.cat((above_values, values))))
        else:  # copied: a slice would keep the memory of its whole pack
            self.layers.append((keys.clone(), values.clone()))

    def forget(self) -> None:
        """Undoes a pass that failed half-way."""
        self.layers.clear()
        self.computed = False


@dataclass(frozen=True, slots=True)
class Span:
    """Rows start ≤ row < stop of a pack: one run."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring runs below one prefix. `owner` is set where the run is itself a prefix to be kept."""

    prefix: Prefix | None
    spans: tuple[Span, ...]
    owner: Prefix | None = None

    @property
    def start(self) -> int:
        return self.spans[0].start

    @property
    def stop(self) -> int:
        return self.spans[-1].stop


@dataclass(frozen=True, slots=True)
class Document:
    """Where a document's rows lie, and below which prefix, if any."""

    prefix: Prefix | None
    span: Span


@dataclass(frozen=True)
class Pack:
    """Token ids and positions are [tokens]; `documents` are in the order handed in, `last_rows` their last tokens."""

    ids: Tensor
    positions: Tensor
    groups: tuple[Group, ...]
    documents: tuple[Document, ...]
    last_rows: Tensor

    @property
    def new_prefixes(self) -> list[Prefix]:
        return [group.owner for group in self.groups if group.owner is not None]


def build_pack(documents: Sequence[tuple[Sequence[int], Prefix | None]], device: torch.device) -> Pack:
    """One pack of document runs (none empty) and whichever of their prefixes are not computed yet, those first.

    Either every document has a prefix or none has.
    """
    writer = _PackWriter()
    by_prefix: dict[int, list[int]] = {}
    for number, (_, prefix) in enumerate(documents):
        by_prefix.setdefault(id(prefix), []).append(number)
    chains = [prefix.chain() for numbers in by_prefix.values() if (prefix := documents[numbers[0]][1])]
    for depth in range(max(map(len, chains), default=0)):  # roots first: what has no prefix lies at the beginning
        for chain in chains:
            if depth < len(chain):
                writer.add_prefix(chain[depth])
    placed: dict[int, Document] = {}
    for numbers in by_prefix.values():
        prefix = documents[numbers[0]][1]
        spans = writer.add_group(prefix, [documents[number][0] for number in numbers])
        placed |= {number: Document(prefix, span) for number, span in zip(numbers, spans, strict=True)}
    in_order = tuple(placed[number] for number in range(len(documents)))
    return Pack(
        torch.tensor(writer.ids, device=device),
        torch.tensor(writer.positions, device=device),
        tuple(writer.groups),
        in_order,
        torch.tensor([document.span.stop - 1 for document in in_order], device=device),
    )


class _PackWriter:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.groups: list[Group] = []
        self._placed: set[int] = set()

    def add_prefix(self, prefix: Prefix) -> None:
        if prefix.computed or id(prefix) in self._placed:
            return
        self._placed.add(id(prefix))
        self.add_group(prefix.parent, [prefix.ids], owner=prefix)

    def add_group(
        self, prefix: Prefix | None, runs: Sequence[Sequence[int]], owner: Prefix | None = None
    ) -> tuple[Span, ...]:
        offset = prefix.length if prefix else 0
        spans = []
        for run in runs:
            spans.append(Span(len(self.ids), len(self.ids) + len(run)))
            self.ids.extend(run)
            self.positions.extend(range(offset, offset + len(run)))
        self.groups.append(Group(prefix, tuple(spans), owner))
        return self.groups[-1].spans
