"""Long passages cut down to the sentences around the best matches with the query. An option: it changes scores."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

DEFAULT_TRIM_CHARACTERS = 400
OMISSION = "…"

_SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]+|[^。！？；\n]+")
_WORD = re.compile(r"\w+")


def trim_text(text: str, query: str, budget: int) -> str:
    """At most about `budget` characters of `text`: whole sentences in their order, gaps marked by an ellipsis.

    A text within the budget, or one without a match, is returned from its beginning; one sentence that is longer
    than the budget is cut.
    """
    if len(text) <= budget:
        return text
    sentences = _SENTENCE.findall(text)
    weights = _match_weights(sentences, query)
    best = max(range(len(sentences)), key=lambda index: (weights[index], -index))
    kept = _grow(sentences, weights, best, budget)
    return _join(sentences, kept)[: budget + 2 * len(OMISSION)]


def _grow(sentences: Sequence[str], weights: Sequence[float], best: int, budget: int) -> list[int]:
    """The best sentence, its neighbours, then further sentences by weight, while there is room."""
    neighbours = [index for index in (best - 1, best + 1) if 0 <= index < len(sentences)]
    by_weight = sorted((index for index in range(len(sentences)) if weights[index] > 0), key=lambda i: -weights[i])
    kept, room = {best}, budget - len(sentences[best])
    for index in (*neighbours, *by_weight):
        if index not in kept and len(sentences[index]) <= room:
            kept.add(index)
            room -= len(sentences[index])
    return sorted(kept)


def _join(sentences: Sequence[str], kept: Sequence[int]) -> str:
    parts: list[str] = [OMISSION] if kept[0] > 0 else []
    for position, index in enumerate(kept):
        if position and index != kept[position - 1] + 1:
            parts.append(OMISSION)
        parts.append(sentences[index])
    return "".join(parts)


def _match_weights(sentences: Sequence[str], query: str) -> list[float]:
    """For each sentence, the query's bigrams found in it, rarer ones (among the sentences) counting more."""
    wanted = _bigrams(query)
    found = [_bigrams(sentence) & wanted for sentence in sentences]
    spread = Counter(bigram for bigrams in found for bigram in bigrams)
    return [sum(math.log(1 + len(sentences) / spread[bigram]) for bigram in sorted(bigrams)) for bigrams in found]


def _bigrams(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {word[start : start + 2] for word in words for start in range(max(1, len(word) - 1))}
