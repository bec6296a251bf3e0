"""Memory beyond the loaded model at the height of a lookup with long documents.

    python tests/benchmarks/rerank_memory.py --documents 100 --tokens 8000 [--layers 4] [--device cpu]

A process of its own: what the load itself took for a moment is not counted, only what is resident afterwards.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reranking.qwen import QwenReranker
from reranking.qwen_loading import LONGEST
from reranking.qwen_scoring import Pair
from reranking.types import RankingRequest
from tests.benchmarks.rerank_inputs import load_lookups, make_model

RESET_PEAK = "5"


def measure_memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """GiB beyond the loaded model, and how many tokens each document really had."""
    folder = make_model(arguments.work_folder, layers=arguments.layers)
    engine = QwenReranker(str(folder), device=arguments.device, dtype=arguments.dtype, max_length=LONGEST)
    lookup = load_lookups(arguments.evaluation, candidates=1, count=1)[0]
    long = lookup.repeated(arguments.documents, characters=arguments.tokens * 3)
    around = len(engine._scorer.token_ids(Pair(engine.instruction, lookup.query, "")))
    engine._scorer._max_length = around + arguments.tokens
    scored: list[int] = []
    request = RankingRequest(long.query, long.candidates)
    peak = peak_beyond(lambda: scored.append(len(engine.rank([request])[0].scored)), torch.device(engine.info.device))
    pair = Pair(engine.instruction, *long.pairs()[0])
    return {
        "peak_memory_gib": peak / 2**30,
        "documents": scored[0],
        "document_tokens": len(engine._scorer.token_ids(pair)) - around,
        "layers": arguments.layers,
        "device": engine.info.device,
    }


def peak_beyond(work: Callable[[], object], device: torch.device) -> int:
    """Bytes by which `work` raised this process's memory (the device's, on a GPU) at its height."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device)) - before
    Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    before = read_status("VmRSS")
    work()
    return read_status("VmHWM") - before


def read_status(name: str) -> int:
    """A size of this process in bytes, as the kernel counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=8000)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--evaluation", type=Path, default=Path(os.environ.get("EVALUATION_DIR", "../shared/evaluation"))
    )
    parser.add_argument("--work-folder", type=Path, default=Path(tempfile.gettempdir()) / "rerank-benchmark")
    print(json.dumps(measure_memory(parser.parse_args())))


if __name__ == "__main__":
    main()
