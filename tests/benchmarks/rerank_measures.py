"""How the reranking benchmark measures: times in turn, the machine's product peak, agreement of orders."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import torch

from reranking.qwen_int8 import Int8Product

# (in, out) of one layer: query, key and value; output; gate and up; down.
SHAPES = ((1024, 4096), (2048, 1024), (1024, 6144), (3072, 1024))
PEAK_ROWS, GPU_PEAK_ROWS = 1024, 16_384


def seconds_of(function: Callable[[], Any]) -> float:
    """Wall time to the end of what a GPU was given; on a CPU with one thread processor time, which others do not
    stretch.
    """
    on_gpu = torch.cuda.is_initialized()
    clock = time.process_time if torch.get_num_threads() == 1 and not on_gpu else time.perf_counter
    if on_gpu:
        torch.cuda.synchronize()
    start = clock()
    function()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def in_turn(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Medians of two functions that take turns."""
    times = [(seconds_of(first), seconds_of(second)) for _ in range(repeats)]
    return statistics.median(time[0] for time in times), statistics.median(time[1] for time in times)


def product_peak(dtype: torch.dtype, device: str = "cpu") -> float:
    """FLOP/s of plain products of the model's own four shapes, weighted by their work; the best of three rounds."""
    count = GPU_PEAK_ROWS if device.startswith("cuda") else PEAK_ROWS
    make = _int8_product if dtype is torch.int8 else partial(_plain_product, dtype=dtype, device=device)
    products = [make(count, i, o) for i, o in SHAPES]
    work = sum(2 * count * i * o for i, o in SHAPES)
    rounds = [sum(map(seconds_of, products)) for _ in range(4)]
    return work / min(rounds[1:])


def _plain_product(count: int, inputs: int, outputs: int, **kind: Any) -> Callable[[], torch.Tensor]:
    rows, weight = torch.ones(count, inputs, **kind), torch.ones(outputs, inputs, **kind)
    return lambda: torch.nn.functional.linear(rows, weight)


def _int8_product(count: int, inputs: int, outputs: int) -> Callable[[], torch.Tensor]:
    rows = torch.ones(count, inputs, dtype=torch.uint8)
    return partial(Int8Product(torch.ones(outputs, inputs), torch.bfloat16, count), rows)


def order_kept(reference: Sequence[float], scores: Sequence[float], margin: float) -> tuple[bool, int]:
    """Whether pairs that differ by more than the margin keep their order, and how many such pairs there are."""
    judged = [
        (reference[a] - reference[b]) * (scores[a] - scores[b]) > 0
        for a, b in combinations(range(len(reference)), 2)
        if abs(reference[a] - reference[b]) > margin
    ]
    return all(judged), len(judged)


def largest_difference(first: Sequence[float], second: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(first, second, strict=True))
