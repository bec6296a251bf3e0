"""What the reranking benchmark runs on: the true-shape model with the real vocabulary, and first-stage candidates."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch

from reranking.prompts import format_document
from reranking.types import Candidate
from tests.reranking.models import (
    QWEN_SPLIT,
    save_model,
    set_qwen_pipeline,
    train_tokenizer,
    true_config,
    wrap_tokenizer,
)

PASSAGE_CHARACTERS = 300
K1, B = 1.2, 0.75
TRUE_VOCABULARY = 151_669


@dataclass(frozen=True)
class Lookup:
    """A question with its first-stage candidates, best first."""

    query: str
    candidates: tuple[Candidate, ...]

    def pairs(self) -> list[tuple[str, str]]:
        return [(self.query, format_document(candidate)) for candidate in self.candidates]

    def first(self, count: int) -> Lookup:
        return replace(self, candidates=self.candidates[:count])

    def repeated(self, count: int, *, characters: int) -> Lookup:
        """`count` different documents of so many characters, made of the first candidate's text."""
        text = self.candidates[0].text
        long = (text * math.ceil(characters * 2 / len(text)))[: characters * 2]
        return replace(
            self, candidates=tuple(Candidate(str(n), f"{n}", long[n : n + characters]) for n in range(count))
        )


def pad_tokens(lengths: Sequence[int]) -> int:
    """Tokens of one padded batch."""
    return max(lengths) * len(lengths)


def make_model(folder: Path, *, layers: int) -> Path:
    """The 0.6B shape with random bfloat16 weights and the published vocabulary; kept for the next run."""
    target = folder / f"layers-{layers}"
    if not (target / "config.json").exists():
        tokenizer = published_tokenizer(folder)
        save_model(target, true_config(TRUE_VOCABULARY, layers), tokenizer, dtype=torch.bfloat16)
    return target


def published_tokenizer(folder: Path):
    """Qwen's 151,643 ranks, as the package dashscope carries them, as a fast tokenizer."""
    from transformers import PreTrainedTokenizerFast

    kept = folder / "tokenizer"
    if not (kept / "tokenizer.json").exists():
        try:
            import dashscope
            from transformers.convert_slow_tokenizer import TikTokenConverter
        except ImportError:
            return train_tokenizer()
        ranks = Path(dashscope.__file__).parent / "resources" / "qwen.tiktoken"
        converted = TikTokenConverter(vocab_file=str(ranks), pattern=QWEN_SPLIT).converted()
        set_qwen_pipeline(converted)
        wrap_tokenizer(converted).save_pretrained(kept)
    return PreTrainedTokenizerFast.from_pretrained(kept)


def load_lookups(evaluation: Path, *, candidates: int, count: int) -> list[Lookup]:
    """Real questions, each with the best passages of as many documents by BM25 on character bigrams."""
    passages = load_passages(evaluation)
    lines = (evaluation / "policies" / "queries.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    chosen = questions[:: len(questions) // count][:count]
    return [Lookup(question, search(passages, question, candidates)) for question in chosen]


@lru_cache(maxsize=1)
def load_passages(evaluation: Path) -> tuple[Candidate, ...]:
    """The policies cut into passages of about 300 characters; a passage's id is its document's."""
    passages = []
    for line in (evaluation / "policies" / "docs.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        text, title, number = row["content"], row["title"], row.get("doc_no") or ""
        passages += [
            Candidate(str(row["id"]), title, text[start : start + PASSAGE_CHARACTERS], number)
            for start in range(0, len(text), PASSAGE_CHARACTERS)
        ]
    return tuple(passages)


def search(passages: Sequence[Candidate], question: str, count: int) -> tuple[Candidate, ...]:
    """The best passage of each of the `count` best documents."""
    wanted = {a + b for a, b in pairwise(question)}
    counts = [
        Counter({bigram: found for bigram in wanted if (found := passage.text.count(bigram))}) for passage in passages
    ]
    spread = Counter(bigram for counter in counts for bigram in counter)
    weights = {b: math.log(1 + (len(passages) - n + 0.5) / (n + 0.5)) for b, n in spread.items()}
    scores = [_bm25(counter, weights, len(passage.text)) for counter, passage in zip(counts, passages, strict=True)]
    best: dict[str, Candidate] = {}
    for index in sorted(range(len(passages)), key=lambda index: -scores[index]):
        best.setdefault(passages[index].id, passages[index])
        if len(best) == count:
            break
    return tuple(best.values())


def _bm25(counts: Counter[str], weights: dict[str, float], length: int) -> float:
    norm = K1 * (1 - B + B * length / PASSAGE_CHARACTERS)
    return sum(weights[bigram] * found * (K1 + 1) / (found + norm) for bigram, found in counts.items())
