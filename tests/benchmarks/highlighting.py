"""Measures hotline.highlighting on the ncp questions of EVALUATION_DIR, and fits its weights.

    python -m tests.benchmarks.highlighting          # figures of the weights in use, and of weights fitted on halves
    python -m tests.benchmarks.highlighting --fit    # prints weights fitted on all questions

A question counts where its answer occurs verbatim in a right document; a sentence touches the answer where their
spans overlap. Halves: even and odd SHA-256 of the qid; each is measured with weights fitted on the other.
"""

import argparse
import hashlib
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from hotline import highlighting
from hotline.highlighting import WEIGHTS, highlight, question_features, split_sentences

PASSAGE = 300  # characters
PENALTY = 0.0003  # of the squared weights


class Example(NamedTuple):
    """A question and a text that holds its answer; `touching[i]` says whether sentence i overlaps the answer."""

    half: int
    question: str
    title: str
    text: str
    answers: list[tuple[int, int]]
    touching: np.ndarray
    features: np.ndarray


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def occurrences(text: str, answer: str) -> list[tuple[int, int]]:
    """Spans of every occurrence of `answer`."""
    spans, at = [], text.find(answer)
    while at >= 0:
        spans.append((at, at + len(answer)))
        at = text.find(answer, at + 1)
    return spans


def touches(span: tuple[int, int], answers: Sequence[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in answers)


def make_example(query: dict, title: str, text: str, answers: list[tuple[int, int]]) -> Example:
    half = hashlib.sha256(query["qid"].encode()).digest()[-1] % 2
    touching = np.array([touches(span, answers) for span in split_sentences(text)])
    features = np.array(question_features(query["question"], text, title=title))
    return Example(half, query["question"], title, text, answers, touching, features)


def around(text: str, answer: tuple[int, int]) -> tuple[int, int]:
    """The span of the passage of whole sentences, of about 300 characters, in which the answer starts."""
    first = last = None
    for start, end in split_sentences(text):
        if first is None or end - first > PASSAGE:
            if last is not None and first is not None and answer[0] < last:
                break
            first = start
        last = end
    return first or 0, last or len(text)


def load(folder: Path) -> tuple[list[Example], list[Example]]:
    """Examples over whole documents, and over the passages that hold the answer."""
    documents = {row["id"]: row for row in read_lines(folder / "docs.jsonl")}
    wholes, passages = [], []
    for query in read_lines(folder / "queries.jsonl"):
        right = (documents[i] for i in query["doc_ids"] if query["set"] == "ncp")
        document = next((d for d in right if query["answer"] in d["content"]), None)
        if document is None:
            continue
        text, title = document["content"], document["title"]
        answers = occurrences(text, query["answer"])
        wholes.append(make_example(query, title, text, answers))
        start, end = around(text, answers[0])
        inside = [(a - start, b - start) for a, b in answers if a < end and start < b]
        passages.append(make_example(query, title, text[start:end], inside))
    return wholes, passages


def fit(examples: Sequence[Example]) -> np.ndarray:
    """Weights under which the touching sentences get the largest share of each text's softmax."""
    used = [e for e in examples if e.touching.any()]
    rows = np.concatenate([e.features for e in used])
    right = np.concatenate([e.touching for e in used]).astype(float)
    lengths = np.array([len(e.features) for e in used])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = rows @ weights
        powers = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), lengths))
        totals, rights = np.add.reduceat(powers, starts), np.add.reduceat(powers * right, starts)
        pull = powers / np.repeat(totals, lengths) - powers * right / np.repeat(rights, lengths)
        value = -np.log(rights / totals).mean() + PENALTY * weights @ weights
        return value, rows.T @ pull / len(used) + 2 * PENALTY * weights

    return minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x


def character_f1(spans: Sequence[tuple[int, int]], answers: Sequence[tuple[int, int]]) -> float:
    """F1 between the highlighted characters and those of the occurrence of the answer that fits best."""
    marked = {i for start, end in spans for i in range(start, end)}
    best = 0.0
    for start, end in answers:
        common = len(marked.intersection(range(start, end)))
        best = max(best, 2 * common / (len(marked) + end - start))
    return best


def measure(examples: Sequence[Example], weights: np.ndarray) -> dict[str, float]:
    """Percentages: the best, one of the three best touches the answer; character F1 of the best and of the three."""
    figures: dict[str, list[float]] = {"best": [], "three_best": [], "f1_best": [], "f1_three": []}
    for example in examples:
        order = np.argsort(-(example.features @ weights), kind="stable")[:3]
        spans = split_sentences(example.text)
        figures["best"].append(float(example.touching[order[0]]))
        figures["three_best"].append(float(example.touching[order].any()))
        figures["f1_best"].append(character_f1([spans[order[0]]], example.answers))
        figures["f1_three"].append(character_f1([spans[i] for i in order], example.answers))
    return {name: round(100 * statistics.mean(values), 1) for name, values in figures.items()}


def milliseconds(examples: Sequence[Example], repeat: int = 3) -> list[float]:
    """The time `highlight` takes for each example in ms, the best of `repeat`."""
    times = []
    for example in examples:
        runs = []
        for _ in range(repeat):
            start = time.perf_counter()
            highlight(example.question, example.text, title=example.title)
            runs.append(1000 * (time.perf_counter() - start))
        times.append(min(runs))
    return sorted(times)


def report(name: str, examples: Sequence[Example], training: Sequence[Example]) -> None:
    print(f"{name}: {len(examples)} questions, weights in use", measure(examples, np.array(list(WEIGHTS.values()))))
    for half in (0, 1):
        weights = fit([e for e in training if e.half != half])
        print(f"  half {half}, weights of the other", measure([e for e in examples if e.half == half], weights))
    times = milliseconds(examples)
    print(f"  median {statistics.median(times):.2f} ms, P95 {times[int(len(times) * 0.95)]:.2f}, max {times[-1]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    folder = Path(os.environ["EVALUATION_DIR"]) / "policies"
    wholes, passages = load(folder)
    if parser.parse_args().fit:
        fitted = dict(zip(highlighting.WEIGHTS, fit(wholes + passages).round(2).tolist(), strict=True))
        print(json.dumps(fitted, indent=4))
    else:
        report("documents", wholes, wholes + passages)
        report("passages", passages, wholes + passages)


if __name__ == "__main__":
    main()
