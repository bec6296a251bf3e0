"""Which passages of a document are shown, in what order, with which sentences marked. Pure.

The one decision about it: the desk stores what it says, and shows what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from hotline.highlighting import Highlight, highlight_parts

MARKED_SENTENCES = 2
LONGEST_READ = 40  # passages; a longer document is not read beyond those that the first stage found

# Measured on the first passage shown, as ADR 0008 says.
_FIRST_STAGE_WEIGHT = 3.0
_UNFOUND_SHARE = 0.7  # of the weakest score found


class FoundPassage(NamedTuple):
    """`score` is the first stage's, 0 where it is not among the document's best there."""

    id: int
    text: str
    score: float


class ShownPassage(NamedTuple):
    """`spans` are the marked sentences, the strongest answer first."""

    id: int
    spans: list[list[int]]


def order_passages(question: str, passages: Sequence[FoundPassage], *, title: str) -> list[ShownPassage]:
    """The passages that the first stage found, the strongest answer first; those that hold none last, as found.

    Of the others one, where it answers better than all of them.
    """
    marked = highlight_parts(question, [passage.text for passage in passages], title=title, limit=MARKED_SENTENCES)
    scores = _score_passages(passages, marked)
    order = sorted(range(len(passages)), key=lambda i: (-scores[i], -passages[i].score))
    return [
        ShownPassage(passages[i].id, _list_spans(marked[i]))
        for place, i in enumerate(order)
        if passages[i].score > 0 or (place == 0 and marked[i])
    ]


def _score_passages(passages: Sequence[FoundPassage], marked: Sequence[Sequence[Highlight]]) -> list[float]:
    """The log-odds of the best marked sentence, and what the first stage thinks of the passage."""
    unfound = _UNFOUND_SHARE * min((passage.score for passage in passages if passage.score > 0), default=1.0)
    scores = []
    for passage, own in zip(passages, marked, strict=True):
        best = max((found.score for found in own), default=0.0)
        first_stage = _FIRST_STAGE_WEIGHT * math.log(passage.score or unfound)
        scores.append(math.log(best) + first_stage if best else -math.inf)
    return scores


def _list_spans(marked: Sequence[Highlight]) -> list[list[int]]:
    return [[found.start, found.end] for found in sorted(marked, key=lambda found: found.rank)]
