"""Which device, how many threads and which dtype: found out at start, not guessed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from reranking.types import DeviceAbsent, RerankerUnavailable

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROBE_ROWS, PROBE_IN, PROBE_OUT = 512, 1024, 1024
PROBE_TRIES = 5
# Half the bytes are worth nothing if every product is slower; below this ratio the exact dtype wins.
WORTH_IT = 1.2


def choose_device(wanted: str) -> torch.device:
    """`auto`: a GPU where there is one. Raises DeviceAbsent, or RerankerUnavailable for one that does not work."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise DeviceAbsent(f"device {wanted} is not there")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RerankerUnavailable(f"device {wanted} cannot be used: {error}") from error
    return device


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """`auto`: what this device multiplies fastest. Raises ValueError for an unknown name."""
    if wanted != "auto":
        if wanted not in DTYPES:
            raise ValueError(f"dtype {wanted!r} is none of auto, {', '.join(DTYPES)}")
        return DTYPES[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if bfloat16_speedup() >= WORTH_IT else torch.float32


def bfloat16_speedup() -> float:
    """How many times faster this processor multiplies bfloat16 than float32, by a benchmark of some milliseconds."""
    return _seconds_of_product(torch.float32) / _seconds_of_product(torch.bfloat16)


def _seconds_of_product(dtype: torch.dtype) -> float:
    rows = torch.ones(PROBE_ROWS, PROBE_IN, dtype=dtype)
    weight = torch.ones(PROBE_OUT, PROBE_IN, dtype=dtype)
    return best_seconds(lambda: torch.nn.functional.linear(rows, weight))


def best_seconds(work: Callable[[], object]) -> float:
    """The least that a few runs take: what else the machine does only adds to it."""
    best = float("inf")
    for _ in range(PROBE_TRIES):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def choose_height_step() -> int:
    """What the rows of a CPU's products are to be a multiple of.

    oneDNN prepares a product for each height it meets: with AMX some 15 ms each, hundreds a lookup while all are new.
    """
    return 16 if torch.cpu._is_amx_tile_supported() else 1


def set_threads(wanted: int | None) -> int:
    """Threads of the matrix products: as asked, or as many processors as this process may use. Returns the number."""
    torch.set_num_threads(wanted or usable_processors())
    return torch.get_num_threads()


def usable_processors() -> int:
    """Processors this process may run on, within a container's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, container_quota(Path("/sys/fs/cgroup/cpu.max")) or affinity))


def container_quota(path: Path) -> int | None:
    """Whole processors that a control group allows, from its cpu.max file; None where it sets no limit."""
    try:
        quota, period = path.read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def reserved_bytes(device: torch.device) -> int:
    """What torch keeps of the GPU's memory, in use or not; 0 on a CPU."""
    return int(torch.cuda.memory_reserved(device)) if device.type == "cuda" else 0


def memory_bytes(device: torch.device) -> int:
    """Memory in use: allocated on the GPU, or resident for this process (0 where that cannot be told)."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return resident * os.sysconf("SC_PAGE_SIZE")
