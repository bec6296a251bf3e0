"""Attention by a kernel of our own (`attention_kernel.cpp`), compiled at start: for CPUs that multiply bfloat16."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from reranking.qwen_compile import COMPILERS, find_compiler
from reranking.qwen_device import choose_height_step
from reranking.qwen_pack import Pack, Prefix, Span

SOURCE = Path(__file__).with_name("attention_kernel.cpp")
OPTIONS = ["-O3", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512bf16"]
COMPILE_SECONDS = 60
BLOCK = 16  # keys that the kernel lays out together
HEAD_STEP = 32  # a head's size is a multiple of it
CHECK_ROWS = 50
LARGEST_ERROR = 0.02  # bfloat16 results of the check are below 2, where its steps are 0.008


class KernelUnavailable(Exception):
    """The kernel does not run here, and why."""


class _Segment(ctypes.Structure):
    """Keys and values of neighbouring tokens, as in the kernel's source."""

    _fields_ = (
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("key_stride", ctypes.c_int64),
        ("value_stride", ctypes.c_int64),
        ("tokens", ctypes.c_int64),
        ("first_block", ctypes.c_int64),
    )


class _Run(ctypes.Structure):
    """Queries and the segments that they see, as in the kernel's source."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("query", "rows", "prefix", "own"))


@dataclass(frozen=True, slots=True)
class _Seeing:
    """`rows` queries from row `query` on, those of the last tokens of `span`; they see `prefix` as well."""

    query: int
    rows: int
    span: Span
    prefix: Prefix | None


class KernelAttention:
    """A pack in one call: keys and values laid out once, prefixes shared, scores and sums float32 in the cache.

    `head_size` is the model's. One call at a time. Raises KernelUnavailable where processor, compiler or head size do
    not fit, or a check against torch's attention fails.
    """

    name = "kernel"
    score_dtype = torch.bfloat16

    @property
    def height_step(self) -> int:
        return choose_height_step()

    def __init__(self, head_size: int) -> None:
        if head_size % HEAD_STEP:
            raise KernelUnavailable(f"heads of {head_size} are no multiple of {HEAD_STEP}")
        if not torch.cpu._is_avx512_bf16_supported():
            raise KernelUnavailable("the processor has no AVX-512 BF16")
        self._attend_runs = _compile(head_size)
        self._kept = torch.empty((2, 0), dtype=torch.bfloat16)
        self._check(head_size)

    def over_pack(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        runs = [
            _Seeing(span.start, span.stop - span.start, span, group.prefix)
            for group in pack.groups
            for span in group.spans
        ]
        result = self._attend(queries, keys, values, runs, layer)
        result[len(pack.ids) :] = 0  # rows that fill the pack up
        return result

    def over_last(self, queries: Tensor, keys: Tensor, values: Tensor, pack: Pack, layer: int) -> Tensor:
        runs = [_Seeing(number, 1, document.span, document.prefix) for number, document in enumerate(pack.documents)]
        return self._attend(queries, keys, values, runs, layer)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, runs: Sequence[_Seeing], layer: int) -> Tensor:
        queries = queries.contiguous()
        result = torch.empty_like(queries)
        prefixes = list(dict.fromkeys(run.prefix for run in runs if run.prefix is not None))
        place = {prefix: index for index, prefix in enumerate(prefixes)}
        seen = [prefix.layers[layer] for prefix in prefixes]
        seen += [(keys[run.span.start : run.span.stop], values[run.span.start : run.span.stop]) for run in runs]
        segments, blocks = _list_segments(seen)
        table = (_Run * len(runs))()
        for index, (row, run) in enumerate(zip(table, runs, strict=True)):
            row.query, row.rows, row.own = run.query, run.rows, len(prefixes) + index
            row.prefix = -1 if run.prefix is None else place[run.prefix]
        room = self._room(blocks * BLOCK * keys.shape[2])
        self._attend_runs(
            *(_pointer(queries), _pointer(result), segments, len(segments), table, len(table)),
            *(queries.shape[1], keys.shape[1], room[0].data_ptr(), room[1].data_ptr(), torch.get_num_threads()),
        )
        return result

    def _room(self, elements: int) -> Tensor:
        """[2, elements] or more, kept for the next layer: fresh memory costs a sixth of the kernel's time."""
        if self._kept.shape[1] < elements:
            self._kept = torch.empty((2, elements), dtype=torch.bfloat16)
        return self._kept

    def _check(self, head_size: int) -> None:
        """What a compiler got wrong must not become a wrong order."""
        random = torch.Generator().manual_seed(0)
        queries, keys, values = torch.randn(3, CHECK_ROWS, 2, head_size, generator=random).clamp_(-1, 1).bfloat16()
        found = self._attend(queries, keys, values, [_Seeing(0, CHECK_ROWS, Span(0, CHECK_ROWS), None)], 0)
        first, second, third = (tensor.float().transpose(0, 1) for tensor in (queries, keys, values))
        expected = F.scaled_dot_product_attention(first, second, third, is_causal=True, scale=1.0)
        error = (found.float() - expected.transpose(0, 1)).abs().max().item()
        if not error <= LARGEST_ERROR:
            raise KernelUnavailable(f"the compiled kernel is wrong by {error}")


def _list_segments(seen: Sequence[tuple[Tensor, Tensor]]) -> tuple[ctypes.Array[_Segment], int]:
    """Keys and values, each [tokens, heads, size], as the kernel takes them, and the blocks that they fill."""
    segments, blocks = (_Segment * len(seen))(), 0
    for segment, (keys, values) in zip(segments, seen, strict=True):
        segment.keys, segment.values = _pointer(keys), _pointer(values)
        segment.key_stride, segment.value_stride = keys.stride(0), values.stride(0)
        segment.tokens, segment.first_block = len(keys), blocks
        blocks += keys.shape[1] * -(-len(keys) // BLOCK)
    return segments, blocks


def _pointer(rows: Tensor) -> int:
    """Of rows whose heads lie side by side. The kernel would read anything: raises ValueError."""
    if rows.dtype is not torch.bfloat16 or rows.stride()[1:] != (rows.shape[2], 1):
        raise ValueError(f"the kernel does not read {rows.dtype} with strides {rows.stride()}")
    return rows.data_ptr()


@lru_cache
def _compile(head_size: int) -> ctypes._NamedFuncPointer:
    """The kernel for heads of this size. The library is loaded, its file is not kept. Raises KernelUnavailable."""
    compiler = find_compiler("cpu")
    if compiler is None:
        raise KernelUnavailable(f"none of the compilers {', '.join(COMPILERS['cpu'])} is installed")
    try:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "attention_kernel.so"
            command = [compiler, *OPTIONS, f"-DHEAD_SIZE={head_size}", str(SOURCE), "-o", str(library)]
            subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_SECONDS)  # noqa: S603 - our source
            attend_runs = ctypes.CDLL(str(library)).attend_runs
    except (OSError, subprocess.SubprocessError) as error:
        raise KernelUnavailable(f"the kernel cannot be compiled: {error}") from error
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    attend_runs.argtypes = [pointer, pointer, pointer, count, pointer, *[count] * 3, pointer, pointer, ctypes.c_int]
    attend_runs.restype = None
    return attend_runs
