"""What the first stage found, as the rerankers take it; the desk and the evaluation build candidates alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kb.query_understanding import NamedPlace, Rules, find_named_places, prefer_places
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
    rules: Rules,
    region: str = "",
    asked_places: Sequence[NamedPlace] = (),
) -> Candidate:
    """`asked_places`: those that the question names; by `region` and title the policy is one of a place of `rules`.

    `passages`: the document's best, best first, as they are searched (with a repeated table header).
    """
    return Candidate(
        id=candidate_id,
        title=title,
        text=passages[0] if passages else "",
        document_number=document_number,
        passages=tuple(passages),
        features={**features, **_prefer(asked_places, f"{region}\n{title}", rules)},
        document_text=document_text,
    )


def _prefer(asked: Sequence[NamedPlace], text: str, rules: Rules) -> Mapping[str, float]:
    return prefer_places(asked, find_named_places(text, rules)) if asked else {}
