"""torch.compile for the work between the products: several passes over memory become one."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

logger = logging.getLogger(__name__)

# By what they compile for: torch.compile writes C++ for a CPU, C for a GPU's launchers.
COMPILERS = {"cpu": ("g++", "c++", "clang++"), "cuda": ("gcc", "cc", "clang")}
WORTH_COMPILING = 100_000_000  # weights
# Fewer rows than this run plain: they cost nothing, and a compiler specialises on lengths of one.
FEWEST_ROWS = 16

Result = TypeVar("Result")


def find_compiler(device_type: str) -> str | None:
    """Where the first of the device's compilers lies that is installed."""
    return next(filter(None, map(shutil.which, COMPILERS[device_type])), None)


def can_compile(device: torch.device) -> bool:
    """Whether torch.compile can work here."""
    return find_compiler("cpu" if device.type == "cpu" else "cuda") is not None


def is_worth_compiling(model: torch.nn.Module) -> bool:
    """Compiling takes seconds: a model that computes in milliseconds does not earn them back."""
    return sum(weight.numel() for weight in model.parameters()) > WORTH_COMPILING


class CompiledRows(Generic[Result]):
    """A function of rows, compiled for any number of them; plain, and said so, where compiling fails.

    Only the number of rows is left open, of all arguments with two and more dimensions: loops over sizes that are known
    become vector instructions, in half precision too.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._compiled: Callable[..., Result] | None = torch.compile(function, dynamic=False)

    @property
    def is_compiled(self) -> bool:
        """False once compiling has failed."""
        return self._compiled is not None

    def __call__(self, rows: torch.Tensor, *arguments: Any) -> Result:
        from torch._dynamo.exc import TorchDynamoException

        if self._compiled is None or len(rows) < FEWEST_ROWS:
            return self._function(rows, *arguments)
        for argument in (rows, *arguments):
            if isinstance(argument, torch.Tensor) and argument.ndim > 1:
                torch._dynamo.maybe_mark_dynamic(argument, 0)
        try:
            return self._compiled(rows, *arguments)
        except TorchDynamoException as error:
            logger.warning("torch.compile does not work here, going on without: %s", error)
            self._compiled = None
            return self._function(rows, *arguments)


def compile_rows(function: Callable[..., Result]) -> CompiledRows[Result]:
    return CompiledRows(function)


def are_compiled(*functions: Callable[..., Any]) -> bool:
    """Whether all of them run compiled, as far as is known yet."""
    return all(isinstance(function, CompiledRows) and function.is_compiled for function in functions)
