"""Attention of a pack on a GPU: two kernel calls a layer, however many runs there are.

One call lets every run attend to itself, one lets all runs below a prefix attend to it; the two are merged by their
log-sum-exps, which gives the softmax over both. The kernel is torch's flash attention for runs of different length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reranking.qwen_pack import Document, Group, Pack, Prefix


@dataclass(frozen=True)
class Runs:
    """Boundaries of runs laid end to end, int32 [runs + 1], and the longest run."""

    bounds: Tensor
    longest: int


# (queries, keys, values, query runs, key runs, causal) -> output [rows, heads, size], log-sum-exp [rows, heads] float32
Kernel = Callable[[Tensor, Tensor, Tensor, Runs, Runs, bool], tuple[Tensor, Tensor]]


def flash_kernel(
    queries: Tensor, keys: Tensor, values: Tensor, query_runs: Runs, key_runs: Runs, causal: bool
) -> tuple[Tensor, Tensor]:
    """torch's own kernel: needs a GPU, bfloat16 or float16."""
    from torch.nn.attention.varlen import AuxRequest, varlen_attn

    output, lse = varlen_attn(
        queries,
        keys,
        values,
        query_runs.bounds,
        key_runs.bounds,
        query_runs.longest,
        key_runs.longest,
        return_aux=AuxRequest(lse=True),
        scale=1.0,  # queries come scaled
        window_size=(-1, 0) if causal else (-1, -1),
        enable_gqa=True,
    )
    # The kernel lays it out [heads, rows].
    return output, lse.t() if lse.shape[0] == queries.shape[1] else lse


def merge_by_log_sum_exp(first: Tensor, first_lse: Tensor, second: Tensor, second_lse: Tensor) -> Tensor:
    """Attention over the union of two sets of keys; in the dtype of the second output."""
    share = torch.sigmoid(first_lse - second_lse).unsqueeze(-1)
    return torch.lerp(second.float(), first.float(), share).to(second.dtype)


@dataclass(frozen=True)
class _Plan:
    """What a pack's layers have in common. Rows before `first_below` have no prefix; documents lie at the end."""

    pack: Pack
    own: Runs
    first_below: int
    below: Runs
    prefixes: tuple[Prefix, ...]
    prefix_runs: Runs
    first_document: int
    document_order: Tensor
    document_keys: Runs
    document_groups: Runs
    document_prefixes: tuple[Prefix, ...]
    document_prefix_runs: Runs
    single: Runs


class VarlenAttention:
    """Attention for CUDA devices. `kernel` can be exchanged, so that the rest is tested where there is no GPU."""

    name = "varlen"
    height_step = 1

    def __init__(self, score_dtype: torch.dtype, kernel: Kernel = flash_kernel) -> None:
        self.score_dtype = score_dtype
        self._kernel = kernel
        self._last: _Plan | None = None

    def over_pack(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        plan = self._plan(pack)
        own, own_lse = self._kernel(queries, keys, values, plan.own, plan.own, True)
        if not plan.prefixes:
            return own
        below = slice(plan.first_below, None)
        above = _join_prefixes(plan.prefixes, layer)
        attended, lse = self._kernel(queries[below], *above, plan.below, plan.prefix_runs, False)
        own[below] = merge_by_log_sum_exp(attended, lse, own[below], own_lse[below])
        return own

    def over_last(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        plan = self._plan(pack)
        rows = slice(plan.first_document, None)
        ordered = queries[plan.document_order]
        own, own_lse = self._kernel(ordered, keys[rows], values[rows], plan.single, plan.document_keys, False)
        result = torch.empty_like(own)
        if not plan.document_prefixes:
            result[plan.document_order] = own
            return result
        above = _join_prefixes(plan.document_prefixes, layer)
        attended, lse = self._kernel(ordered, *above, plan.document_groups, plan.document_prefix_runs, False)
        result[plan.document_order] = merge_by_log_sum_exp(attended, lse, own, own_lse)
        return result

    def _plan(self, pack: Pack) -> _Plan:
        if self._last is None or self._last.pack is not pack:
            self._last = make_plan(pack)
        return self._last


def make_plan(pack: Pack) -> _Plan:
    """The boundaries of a pack, moved to its device once."""
    device = pack.ids.device
    spans = [span for group in pack.groups for span in group.spans]
    below = [group for group in pack.groups if group.prefix is not None]
    last = [group for group in below if group.owner is None]
    order = sorted(range(len(pack.documents)), key=lambda number: pack.documents[number].span.start)
    documents: list[Document] = [pack.documents[number] for number in order]
    return _Plan(
        pack=pack,
        own=_runs([span.stop - span.start for span in spans], device),
        first_below=below[0].start if below else len(pack.ids),
        below=_runs([group.stop - group.start for group in below], device),
        prefixes=_prefixes(below),
        prefix_runs=_runs([prefix.length for prefix in _prefixes(below)], device),
        first_document=documents[0].span.start,
        document_order=torch.tensor(order, device=device),
        document_keys=_runs([document.span.stop - document.span.start for document in documents], device),
        document_groups=_runs([len(group.spans) for group in last], device),
        document_prefixes=_prefixes(last),
        document_prefix_runs=_runs([prefix.length for prefix in _prefixes(last)], device),
        single=_runs([1] * len(documents), device),
    )


def _prefixes(groups: Sequence[Group]) -> tuple[Prefix, ...]:
    return tuple(group.prefix for group in groups if group.prefix is not None)


def _runs(lengths: Sequence[int], device: torch.device) -> Runs:
    bounds = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)
    return Runs(bounds, max(lengths, default=0))


def _join_prefixes(prefixes: Sequence[Prefix], layer: int) -> tuple[Tensor, Tensor]:
    stored = [prefix.layers[layer] for prefix in prefixes]
    return torch.cat([keys for keys, _ in stored]), torch.cat([values for _, values in stored])
