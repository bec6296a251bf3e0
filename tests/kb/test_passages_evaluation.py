"""Passages of real policies: as full as they may be, sentences and articles whole, in seconds."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from kb.passages import PassageSpan, split_passages

pytestmark = pytest.mark.evaluation

ARTICLE = re.compile(r"^第[一二三四五六七八九十百千零]+条\s", re.MULTILINE)
SIZE = 300


@pytest.fixture(scope="module")
def policies(evaluation_dir: Path) -> list[tuple[str, list[PassageSpan]]]:
    with (evaluation_dir / "policies" / "docs.jsonl").open(encoding="utf-8") as lines:
        texts = [json.loads(line)["content"] for line in lines]
    started = time.perf_counter()
    split = [(text, split_passages(text)) for text in texts]
    assert time.perf_counter() - started < 60  # 3 s on an idle machine
    return split


def test_passages_are_full(policies: list[tuple[str, list[PassageSpan]]]) -> None:
    sizes = [span.end - span.start for text, spans in policies for span in spans if len(text) > SIZE]
    assert 30_000 <= len(sizes) <= 42_000
    assert 220 <= sum(sizes) / len(sizes) <= SIZE
    assert sum(size < 120 for size in sizes) < 0.01 * len(sizes)
    assert sum(size > SIZE for size in sizes) < 0.02 * len(sizes)
    assert max(sizes) <= 2 * SIZE


def test_passages_end_where_sentences_end(policies: list[tuple[str, list[PassageSpan]]]) -> None:
    cut = [
        text[span.end - 20 : span.end]
        for text, spans in policies
        for span in spans[:-1]
        if "\n" not in text[span.end : span.end + 3]
        and not re.search(r"[。！？；][”’」』）)》】〉\"]*$", text[span.end - 5 : span.end])
        and not re.match(r"\s+(?:第|[一二三四五六七八九十]+、|[（(]|1)", text[span.end :])
    ]
    assert len(cut) < 100  # sentences of more than 600 characters: lists without a full stop


def test_articles_that_fit_are_mostly_whole(policies: list[tuple[str, list[PassageSpan]]]) -> None:
    fitting = cut = 0
    for text, spans in policies:
        starts = {span.start for span in spans}
        offsets = [match.start() for match in ARTICLE.finditer(text)]
        for start, end in pairwise(offsets):
            if len(text[start:end].strip()) <= SIZE:
                fitting += 1
                cut += any(offset in starts for offset in range(start + 1, end))
    assert fitting > 10_000
    assert cut < 0.1 * fitting


def test_passages_of_laws_know_their_article(policies: list[tuple[str, list[PassageSpan]]]) -> None:
    laws = [(text, spans) for text, spans in policies if len(ARTICLE.findall(text)) > 10]
    spans = [span for _, spans in laws for span in spans[1:]]
    assert sum(any("条" in part for part in span.heading_path) for span in spans) > 0.95 * len(spans)
