"""What the first stage found, as the rerankers take it; the desk and the evaluation build candidates alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hotline.understanding import get_rules
from kb.query_understanding import NamedPlace, find_named_places, prefer_places
from reranking.types import Candidate

PASSAGE_SEPARATOR = "\n"


def build_candidate(
    *,
    candidate_id: str,
    title: str,
    document_number: str,
    passages: Sequence[str],
    features: Mapping[str, float],
    document_text: str,
    region: str = "",
    asked_places: Sequence[NamedPlace] = (),
) -> Candidate:
    """`asked_places`: those that the question names; `region` and title say which place's policy this is.

    `passages`: the document's best, best first, as they are searched (with a repeated table header)."""
    return Candidate(
        id=candidate_id,
        title=title,
        text=passages[0] if passages else "",
        document_number=document_number,
        passages=tuple(passages),
        features={**features, **_prefer(asked_places, f"{region}\n{title}")},
        document_text=document_text,
    )


def find_asked_places(question: str) -> tuple[NamedPlace, ...]:
    return find_named_places(question, get_rules())


def _prefer(asked: Sequence[NamedPlace], text: str) -> Mapping[str, float]:
    return prefer_places(asked, find_named_places(text, get_rules())) if asked else {}
