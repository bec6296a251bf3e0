"""What the first stage found, as the rerankers take it. Pure; the desk and the evaluation build candidates alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    """`passages`: the document's best, best first, as they are searched (with a repeated table header)."""
    return Candidate(
        id=candidate_id,
        title=title,
        text=passages[0] if passages else "",
        document_number=document_number,
        passages=tuple(passages),
        features=features,
        document_text=document_text,
    )
