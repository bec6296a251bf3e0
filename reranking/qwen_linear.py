"""The matrix products of a layer, with what follows each product done in the same pass where the library can.

Inputs are rows [tokens, in]; weights are [out, in] as in a checkpoint; no layer of Qwen3 has a bias.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Linear(Protocol):
    """One weight matrix. `rows` is what `prepare` made of [tokens, in]; results are [tokens, out]."""

    def prepare(self, rows: Tensor) -> Any:
        """The form the product takes its input in; matrices of one kind share it."""
        ...

    def apply(self, rows: Any) -> Tensor: ...

    def apply_silu(self, rows: Any) -> Tensor:
        """silu(rows · Wᵀ)"""
        ...

    def apply_multiply(self, rows: Any, other: Tensor) -> Tensor:
        """(rows · Wᵀ) × other"""
        ...

    def apply_add(self, rows: Any, other: Tensor) -> Tensor:
        """(rows · Wᵀ) + other"""
        ...


class PlainLinear:
    """The library's own product; what runs on a GPU."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.contiguous()

    def prepare(self, rows: Tensor) -> Tensor:
        return rows

    def apply(self, rows: Tensor) -> Tensor:
        return F.linear(rows, self._weight)

    def apply_silu(self, rows: Tensor) -> Tensor:
        return F.silu(self.apply(rows), inplace=True)

    def apply_multiply(self, rows: Tensor, other: Tensor) -> Tensor:
        return self.apply(rows).mul_(other)

    def apply_add(self, rows: Tensor, other: Tensor) -> Tensor:
        return torch.addmm(other, rows, self._weight.t())


class PackedLinear:
    """oneDNN on a CPU: the weight is laid out once, and what follows the product is done while it is in registers."""

    def __init__(self, weight: Tensor, expected_rows: int) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), expected_rows)

    def prepare(self, rows: Tensor) -> Tensor:
        return rows

    def apply(self, rows: Tensor) -> Tensor:
        return self._run(rows, "none")

    def apply_silu(self, rows: Tensor) -> Tensor:
        return self._run(rows, "swish")

    def apply_multiply(self, rows: Tensor, other: Tensor) -> Tensor:
        return self._run_with(rows, other, "mul")

    def apply_add(self, rows: Tensor, other: Tensor) -> Tensor:
        return self._run_with(rows, other, "add")

    def _run(self, rows: Tensor, after: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, None, after, [], "")
        return result

    def _run_with(self, rows: Tensor, other: Tensor, after: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, other, self._weight, None, after)
        return result


def can_pack(weight: Tensor) -> bool:
    """Whether PackedLinear takes this weight on this machine."""
    if weight.device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    if weight.dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype is torch.float32


def make_linear(weight: Tensor, expected_rows: int) -> Linear:
    """The fastest exact product for this weight on its device."""
    return PackedLinear(weight, expected_rows) if can_pack(weight) else PlainLinear(weight)
