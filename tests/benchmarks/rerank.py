"""Qwen3-Reranker: this engine against the published computation and sentence-transformers, on the same random weights.

    python tests/benchmarks/rerank.py [--json] [--layers N] [--candidates 20] [--device auto] [--parts …]

The model has the true shape and random weights; candidates are passages found for real questions. A peer and the
engine take turns and medians are compared, so that a busy machine slows both. Only figures of all 28 layers count.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reranking.cache import MemoryScoreCache
from reranking.prompts import DEFAULT_INSTRUCTION, PREFIX, SUFFIX, split_prompt
from reranking.qwen import QwenReranker
from reranking.qwen_device import choose_device
from reranking.types import RankingRequest
from tests.benchmarks.rerank_concurrency import measure_concurrency
from tests.benchmarks.rerank_inputs import Lookup, load_lookups, make_model, pad_tokens
from tests.benchmarks.rerank_measures import SHAPES, in_turn, largest_difference, order_kept, product_peak, seconds_of
from tests.reranking.models import ReferenceReranker

PARTS = (
    "reference_float32",
    "reference_same_dtype",
    "reference_same_dtype_best_batch",
    "cross_encoder_same_dtype",
    "cross_encoder_same_dtype_best_batch",
    "difference",
    "int8",
    "together",
    "concurrent",
    "cached",
    "memory",
)
BATCH_SIZES = (1, 2, 4, 8)
CONCURRENT_LOOKUPS, CONCURRENT_CANDIDATES = 20, 50
VOID_BEYOND = 0.10
ORDER_MARGIN, INT8_ORDER_MARGIN = 0.2, 0.3


class SwitchableCache:
    """Remembers nothing until it is switched on, so that one loaded engine serves all parts."""

    def __init__(self) -> None:
        self.memory = MemoryScoreCache()
        self.on = False

    def get_many(self, keys: Sequence[str]) -> dict[str, float]:
        return self.memory.get_many(keys) if self.on else {}

    def set_many(self, scores: Mapping[str, float]) -> None:
        if self.on:
            self.memory.set_many(scores)


class EngineUnderTest:
    """One engine with what a lookup costs it."""

    def __init__(
        self, folder: Path, dtype: str, *, device: str = "cpu", int8: bool = False, threads: int | None = None
    ) -> None:
        self.cache = SwitchableCache()
        self.engine = QwenReranker(
            str(folder), device=device, dtype=dtype, int8=int8, cache=self.cache, threads=threads
        )
        self.dtype = self.engine.info.dtype.split("+")[0]

    def rank(self, lookups: Sequence[Lookup]) -> list[dict[str, float]]:
        """Log-odds by candidate id; the system line and instruction are computed anew, as for a first lookup."""
        self.engine._scorer._roots.clear()
        rankings = self.engine.rank([RankingRequest(lookup.query, lookup.candidates) for lookup in lookups])
        return [{item.id: item.log_odds for item in ranking.scored} for ranking in rankings]

    def scores(self, lookup: Lookup) -> list[float]:
        by_id = self.rank([lookup])[0]
        return [by_id[candidate.id] for candidate in lookup.candidates]


def measure_share(engine: EngineUnderTest, lookup: Lookup, work: float, repeats: int) -> dict[str, Any]:
    """Share of the product peak, from samples whose peaks before and after agree; all samples where none do."""
    dtype = getattr(torch, engine.dtype)
    samples = []
    for _ in range(repeats):
        before = product_peak(dtype, engine.engine.info.device)
        seconds = seconds_of(lambda: engine.rank([lookup]))
        after = product_peak(dtype, engine.engine.info.device)
        samples.append((abs(after / before - 1) <= VOID_BEYOND, work / seconds / ((before + after) / 2), seconds))
    valid = [sample for sample in samples if sample[0]]
    kept = valid or samples
    return {
        "gemm_share": statistics.median(share for _, share, _ in kept),
        "engine_seconds": statistics.median(seconds for _, _, seconds in kept),
        "valid_samples": len(valid),
        "samples": len(samples),
    }


class Benchmark:
    """One run; `report` fills up part by part."""

    def __init__(self, folder: Path, lookups: Sequence[Lookup], arguments: argparse.Namespace) -> None:
        self.folder, self.lookups, self.arguments = folder, lookups, arguments
        self.lookup = lookups[0]
        self.pairs = self.lookup.pairs()
        self.device = str(choose_device(arguments.device))
        self.under_test = self._engine(arguments.dtype)
        self.under_test.rank([self.lookup.first(2)])  # compiles
        self.report: dict[str, Any] = {
            "candidates": len(self.lookup.candidates),
            "layers": arguments.layers,
            "dtype": self.under_test.dtype,
            "device": self.device,
            "threads": torch.get_num_threads(),
            "tokens": self._tokens(self.lookup),
            "seconds": {},
            "speedup": {},
        }
        self.scores = self.under_test.scores(self.lookup)

    def _engine(self, dtype: str, *, int8: bool = False) -> EngineUnderTest:
        return EngineUnderTest(self.folder, dtype, device=self.device, int8=int8, threads=self.arguments.threads)

    def _tokens(self, lookup: Lookup) -> dict[str, int]:
        encode, pairs = self.under_test.engine._scorer._encode, lookup.pairs()
        lengths = [sum(map(len, encode(list(_pieces(query, document))))) for query, document in pairs]
        shared = sum(map(len, encode(list(_pieces(*pairs[0])[:3]))))
        needed = shared + sum(length - shared for length in lengths)
        return {"padded": pad_tokens(lengths), "plain": sum(lengths), "needed": needed}

    def run(self, parts: Sequence[str]) -> dict[str, Any]:
        share = measure_share(self.under_test, self.lookup, self._work(), self.arguments.repeats)
        self.report["gemm_share"] = share.pop("gemm_share")
        self.report["seconds"]["engine"] = share.pop("engine_seconds")
        self.report["gemm_samples"] = share
        for part in parts:
            getattr(self, f"run_{part}")()
            gc.collect()
            print(f"# {part}: {json.dumps(self.report)}", file=sys.stderr, flush=True)
        return self.report

    def _work(self, tokens: int | None = None) -> float:
        """FLOP of the layers' products for so many tokens (None: the lookup's)."""
        weights = self.arguments.layers * sum(i * o for i, o in SHAPES)
        return 2.0 * weights * (self.report["tokens"]["needed"] if tokens is None else tokens)

    def _against(self, part: str, peer: Callable[[], Sequence[float]]) -> list[float]:
        """Records a peer beside the engine. Returns the peer's scores."""
        scores: list[float] = []
        mine, theirs = in_turn(
            lambda: self.under_test.rank([self.lookup]),
            lambda: scores.__setitem__(slice(None), peer()),
            self.arguments.repeats,
        )
        self.report["seconds"][part] = theirs
        self.report["speedup"][part] = theirs / mine
        return scores

    def _reference(self, dtype: str) -> ReferenceReranker:
        return ReferenceReranker(self.folder, dtype=getattr(torch, dtype), device=self.device)

    def run_reference_float32(self) -> None:
        reference = self._reference("float32")
        self._against("reference_float32", lambda: reference.score(self.pairs, batch_size=len(self.pairs)))

    def run_reference_same_dtype(self) -> None:
        reference = self._reference(self.under_test.dtype)
        self._against("reference_same_dtype", lambda: reference.score(self.pairs, batch_size=len(self.pairs)))

    def run_reference_same_dtype_best_batch(self) -> None:
        reference = self._reference(self.under_test.dtype)
        best = _best_batch(lambda size: reference.score(self.pairs, batch_size=size))
        self._against("reference_same_dtype_best_batch", lambda: reference.score(self.pairs, batch_size=best))

    def run_cross_encoder_same_dtype(self) -> None:
        predict = _cross_encoder(self.folder, self.under_test.dtype, self.device, self.pairs)
        scores = self._against("cross_encoder_same_dtype", lambda: predict(32))
        difference = largest_difference(scores, self.scores)
        self.report.setdefault("max_difference", {})["cross_encoder"] = difference

    def run_cross_encoder_same_dtype_best_batch(self) -> None:
        predict = _cross_encoder(self.folder, self.under_test.dtype, self.device, self.pairs)
        best = _best_batch(predict)
        self._against("cross_encoder_same_dtype_best_batch", lambda: predict(best))

    def run_difference(self) -> None:
        """Against the float32 reference, padded by batches; order against it wherever it is clear."""
        expected = self._reference("float32").score(self.pairs, batch_size=4)
        exact = self._engine("float32").scores(self.lookup)
        differences = self.report.setdefault("max_difference", {})
        differences["float32"] = largest_difference(expected, exact)
        differences["engine_dtype"] = largest_difference(expected, self.scores)
        self.report["order_kept"], self.report["pairs_judged"] = order_kept(expected, self.scores, ORDER_MARGIN)

    def run_int8(self) -> None:
        if self.device != "cpu":
            self.report["int8"] = {"skipped": "int8 is for CPUs"}
            return
        other = self._engine(self.under_test.dtype, int8=True)
        if not other.engine.info.dtype.endswith("+int8"):
            self.report["int8"] = {"skipped": "this processor has no exact int8 products"}
            return
        scores = other.scores(self.lookup)
        plain, quantised = in_turn(
            lambda: self.under_test.rank([self.lookup]), lambda: other.rank([self.lookup]), self.arguments.repeats
        )
        kept, judged = order_kept(self.scores, scores, INT8_ORDER_MARGIN)
        self.report["int8"] = {
            "speedup": plain / quantised,
            "seconds": quantised,
            "order_kept": kept,
            "pairs_judged": judged,
            "max_difference": largest_difference(self.scores, scores),
            "gemm_share": self._work() / quantised / product_peak(torch.int8),
        }

    def run_together(self) -> None:
        count = self.arguments.together_candidates or self.arguments.candidates
        few = [lookup.first(count) for lookup in self.lookups[:8]]
        together, apart = in_turn(
            lambda: self.under_test.rank(few),
            lambda: [self.under_test.rank([lookup]) for lookup in few],
            self.arguments.repeats,
        )
        self.report["together"] = {"per_lookup_ratio": together / apart, "lookups": len(few), "candidates": count}

    def run_concurrent(self) -> None:
        """50 candidates a lookup, 20 lookups at once: what a GPU is asked for."""
        if self.device == "cpu":
            self.report["concurrent"] = {"skipped": "no GPU: on a CPU one lookup keeps all cores busy"}
            return
        lookups = load_lookups(self.arguments.evaluation, candidates=CONCURRENT_CANDIDATES, count=CONCURRENT_LOOKUPS)
        found = measure_concurrency(self.under_test.engine, lookups, rounds=self.arguments.repeats)
        work = sum(self._work(self._tokens(lookup)["needed"]) for lookup in lookups)
        peak = product_peak(getattr(torch, self.under_test.dtype), self.device)
        self.report["concurrent"] = {**found, "gemm_share": work / found["round_seconds"] / peak}

    def run_cached(self) -> None:
        self.under_test.cache.on = True
        self.under_test.rank([self.lookup])
        again = [seconds_of(lambda: self.under_test.rank([self.lookup])) for _ in range(9)]
        self.under_test.cache.on = False
        self.report["cached_milliseconds"] = statistics.median(again) * 1000

    def run_memory(self) -> None:
        options = {
            "--documents": self.arguments.memory_documents,
            "--tokens": self.arguments.memory_tokens,
            "--device": self.device,
            "--dtype": self.under_test.dtype,
            "--evaluation": self.arguments.evaluation,
            "--work-folder": self.arguments.work_folder,
        }
        command = [sys.executable, str(Path(__file__).with_name("rerank_memory.py"))]
        command += [text for name, value in options.items() for text in (name, str(value))]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        found = json.loads(result.stdout.splitlines()[-1])
        self.report["peak_memory_gib"] = found.pop("peak_memory_gib")
        self.report["memory"] = found


def _pieces(query: str, document: str) -> tuple[str, ...]:
    pieces = split_prompt(DEFAULT_INSTRUCTION, query, document)
    return (PREFIX, pieces.head, pieces.query, pieces.document, SUFFIX)


def _best_batch(score: Callable[[int], Any]) -> int:
    return min(BATCH_SIZES, key=lambda size: seconds_of(lambda: score(size)))


def _cross_encoder(
    folder: Path, dtype: str, device: str, pairs: Sequence[tuple[str, str]]
) -> Callable[[int], list[float]]:
    """sentence-transformers on the same prompts: its batch size in, log-odds out."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device=device, model_kwargs={"dtype": getattr(torch, dtype)})
    inputs = [
        (f"{PREFIX}{piece.head}{piece.query.removesuffix('<Document>:')}", f"<Document>:{piece.document}{SUFFIX}")
        for piece in (split_prompt(DEFAULT_INSTRUCTION, query, document) for query, document in pairs)
    ]

    def predict(batch_size: int) -> list[float]:
        scores = model.predict(
            inputs, batch_size=batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        return [float(score) for score in scores]

    return predict


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is the report as one JSON object")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--candidates", type=int, default=20, help="20, 30 or 50")
    parser.add_argument("--dtype", default="auto", help="the engine's: auto, bfloat16 or float32")
    parser.add_argument("--device", default="auto", help="of the engine, its peers and the peak: auto, cpu or cuda")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--threads", type=int, help="1: processor time is measured, for a machine that others use")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--together-candidates", type=int, help="of each lookup; all of them where not given")
    parser.add_argument("--memory-documents", type=int, default=100)
    parser.add_argument("--memory-tokens", type=int, default=8000)
    parser.add_argument(
        "--evaluation", type=Path, default=Path(os.environ.get("EVALUATION_DIR", "../shared/evaluation"))
    )
    parser.add_argument("--work-folder", type=Path, default=Path(tempfile.gettempdir()) / "rerank-benchmark")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    folder = make_model(arguments.work_folder, layers=arguments.layers)
    lookups = load_lookups(arguments.evaluation, candidates=arguments.candidates, count=8)
    report = Benchmark(folder, lookups, arguments).run([part for part in arguments.parts.split(",") if part])
    print(json.dumps(report) if arguments.json else json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
