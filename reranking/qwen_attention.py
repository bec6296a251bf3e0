"""Attention of a pack: every run over its shared prefix and, causally, over itself.

Queries are [tokens, heads, size]; keys and values are [tokens, key-value heads, size], each serving
heads / key-value heads query heads. Queries and keys come rotated, queries scaled. Nothing is padded.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from reranking.qwen_device import best_seconds, choose_height_step
from reranking.qwen_kernel import KernelAttention, KernelUnavailable
from reranking.qwen_pack import Pack, Prefix, Span, build_pack
from reranking.qwen_varlen import VarlenAttention

logger = logging.getLogger(__name__)

PROBE_ROWS, PROBE_HEADS = 256, 16


class Attention(Protocol):
    """How a device attends. All results are [rows, heads, size], in the dtype of the values.

    `name` is for the status; `score_dtype` is the dtype in which queries and keys are wanted, `height_step` what the
    number of rows is to be a multiple of.
    """

    @property
    def name(self) -> str: ...

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


def choose_attention(device: torch.device, dtype: torch.dtype, head_size: int) -> Attention:
    """Flash attention for a GPU in half precision; on a CPU what a probe of some milliseconds finds fastest."""
    if device.type == "cuda" and dtype in {torch.bfloat16, torch.float16} and has_flash_kernel(device):
        return VarlenAttention(dtype)
    if device.type == "cpu" and dtype is torch.bfloat16:
        return min(_ways_in_bfloat16(head_size), key=lambda way: seconds_of_probe(way, head_size))
    return ProductAttention()


def _ways_in_bfloat16(head_size: int) -> Iterator[Attention]:
    yield ProductAttention()
    yield FlashAttention(torch.bfloat16)
    try:
        yield KernelAttention(head_size)
    except KernelUnavailable as reason:
        logger.info("attention without a kernel of its own: %s", reason)


def has_flash_kernel(device: torch.device) -> bool:
    """Whether torch's flash attention runs on this GPU: from Ampere on."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


class RunAttention(ABC):
    """Run after run, block of rows after block of rows, each over what it may see; how a block attends is left open."""

    name: str
    score_dtype: torch.dtype
    # Query rows at once: what lies above the causal diagonal is computed only inside a block of this height.
    block_rows: int

    @property
    def height_step(self) -> int:
        return choose_height_step()

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

    def attend_run(self, queries: Tensor, keys: Tensor, values: Tensor, result: Tensor) -> None:
        """Fills `result` [rows, heads, size]. The queries are those of the last keys.

        `keys` and `values` are [key-value heads, prefix and own tokens, size].
        """
        above = keys.shape[1] - len(queries)
        for start in range(0, len(queries), self.block_rows):
            stop = min(start + self.block_rows, len(queries))
            seen = above + stop
            result[start:stop] = self.attend_block(queries[start:stop], keys[:, :seen], values[:, :seen])

    @abstractmethod
    def attend_block(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """[rows, heads, size]. The queries are those of the last keys; what lies above a block's diagonal is masked."""


class ProductAttention(RunAttention):
    """Block of rows after block of rows, as batched matrix products: the fastest on a CPU without matrix units.

    The queries that share a key-value head are one product, laid below each other. Scores are float32 whatever the
    model's dtype: rounding them to bfloat16 would save 4 % of the time and add a quarter to the error.
    """

    name = "products"
    score_dtype = torch.float32
    block_rows = 64

    def __init__(self) -> None:
        self._masks: dict[int, Tensor] = {}

    def attend_block(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows, shared = len(queries), queries.shape[1] // keys.shape[0]
        return _attend(queries, keys, values, self._mask(shared, queries.device)[: rows * shared, :rows])

    def _mask(self, shared: int, device: torch.device) -> Tensor:
        """Added to a block's own square: minus infinity where a key comes after the query."""
        if shared not in self._masks:
            row = torch.arange(self.block_rows * shared, device=device).div(shared, rounding_mode="floor")
            later = torch.arange(self.block_rows, device=device)[None, :] > row[:, None]
            self._masks[shared] = torch.zeros(later.shape, device=device).masked_fill_(later, float("-inf"))
        return self._masks[shared]


class FlashAttention(RunAttention):
    """torch's fused kernel for CPUs: scores stay float32 in the cache. The fastest where there are matrix units (AMX).

    Its own causal flag takes no prefix, so it gets a mask; long runs go through it in blocks, which see no later keys.
    """

    name = "flash"
    block_rows = 512

    def __init__(self, score_dtype: torch.dtype) -> None:
        self.score_dtype = score_dtype
        self._mask = torch.empty(0, 0)

    def attend_block(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        attended: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries.transpose(0, 1).unsqueeze(0),
            keys.unsqueeze(0),
            values.unsqueeze(0),
            attn_mask=self._mask_of(len(queries), keys.shape[1]),
            scale=1.0,  # queries come scaled
        )[0]
        return attended[0].transpose(0, 1)

    def _mask_of(self, rows: int, seen: int) -> Tensor:
        """[rows, seen]: zeros, minus infinity where a key comes after the query; a corner of one that is kept.

        Rows count from the bottom, keys from the right, so that the last row sees all.
        """
        if self._mask.shape[1] < seen:
            width = 2 * seen
            later = torch.ones(self.block_rows, width, dtype=torch.bool).triu(width - self.block_rows + 1)
            self._mask = torch.zeros(later.shape, dtype=self.score_dtype).masked_fill_(later, float("-inf"))
        return self._mask[self.block_rows - rows :, -seen:]


def seconds_of_probe(attention: Attention, head_size: int) -> float:
    """What a run of ordinary length takes at the 0.6B model's heads."""
    pack = build_pack([([0] * PROBE_ROWS, None)], torch.device("cpu"))
    queries = torch.ones(PROBE_ROWS, PROBE_HEADS, head_size, dtype=attention.score_dtype)
    keys = torch.ones(PROBE_ROWS, PROBE_HEADS // 2, head_size, dtype=attention.score_dtype)
    values = keys.to(torch.bfloat16)
    return best_seconds(lambda: attention.over_pack(queries, keys, values, pack, 0))


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
