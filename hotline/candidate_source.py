"""Candidates of trials: what the first stage found, with its texts from the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hotline.candidates import build_candidate, list_place_features
from kb.models import DocumentVersion, Passage
from kb.query_understanding import NamedPlace, Rules
from kb.retrieval import DocumentHit
from kb.selectors import load_passages, readable_versions
from reranking.types import Candidate

KEPT_VERSIONS = 2000


@dataclass(slots=True)
class CandidateSource:
    """Documents' texts from the database, kept between questions.

    An index that is not live is not kept up to date: whether the `departments` may read a version (None: any that is
    published) is asked of the database.
    """

    departments: tuple[str, ...] | None = None
    versions: dict[int, DocumentVersion] = field(default_factory=dict)
    passages: dict[int, Passage] = field(default_factory=dict)

    def load(
        self, documents: Sequence[DocumentHit], asked_places: Sequence[NamedPlace], rules: Rules
    ) -> list[tuple[DocumentHit, Candidate]]:
        """In first-stage order. What was withdrawn, restricted or deleted since it was indexed is left out."""
        self._fetch(documents)
        return [
            (hit, self._build(hit, asked_places, rules))
            for hit in documents
            if hit.version_id in self.versions and hit.passages[0].passage_id in self.passages
        ]

    def _fetch(self, documents: Sequence[DocumentHit]) -> None:
        if len(self.versions) > KEPT_VERSIONS:
            self.versions.clear()
            self.passages.clear()
        versions = readable_versions(departments=self.departments).defer("page_starts", "warnings")
        self.versions |= versions.in_bulk([hit.version_id for hit in documents if hit.version_id not in self.versions])
        readable = (hit for hit in documents if hit.version_id in self.versions)
        wanted = (item.passage_id for hit in readable for item in hit.passages)
        self.passages |= load_passages(passage_id for passage_id in wanted if passage_id not in self.passages)

    def _build(self, hit: DocumentHit, asked_places: Sequence[NamedPlace], rules: Rules) -> Candidate:
        version = self.versions[hit.version_id]
        found = (self.passages.get(item.passage_id) for item in hit.passages)
        return build_candidate(
            candidate_id=str(hit.version_id),
            title=version.title,
            document_number=version.document_number,
            passages=[passage.searchable_text for passage in found if passage],
            # Rounded as a stored lookup's are: equal settings then give equal scores.
            features={
                **{name: round(value, 6) for name, value in hit.features.items()},
                **list_place_features(asked_places, title=version.title, region=version.region, rules=rules),
            },
            document_text=version.text,
        )
