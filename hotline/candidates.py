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
) -> Candidate:
    """`passages`: the document's best, best first, as they are searched (with a repeated table header).

    `features`: the first stage's, and those of `list_place_features`.
    """
    return Candidate(
        id=candidate_id,
        title=title,
        text=passages[0] if passages else "",
        document_number=document_number,
        passages=tuple(passages),
        features=features,
        document_text=document_text,
    )


def list_place_features(
    asked: Sequence[NamedPlace], *, title: str, region: str = "", rules: Rules
) -> Mapping[str, float]:
    """How a policy's places, which its region and title name, stand to those asked for; none where none are."""
    return prefer_places(asked, find_named_places(f"{region}\n{title}", rules)) if asked else {}
