"""Measure first-stage retrieval on the evaluation data: `python tests/benchmarks/first_stage.py --help`.

Prints, per set and over all, Recall@20, Recall@50, Top-1, MRR@5 and NDCG@3 in percent, and the time of a query.
`--half even|odd` takes the questions whose SHA-256 of the qid is even or odd: tune on the one, report on the other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import django

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kb.passages import split_passages
from kb.retrieval import FirstStageResult, retrieve
from kb.search.factory import make_engine
from kb.search.types import PassageEntry, SearchEngine, SearchFilter, VersionEntry
from kb.segmentation import load_default_dictionary

MEASURES = ("recall@20", "recall@50", "top1", "mrr@5", "ndcg@3")


def main() -> None:
    arguments = read_arguments()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hotline.settings")
    django.setup()
    folder = Path(os.environ["EVALUATION_DIR"])
    documents = list(read_rows(folder / "policies" / "docs.jsonl"))
    for name in arguments.more:
        documents += read_rows(folder / name / "docs.jsonl")
    questions = [row for row in read_rows(folder / "policies" / "queries.jsonl") if is_in_half(row, arguments.half)]
    with tempfile.TemporaryDirectory() as temporary:
        engine = make_engine(arguments.url or f"file://{temporary}", index_prefix="first-stage-benchmark")
        try:
            fill_index(engine, documents, arguments.size)
            measure(engine, documents, questions, SearchFilter(as_of=date(2026, 1, 1) if arguments.filter else None))
        finally:
            engine.drop_index("benchmark")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="http://127.0.0.1:9200, say; without it the embedded engine is used")
    parser.add_argument("--half", choices=["all", "even", "odd"], default="all")
    parser.add_argument("--size", type=int, default=300, help="characters of a passage")
    parser.add_argument("--more", nargs="*", default=[], help="further folders of documents, for scale: laws guides")
    parser.add_argument("--filter", action="store_true", help="search as of a day on which all is in force")
    return parser.parse_args()


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def is_in_half(row: dict[str, Any], half: str) -> bool:
    is_even = hashlib.sha256(row["qid"].encode()).digest()[-1] % 2 == 0
    return half == "all" or is_even == (half == "even")


def fill_index(engine: SearchEngine, documents: Sequence[dict[str, Any]], size: int) -> None:
    began = time.perf_counter()
    engine.create_index("benchmark", load_default_dictionary())
    engine.add("benchmark", make_entries(documents, size))
    counts = engine.count("benchmark")
    print(f"{counts.versions} documents, {counts.passages} passages, indexed in {time.perf_counter() - began:.1f} s")


def make_entries(documents: Iterable[dict[str, Any]], size: int) -> Iterator[VersionEntry]:
    passage_id = 0
    for number, row in enumerate(documents, start=1):
        passages = []
        for span in split_passages(row["content"], size=size):
            passage_id += 1
            passages.append(PassageEntry(passage_id, span.indexed_text(row["content"])))
        yield VersionEntry(number, number, row["title"], tuple(passages), document_number=row.get("doc_no") or "")


def measure(
    engine: SearchEngine,
    documents: Sequence[dict[str, Any]],
    questions: Sequence[dict[str, Any]],
    search_filter: SearchFilter,
) -> None:
    numbers = {row["id"]: number for number, row in enumerate(documents, start=1)}
    by_set: dict[str, list[list[float]]] = {"all": []}
    seconds = []
    for row in questions:
        result = retrieve(engine, row["question"], search_filter, index="benchmark")
        seconds.append((result.seconds, result.analysis_seconds, result.search_seconds, result.fusion_seconds))
        figures = judge(result, {numbers[right] for right in row["doc_ids"]})
        for name in ("all", row["set"]):
            by_set.setdefault(name, []).append(figures)
    print(f"{'set':8}{'n':>6}" + "".join(f"{measure:>11}" for measure in MEASURES))
    for name, rows in by_set.items():
        means = [100 * statistics.fmean(column) for column in zip(*rows, strict=True)]
        print(f"{name:8}{len(rows):6}" + "".join(f"{mean:11.1f}" for mean in means))
    for name, column in zip(("query", "analysis", "search", "fusion"), zip(*seconds, strict=True), strict=True):
        percentiles = statistics.quantiles(column, n=100)
        print(f"{name}: median {1000 * percentiles[49]:.1f} ms, P95 {1000 * percentiles[94]:.1f} ms")


def judge(result: FirstStageResult, right: set[int]) -> list[float]:
    """The figures of MEASURES for one question, as shares."""
    found = [hit.document_id in right for hit in result.documents] + [False] * 50
    gain = sum(hit / math.log2(place + 2) for place, hit in enumerate(found[:3]))
    ideal = sum(1 / math.log2(place + 2) for place in range(min(3, len(right))))
    first = next((1 / (place + 1) for place, hit in enumerate(found[:5]) if hit), 0.0)
    return [sum(found[:20]) / len(right), sum(found[:50]) / len(right), float(found[0]), first, gain / ideal]


if __name__ == "__main__":
    main()
