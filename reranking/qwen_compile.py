"""torch.compile for the work between the products: several passes over memory become one."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import torch

logger = logging.getLogger(__name__)

WORTH_COMPILING = 100_000_000  # weights
# Fewer rows than this run plain: they cost nothing, and a compiler specialises on lengths of one.
FEWEST_ROWS = 16

Result = TypeVar("Result")


def can_compile(device: torch.device) -> bool:
    """Whether torch.compile can work here: for a CPU it calls a C++ compiler."""
    return device.type != "cpu" or any(map(shutil.which, ("g++", "c++", "clang++")))


def is_worth_compiling(model: torch.nn.Module) -> bool:
    """Compiling takes seconds: a model that computes in milliseconds does not earn them back."""
    return sum(weight.numel() for weight in model.parameters()) > WORTH_COMPILING


def compile_rows(function: Callable[..., Result]) -> Callable[..., Result]:
    """`function` of rows, compiled for any number of them; plain, and said so, where compiling fails."""
    from torch._dynamo.exc import TorchDynamoException

    compiled: Callable[..., Result] | None = torch.compile(function, dynamic=True)

    def run(rows: torch.Tensor, *arguments: Any) -> Result:
        nonlocal compiled
        if compiled is None or len(rows) < FEWEST_ROWS:
            return function(rows, *arguments)
        try:
            return compiled(rows, *arguments)
        except TorchDynamoException as error:
            logger.warning("torch.compile does not work here, going on without: %s", error)
            compiled = None
            return function(rows, *arguments)

    return run
