"""Attention of a pack: every run over its shared prefix and, causally, over itself.

Queries are [tokens, heads, size]; keys and values are [tokens, key-value heads, size], each serving
heads / key-value heads query heads. Queries and keys come rotated, queries scaled. Nothing is padded.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from reranking.qwen_pack import Pack, Prefix, Span
from reranking.qwen_varlen import VarlenAttention

# Query rows at once: what lies above the causal diagonal is computed only inside a block of this height.
BLOCK_ROWS = 64
FLASH_ROWS = 512
PROBE_ROWS, PROBE_HEADS, PROBE_SIZE, PROBE_TRIES = 256, 16, 128, 5


class Attention(Protocol):
    """How a device attends. All results are [rows, heads, size], in the dtype of the values.

    `score_dtype` is the dtype in which queries and keys are wanted, `height_step` what the number of rows is to be a
    multiple of.
    """

    @property
    def score_dtype(self) -> torch.dtype: ...

    @property
    def height_step(self) -> int: ...

    def over_pack(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        """Of all rows; more than the pack's fill it up. The prefixes of `layer` have been stored."""
        ...

    def over_last(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        """Of the documents' last tokens alone: `queries` is [documents, heads, size]."""
        ...


def choose_attention(device: torch.device, dtype: torch.dtype) -> Attention:
    """Flash attention for a GPU in half precision; on a CPU what a probe of some milliseconds finds faster."""
    if device.type == "cuda" and dtype in {torch.bfloat16, torch.float16} and has_flash_kernel(device):
        return VarlenAttention(dtype)
    if device.type == "cpu" and dtype is torch.bfloat16:
        return min(ProductAttention(), FlashAttention(dtype), key=seconds_of_probe)
    return ProductAttention()


def has_flash_kernel(device: torch.device) -> bool:
    """Whether torch's flash attention runs on this GPU: from Ampere on."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


class RunAttention(ABC):
    """Run after run, each over its prefix and itself; how one run attends is left open."""

    score_dtype: torch.dtype
    # oneDNN prepares a product for each height it meets: with AMX some 15 ms each, hundreds a lookup while all are new.
    height_step = 16

    def over_pack(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        result = torch.empty(queries.shape, dtype=values.dtype, device=values.device)
        result[len(pack.ids) :] = 0  # rows that fill the pack up
        for group in pack.groups:
            for span in group.spans:
                seen = _join_prefix(keys, values, span, group.prefix, layer)
                self.attend_run(queries[span.start : span.stop], *seen, result[span.start : span.stop])
        return result

    def over_last(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        result = torch.empty(queries.shape, dtype=values.dtype, device=values.device)
        for number, document in enumerate(pack.documents):
            seen = _join_prefix(keys, values, document.span, document.prefix, layer)
            row = slice(number, number + 1)
            self.attend_run(queries[row], *seen, result[row])
        return result

    @abstractmethod
    def attend_run(self, queries: Tensor, keys: Tensor, values: Tensor, result: Tensor) -> None:
        """Fills `result` [rows, heads, size]. The queries are those of the last keys.

        `keys` and `values` are [key-value heads, prefix and own tokens, size].
        """


class ProductAttention(RunAttention):
    """Block of rows after block of rows, as batched matrix products: the fastest on a CPU without matrix units.

    The queries that share a key-value head are one product, laid below each other. Scores are float32 whatever the
    model's dtype: rounding them to bfloat16 would save 4 % of the time and add a quarter to the error.
    """

    score_dtype = torch.float32

    def __init__(self) -> None:
        self._masks: dict[int, Tensor] = {}

    def attend_run(self, queries: Tensor, keys: Tensor, values: Tensor, result: Tensor) -> None:
        shared = queries.shape[1] // keys.shape[0]
        mask = self._mask(shared, queries.device)
        above = keys.shape[1] - len(queries)
        for start in range(0, len(queries), BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, len(queries))
            seen = above + stop
            rows = stop - start
            result[start:stop] = _attend(
                queries[start:stop], keys[:, :seen], values[:, :seen], mask[: rows * shared, :rows]
            )

    def _mask(self, shared: int, device: torch.device) -> Tensor:
        """Added to a block's own square: minus infinity where a key comes after the query."""
        if shared not in self._masks:
            row = torch.arange(BLOCK_ROWS * shared, device=device).div(shared, rounding_mode="floor")
            later = torch.arange(BLOCK_ROWS, device=device)[None, :] > row[:, None]
            self._masks[shared] = torch.zeros(later.shape, device=device).masked_fill_(later, float("-inf"))
        return self._masks[shared]


class FlashAttention(RunAttention):
    """torch's fused kernel for CPUs: scores stay float32 in the cache. The fastest where there are matrix units (AMX).

    Its own causal flag takes no prefix, so it gets a mask; long runs go through it in blocks, which see no later keys.
    """

    def __init__(self, score_dtype: torch.dtype) -> None:
        self.score_dtype = score_dtype
        self._mask = torch.empty(0, 0)

    def attend_run(self, queries: Tensor, keys: Tensor, values: Tensor, result: Tensor) -> None:
        above = keys.shape[1] - len(queries)
        for start in range(0, len(queries), FLASH_ROWS):
            stop = min(start + FLASH_ROWS, len(queries))
            seen = above + stop
            attended, _ = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                queries[start:stop].transpose(0, 1).unsqueeze(0),
                keys[None, :, :seen],
                values[None, :, :seen],
                attn_mask=self._mask_of(stop - start, seen),
                scale=1.0,  # queries come scaled
            )
            result[start:stop] = attended[0].transpose(0, 1)

    def _mask_of(self, rows: int, seen: int) -> Tensor:
        """[rows, seen]: zeros, minus infinity where a key comes after the query; a corner of one that is kept.

        Rows count from the bottom, keys from the right, so that the last row sees all.
        """
        if self._mask.shape[1] < seen:
            width = 2 * seen
            later = torch.ones(FLASH_ROWS, width, dtype=torch.bool).triu(width - FLASH_ROWS + 1)
            self._mask = torch.zeros(later.shape, dtype=self.score_dtype).masked_fill_(later, float("-inf"))
        return self._mask[FLASH_ROWS - rows :, -seen:]


def seconds_of_probe(attention: RunAttention) -> float:
    """What a run of ordinary length takes at the 0.6B model's heads."""
    queries = torch.ones(PROBE_ROWS, PROBE_HEADS, PROBE_SIZE, dtype=attention.score_dtype)
    keys = torch.ones(PROBE_ROWS, PROBE_HEADS // 2, PROBE_SIZE, dtype=attention.score_dtype).transpose(0, 1)
    values = keys.to(torch.bfloat16)
    result = torch.empty(queries.shape, dtype=values.dtype)
    best = float("inf")
    for _ in range(PROBE_TRIES):
        start = time.perf_counter()
        attention.attend_run(queries, keys, values, result)
        best = min(best, time.perf_counter() - start)
    return best


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


def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """[rows, heads, size] over `keys`, `values` [key-value heads, seen, size]; `mask` is for the last keys."""
    rows, heads, size = queries.shape
    groups = keys.shape[0]
    stacked = queries.view(rows, groups, heads // groups, size).transpose(0, 1).reshape(groups, -1, size)
    scores = torch.bmm(stacked, keys.transpose(1, 2))
    scores[:, :, -mask.shape[1] :].add_(mask)
    attended = torch.bmm(torch.softmax(scores, -1).to(values.dtype), values)
    return attended.view(groups, rows, -1, size).transpose(0, 1).reshape(rows, heads, size)
