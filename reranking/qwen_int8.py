"""Int8 products: weights scaled per output row, activations per token as they come (dynamic).

A token's scale is its own, so a document's score never depends on its neighbours in the batch; scaling per tensor
would move it. The two output rows, embeddings, norms and attention are not quantised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reranking.qwen_compile import compile_rows

LARGEST = 127.0
# Rows through the wide layers at once: int32 products of this height stay in the cache until they are rescaled.
INT8_WIDE_ROWS = 512
SMALLEST_SCALE = 1e-12  # a row of zeros divides by this


@dataclass(frozen=True, slots=True)
class QuantizedRows:
    """`values` int8 [tokens, in] times `scale` float32 [tokens, 1]."""

    values: Tensor
    scale: Tensor


def quantize_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Int8 values and the scale of each row."""
    wide = rows.float()
    scale = (wide.abs().amax(-1, keepdim=True) / LARGEST).clamp_min(SMALLEST_SCALE)
    return (wide / scale).round().to(torch.int8), scale


def rescale(product: Tensor, row_scale: Tensor, column_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The int32 product as numbers."""
    return (product.float() * row_scale * column_scale).to(dtype)


def rescale_silu(product: Tensor, row_scale: Tensor, column_scale: Tensor, dtype: torch.dtype) -> Tensor:
    return F.silu(product.float() * row_scale * column_scale).to(dtype)


def rescale_multiply(product: Tensor, row_scale: Tensor, column_scale: Tensor, other: Tensor) -> Tensor:
    return (product.float() * row_scale * column_scale * other.float()).to(other.dtype)


def rescale_add(product: Tensor, row_scale: Tensor, column_scale: Tensor, other: Tensor) -> Tensor:
    return (product.float() * row_scale * column_scale + other.float()).to(other.dtype)


@dataclass(frozen=True)
class Int8Steps:
    """The work around the products, plain or compiled."""

    quantize: Callable[[Tensor], tuple[Tensor, Tensor]] = quantize_rows
    rescale: Callable[[Tensor, Tensor, Tensor, torch.dtype], Tensor] = rescale
    silu: Callable[[Tensor, Tensor, Tensor, torch.dtype], Tensor] = rescale_silu
    multiply: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = rescale_multiply
    add: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = rescale_add


def compile_int8_steps() -> Int8Steps:
    """Each step as one pass over memory: not compiled, they cost what the int8 products gain."""
    return Int8Steps(
        compile_rows(quantize_rows),
        compile_rows(rescale),
        compile_rows(rescale_silu),
        compile_rows(rescale_multiply),
        compile_rows(rescale_add),
    )


class Int8Linear:
    """A quantised weight matrix; results have the dtype of the weight it was made from."""

    def __init__(self, weight: Tensor, steps: Int8Steps) -> None:
        values, scale = quantize_rows(weight)
        self._weight = values.t().contiguous()
        self._scale = scale.flatten()
        self._dtype = weight.dtype
        self._steps = steps

    def prepare(self, rows: Tensor) -> QuantizedRows:
        return QuantizedRows(*self._steps.quantize(rows))

    def apply(self, rows: QuantizedRows) -> Tensor:
        return self._steps.rescale(self._multiply(rows), rows.scale, self._scale, self._dtype)

    def apply_silu(self, rows: QuantizedRows) -> Tensor:
        return self._steps.silu(self._multiply(rows), rows.scale, self._scale, self._dtype)

    def apply_multiply(self, rows: QuantizedRows, other: Tensor) -> Tensor:
        return self._steps.multiply(self._multiply(rows), rows.scale, self._scale, other)

    def apply_add(self, rows: QuantizedRows, other: Tensor) -> Tensor:
        return self._steps.add(self._multiply(rows), rows.scale, self._scale, other)

    def _multiply(self, rows: QuantizedRows) -> Tensor:
        return torch._int_mm(rows.values, self._weight)
