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
ZERO = 128  # what stands for 0 among the activations: unsigned is what every processor's int8 products take
# Bytes of an element times rows through the wide layers at once: products of this height stay in the cache until they
# are rescaled.
INT8_WIDE_BYTES = 2048
SMALLEST_SCALE = 1e-12  # a row of zeros divides by this
PROBE_IN, PROBE_OUT = 256, 64


@dataclass(frozen=True, slots=True)
class QuantizedRows:
    """(`values` − ZERO) × `scale`: uint8 [tokens, in] and float32 [tokens, 1]."""

    values: Tensor
    scale: Tensor


def quantize_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Values and the scale of each row, as in `QuantizedRows`."""
    wide = rows.float()
    scale = scale_of_rows(wide)
    return ((wide / scale).round() + ZERO).to(torch.uint8), scale


def scale_of_rows(rows: Tensor) -> Tensor:
    """What divides each row into -127 to 127, [rows, 1]."""
    return (rows.abs().amax(-1, keepdim=True) / LARGEST).clamp_min(SMALLEST_SCALE)


def rescale(product: Tensor, scale: Tensor) -> Tensor:
    """The product of unscaled rows as that of the rows."""
    return (product.float() * scale).to(product.dtype)


def rescale_silu(product: Tensor, scale: Tensor) -> Tensor:
    return F.silu(product.float() * scale).to(product.dtype)


def rescale_multiply(product: Tensor, scale: Tensor, other: Tensor) -> Tensor:
    return (product.float() * scale * other.float()).to(product.dtype)


def rescale_add(product: Tensor, scale: Tensor, other: Tensor) -> Tensor:
    return (product.float() * scale + other.float()).to(product.dtype)


@dataclass(frozen=True)
class Int8Steps:
    """The work around the products, plain or compiled."""

    quantize: Callable[[Tensor], tuple[Tensor, Tensor]] = quantize_rows
    rescale: Callable[[Tensor, Tensor], Tensor] = rescale
    silu: Callable[[Tensor, Tensor], Tensor] = rescale_silu
    multiply: Callable[[Tensor, Tensor, Tensor], Tensor] = rescale_multiply
    add: Callable[[Tensor, Tensor, Tensor], Tensor] = rescale_add


def compile_int8_steps() -> Int8Steps:
    """Each step as one pass over memory: not compiled, they cost what the int8 products gain."""
    return Int8Steps(
        compile_rows(quantize_rows),
        compile_rows(rescale),
        compile_rows(rescale_silu),
        compile_rows(rescale_multiply),
        compile_rows(rescale_add),
    )


class Int8Product:
    """Unscaled rows times a quantised weight matrix [out, in], by oneDNN: summed in int32, as numbers of `dtype`."""

    def __init__(self, weight: Tensor, dtype: torch.dtype, expected_rows: int) -> None:
        scale = scale_of_rows(weight.float())
        values = (weight.float() / scale).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(values, [expected_rows, weight.shape[1]])
        self._scale = scale.flatten()
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)
        self._dtype = dtype

    def __call__(self, values: Tensor) -> Tensor:
        """`values` as in `QuantizedRows`."""
        result: Tensor = torch.ops.onednn.qlinear_pointwise(
            values, 1.0, ZERO, self._weight, self._scale, self._zeros, None, 1.0, 0, self._dtype, "none", [], ""
        )
        return result


class Int8Linear:
    """A quantised weight matrix; results have the dtype of the weight it was made from."""

    def __init__(self, weight: Tensor, steps: Int8Steps, expected_rows: int) -> None:
        self._multiply = Int8Product(weight, weight.dtype, expected_rows)
        self._steps = steps

    def prepare(self, rows: Tensor) -> QuantizedRows:
        return QuantizedRows(*self._steps.quantize(rows))

    def apply(self, rows: QuantizedRows) -> Tensor:
        return self._steps.rescale(self._multiply(rows.values), rows.scale)

    def apply_silu(self, rows: QuantizedRows) -> Tensor:
        return self._steps.silu(self._multiply(rows.values), rows.scale)

    def apply_multiply(self, rows: QuantizedRows, other: Tensor) -> Tensor:
        return self._steps.multiply(self._multiply(rows.values), rows.scale, other)

    def apply_add(self, rows: QuantizedRows, other: Tensor) -> Tensor:
        return self._steps.add(self._multiply(rows.values), rows.scale, other)


def wide_rows(dtype: torch.dtype) -> int:
    """How many rows go through the wide layers at once where results have this dtype."""
    return INT8_WIDE_BYTES // dtype.itemsize


def has_exact_int8() -> bool:
    """Whether this processor's int8 products are exact: older ones saturate at 16 bits half-way."""
    values = torch.full((2, PROBE_IN), 255, dtype=torch.uint8)
    weight = torch.full((PROBE_OUT, PROBE_IN), LARGEST)
    try:
        found = Int8Product(weight, torch.float32, len(values))(values)
    except RuntimeError:  # no such product in this build of torch
        return False
    return bool((found == (255 - ZERO) * LARGEST * PROBE_IN).all())
