"""The work between the matrix products: norms and rotary positions, in float32 inside, plain or compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from reranking.qwen_compile import compile_rows


@dataclass(frozen=True)
class RotaryTable:
    """The rotation of every position, float32 [positions, 2, 2, head size / 2].

    The halves of a head turn together: [:, i, j] is what the old half j adds to the new half i.
    """

    rotations: Tensor

    @classmethod
    def from_cosine_sine(cls, cosine: Tensor, sine: Tensor) -> RotaryTable:
        """Both [positions, head size / 2]."""
        return cls(torch.stack((cosine, -sine, sine, cosine), dim=1).reshape(len(cosine), 2, 2, -1))

    def look_up(self, positions: Tensor) -> Tensor:
        """[tokens, 1, 2, 2, head size / 2], to be used for all heads."""
        return self.rotations[positions].unsqueeze(1)


def norm_rows(rows: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMS norm over the last dimension; float32 inside, the input's dtype outside."""
    wide = rows.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * scale * weight.float()).to(rows.dtype)


def norm_rotate(heads: Tensor, weight: Tensor, rotations: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
    """RMS norm of each head and its rotary position, as `dtype`. `heads` is [tokens, heads, size]."""
    halves = heads.reshape(*heads.shape[:-1], 2, -1).float()
    scale = torch.rsqrt(halves.square().mean((-2, -1), keepdim=True) + epsilon)
    normed = halves * scale * weight.float().view(2, -1)
    return (normed.unsqueeze(-3) * rotations).sum(-2).flatten(-2).to(dtype)


@dataclass(frozen=True)
class Pointwise:
    """The functions as a device runs them."""

    norm: Callable[[Tensor, Tensor, float], Tensor] = norm_rows
    norm_rotate: Callable[[Tensor, Tensor, Tensor, float, torch.dtype], Tensor] = norm_rotate


def compile_pointwise() -> Pointwise:
    """Each function as one pass over memory. Another number of rows compiles nothing."""
    return Pointwise(compile_rows(norm_rows), compile_rows(norm_rotate))
