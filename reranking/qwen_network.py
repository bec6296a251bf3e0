"""The forward pass of Qwen3 over a pack, from token ids to the final rows.

Written out, over the weights that transformers loaded, because packing, shared prefixes and a last layer for the
last tokens alone are what makes it fast; the arithmetic is the architecture's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reranking.qwen_attention import Attention
from reranking.qwen_linear import Linear
from reranking.qwen_pack import Pack
from reranking.qwen_pointwise import Pointwise, RotaryTable, norm_rows

# Rows that go through the wide layers at once: bounds memory, and products of this height are the fastest on a CPU.
WIDE_ROWS = 2048


@dataclass(frozen=True)
class Sizes:
    """Heads and sizes of the architecture."""

    heads: int
    key_value_heads: int
    head_size: int
    epsilon: float


@dataclass(frozen=True)
class Layer:
    """One decoder layer: matrix products ready to use, norm weights [hidden] or [head size]."""

    query: Linear
    key_value: Linear
    output: Linear
    gate: Linear
    up: Linear
    down: Linear
    input_norm: Tensor
    post_norm: Tensor
    query_norm: Tensor
    key_norm: Tensor


@dataclass(frozen=True)
class Network:
    """`embedding` is [vocabulary, hidden]; `final_norm` [hidden]."""

    embedding: Tensor
    layers: tuple[Layer, ...]
    final_norm: Tensor
    rotary: RotaryTable
    sizes: Sizes
    attention: Attention
    pointwise: Pointwise
    wide_rows: int = WIDE_ROWS

    @torch.inference_mode()
    def run(self, pack: Pack) -> Tensor:
        """The normed rows of the documents' last tokens, float32 [documents, hidden]; keeps the new prefixes."""
        try:
            rows = self._run_layers(pack)
        except BaseException:
            for prefix in pack.new_prefixes:
                prefix.forget()
            raise
        for prefix in pack.new_prefixes:
            prefix.computed = True
        return norm_rows(rows.float(), self.final_norm, self.sizes.epsilon)

    def _run_layers(self, pack: Pack) -> Tensor:
        fill_up = (0, -len(pack.ids) % self.attention.height_step)
        rows = self.embedding[F.pad(pack.ids, fill_up)]
        rotations = self.rotary.look_up(F.pad(pack.positions, fill_up))
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            normed = self.pointwise.norm(rows, layer.input_norm, self.sizes.epsilon)
            prepared = layer.query.prepare(normed)
            keys, values = self._keys_values(layer, prepared, rotations)
            _keep_prefixes(pack, keys, values)
            if number == last:  # nothing but the documents' last tokens is read from here on
                kept = pack.last_rows
                rows, prepared, rotations = rows[kept], layer.query.prepare(normed[kept]), rotations[kept]
            attend = self.attention.over_last if number == last else self.attention.over_pack
            attended = attend(self._queries(layer, prepared, rotations), keys, values, pack, number)
            rows = layer.output.apply_add(layer.output.prepare(attended.flatten(1)), rows)
            rows = self._feed_forward(layer, rows)
        return rows

    def _queries(self, layer: Layer, prepared: Any, rotations: Tensor) -> Tensor:
        heads = layer.query.apply(prepared).view(-1, self.sizes.heads, self.sizes.head_size)
        return self._norm_rotate(heads, layer.query_norm, rotations)

    def _keys_values(self, layer: Layer, prepared: Any, rotations: Tensor) -> tuple[Tensor, Tensor]:
        both = layer.key_value.apply(prepared).view(-1, 2, self.sizes.key_value_heads, self.sizes.head_size)
        return self._norm_rotate(both[:, 0], layer.key_norm, rotations), both[:, 1]

    def _norm_rotate(self, heads: Tensor, weight: Tensor, rotations: Tensor) -> Tensor:
        return self.pointwise.norm_rotate(heads, weight, rotations, self.sizes.epsilon, self.attention.score_dtype)

    def _feed_forward(self, layer: Layer, rows: Tensor) -> Tensor:
        if len(rows) <= self.wide_rows:
            return self._feed_rows(layer, rows)
        return torch.cat([self._feed_rows(layer, part) for part in torch.split(rows, self.wide_rows)])

    def _feed_rows(self, layer: Layer, rows: Tensor) -> Tensor:
        prepared = layer.gate.prepare(self.pointwise.norm(rows, layer.post_norm, self.sizes.epsilon))
        wide = layer.up.apply_multiply(prepared, layer.gate.apply_silu(prepared))
        return layer.down.apply_add(layer.down.prepare(wide), rows)


def _keep_prefixes(pack: Pack, keys: Tensor, values: Tensor) -> None:
    for group in pack.groups:
        if group.owner is not None:
            rows = slice(group.start, group.stop)
            group.owner.extend(keys[rows], values[rows])
