"""Documents in an index of their own, apart from the live data, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hotline.candidates import build_candidate, list_place_features
from hotline.evaluation.data import Document
from hotline.passage_order import LONGEST_READ, FoundPassage, ShownPassage, order_passages
from kb.passages import split_passages
from kb.query_understanding import NamedPlace, Rules
from kb.retrieval import DocumentHit
from kb.search.factory import make_engine
from kb.search.types import PassageEntry, SearchEngine, VersionEntry
from kb.segmentation import load_default_dictionary
from reranking.types import Candidate


@dataclass(frozen=True, slots=True)
class Corpus:
    """An index with what its ids stand for: version number n is `documents[n - 1]`, passages count from 1.

    `passage_ids` of each document, in order.
    """

    engine: SearchEngine
    index: str
    documents: Sequence[Document]
    passages: Sequence[str]
    passage_ids: Sequence[Sequence[int]]

    def build_candidate(self, hit: DocumentHit, asked_places: Sequence[NamedPlace], rules: Rules) -> Candidate:
        """As the desk builds one."""
        document = self.documents[hit.version_id - 1]
        return build_candidate(
            candidate_id=document.id,
            title=document.title,
            document_number=document.document_number,
            passages=[self.passages[passage.passage_id - 1] for passage in hit.passages],
            features={**hit.features, **list_place_features(asked_places, title=document.title, rules=rules)},
            document_text=document.content,
        )

    def order_passages(self, question: str, hit: DocumentHit) -> list[ShownPassage]:
        """As the desk shows a document's."""
        scores = {passage.passage_id: passage.score for passage in hit.passages}
        ids = self.passage_ids[hit.version_id - 1]
        read = ids if len(ids) <= LONGEST_READ else scores
        found = [FoundPassage(number, self.passages[number - 1], scores.get(number, 0.0)) for number in read]
        return order_passages(question, found, title=self.documents[hit.version_id - 1].title)


@contextmanager
def index_documents(documents: Sequence[Document], *, elasticsearch_url: str = "") -> Iterator[Corpus]:
    """On the embedded engine in a temporary folder, or in an Elasticsearch index of a name of its own.

    Raises SearchEngineError.
    """
    folder = tempfile.mkdtemp(prefix="hotline-evaluation-")
    name = f"evaluation-{uuid.uuid4().hex[:12]}"
    engine = make_engine(elasticsearch_url or Path(folder).as_uri(), index_prefix=name, timeout_seconds=30.0)
    passages: list[str] = []
    passage_ids: list[list[int]] = []
    try:
        engine.create_index(name, load_default_dictionary())
        engine.add(name, _note_passages(make_entries(documents, passages), passage_ids))
        yield Corpus(engine, name, documents, passages, passage_ids)
    finally:
        engine.drop_index(name)
        shutil.rmtree(folder, ignore_errors=True)


def _note_passages(entries: Iterable[VersionEntry], passage_ids: list[list[int]]) -> Iterator[VersionEntry]:
    """The entries as they come; the ids of each one's passages are put into `passage_ids` on the way."""
    for entry in entries:
        passage_ids.append([passage.passage_id for passage in entry.passages])
        yield entry


def make_entries(documents: Sequence[Document], passages: list[str]) -> Iterator[VersionEntry]:
    """The documents' entries; the texts of the passages are put into `passages` on the way."""
    for number, document in enumerate(documents, start=1):
        entries = []
        for span in split_passages(document.content):
            passages.append(span.indexed_text(document.content))
            entries.append(PassageEntry(len(passages), passages[-1]))
        yield VersionEntry(number, number, document.title, tuple(entries), document_number=document.document_number)
