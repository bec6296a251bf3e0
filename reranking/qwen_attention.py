"""Attention of a pack: every run over its shared prefix and, causally, over itself.

Queries are [tokens, heads, size]; keys and values are [tokens, key-value heads, size], each serving
heads / key-value heads query heads. Queries and keys come rotated, queries scaled. Nothing is padded.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from reranking.qwen_pack import Pack, Prefix, Span
from reranking.qwen_varlen import VarlenAttention

# Query rows at once: what lies above the causal diagonal is computed only inside a block of this height.
BLOCK_ROWS = 64


class Attention(Protocol):
    """How a device attends. All results are [rows, heads, size], in the dtype of the values.

    `score_dtype` is the dtype in which queries and keys are wanted.
    """

    @property
    def score_dtype(self) -> torch.dtype: ...

    def over_pack(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        """Of all rows. The prefixes of `layer` have been stored."""
        ...

    def over_last(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        """Of the documents' last tokens alone: `queries` is [documents, heads, size]."""
        ...


def choose_attention(device: torch.device, dtype: torch.dtype) -> Attention:
    """Flash attention for a GPU in half precision, else products, which any device and dtype can do."""
    if device.type == "cuda" and dtype in {torch.bfloat16, torch.float16}:
        return VarlenAttention(dtype)
    return ProductAttention()


class ProductAttention:
    """Run after run, block of rows after block of rows, as batched matrix products: what a CPU is fastest at.

    The queries that share a key-value head are one product, laid below each other. Scores are float32 whatever the
    model's dtype: rounding them to bfloat16 would save 4 % of the time and add a quarter to the error.
    """

    score_dtype = torch.float32

    def __init__(self) -> None:
        self._masks: dict[int, Tensor] = {}

    def over_pack(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        result = torch.empty(queries.shape, dtype=values.dtype, device=values.device)
        for group in pack.groups:
            for span in group.spans:
                own_and_above = _join_prefix(keys, values, span, group.prefix, layer)
                self._fill_run(result, queries, *own_and_above, span)
        return result

    def over_last(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        result = torch.empty(queries.shape, dtype=values.dtype, device=values.device)
        for number, document in enumerate(pack.documents):
            seen = _join_prefix(keys, values, document.span, document.prefix, layer)
            result[number] = _attend(queries[number : number + 1], *seen, mask=None)[0]
        return result

    def _fill_run(self, result: Tensor, queries: Tensor, keys: Tensor, values: Tensor, span: Span) -> None:
        """`keys` and `values` are [key-value heads, prefix and own tokens, size]."""
        shared = queries.shape[1] // keys.shape[0]
        mask = self._mask(shared, queries.device)
        above = keys.shape[1] - (span.stop - span.start)
        for start in range(span.start, span.stop, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, span.stop)
            seen = above + stop - span.start
            rows = stop - start
            result[start:stop] = _attend(
                queries[start:stop], keys[:, :seen], values[:, :seen], mask=mask[: rows * shared, :rows]
            )

    def _mask(self, shared: int, device: torch.device) -> Tensor:
        """Added to a block's own square: minus infinity where a key comes after the query."""
        if shared not in self._masks:
            row = torch.arange(BLOCK_ROWS * shared, device=device).div(shared, rounding_mode="floor")
            later = torch.arange(BLOCK_ROWS, device=device)[None, :] > row[:, None]
            self._masks[shared] = torch.zeros(later.shape, device=device).masked_fill_(later, float("-inf"))
        return self._masks[shared]


def _join_prefix(keys: Tensor, values: Tensor, span: Span, prefix: Prefix | None, layer: int) -> tuple[Tensor, Tensor]:
    """Keys and values that a run sees, [key-value heads, tokens, size]."""
    rows = slice(span.start, span.stop)
    if prefix is None:
        return keys[rows].transpose(0, 1), values[rows].transpose(0, 1)
    above_keys, above_values = prefix.layers[layer]
    return (
        torch.cat((above_keys, keys[rows])).transpose(0, 1),
        torch.cat((above_values, values[rows])).transpose(0, 1),
    )


def _attend(queries: Tensor, keys: Tensor, values: Tensor, *, mask: Tensor | None) -> Tensor:
    """[rows, heads, size] over `keys`, `values` [key-value heads, seen, size]; `mask` is for the last keys."""
    rows, heads, size = queries.shape
    groups = keys.shape[0]
    stacked = queries.view(rows, groups, heads // groups, size).transpose(0, 1).reshape(groups, -1, size)
    scores = torch.bmm(stacked, keys.transpose(1, 2))
    if mask is not None:
        scores[:, :, -mask.shape[1] :].add_(mask)
    attended = torch.bmm(torch.softmax(scores, -1).to(values.dtype), values)
    return attended.view(groups, rows, -1, size).transpose(0, 1).reshape(rows, heads, size)
