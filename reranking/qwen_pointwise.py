"""The work between the matrix products: norms and rotary positions, in float32 inside, plain or compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from reranking.qwen_compile import compile_rows


@dataclass(frozen=True)
class RotaryTable:
    """Cosines and sines by position, float32 [positions, head size / 2]."""

    cosine: Tensor
    sine: Tensor

    def look_up(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """[tokens, 1, head size / 2] each, to be used for all heads."""
        return self.cosine[positions].unsqueeze(1), self.sine[positions].unsqueeze(1)


def norm_rows(rows: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMS norm over the last dimension; float32 inside, the input's dtype outside."""
    wide = rows.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * scale * weight.float()).to(rows.dtype)


def norm_rotate(
    heads: Tensor, weight: Tensor, cosine: Tensor, sine: Tensor, epsilon: float, dtype: torch.dtype
) -> Tensor:
    """RMS norm of each head and its rotary position, as `dtype`. `heads` is [tokens, heads, size]."""
    wide = heads.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    first, second = (wide * scale * weight.float()).chunk(2, dim=-1)
    rotated = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return rotated.to(dtype)


@dataclass(frozen=True)
class Pointwise:
    """The functions as a device runs them."""

    norm: Callable[[Tensor, Tensor, float], Tensor] = norm_rows
    norm_rotate: Callable[[Tensor, Tensor, Tensor, Tensor, float, torch.dtype], Tensor] = norm_rotate


def compile_pointwise() -> Pointwise:
    """Each function as one pass over memory. Shapes are dynamic, so a new length compiles nothing."""
    return Pointwise(compile_rows(norm_rows), compile_rows(norm_rotate))
