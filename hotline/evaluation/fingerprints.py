"""Documents from a file in a vector store of their own, numbered as the evaluation's index numbers them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hotline.evaluation.corpus import make_entries
from hotline.evaluation.data import Document
from kb.embedding import Embedder
from kb.fingerprints import OnProgress, Progress, embed_entries
from kb.retrieval import Ranked
from kb.search.factory import make_vector_store
from kb.search.types import SearchFilter, VersionEntry
from kb.search.vectors import VectorSpace, VectorStore
from kb.semantic_search import rank_by_meaning

Recall = Callable[[str, SearchFilter], Sequence[Ranked]]

PASSAGES_FILE = "passages.jsonl"


def open_store(folder: Path, space: VectorSpace) -> VectorStore:
    """The FAISS store of a folder."""
    return make_vector_store(folder.absolute().as_uri(), space, index_prefix="evaluation")


def build_store(
    documents: Sequence[Document],
    folder: Path,
    embedder: Embedder,
    *,
    on_progress: OnProgress = lambda progress: None,
) -> Progress:
    """Embeds what the folder's store lacks of the documents, and writes beside it which passage is whose.

    Raises EmbeddingFailed, SearchEngineError, OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = [replace(entry, fingerprint=_digest(entry)) for entry in make_entries(documents, [])]
    progress = embed_entries(embedder, open_store(folder, embedder.space), entries, on_progress=on_progress)
    with (folder / PASSAGES_FILE).open("w", encoding="utf-8") as file:
        for document, entry in zip(documents, entries, strict=True):
            for passage in entry.passages:
                row = {"passage_id": passage.passage_id, "document_id": document.id, "text": passage.text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return progress


@contextmanager
def recall_documents(
    documents: Sequence[Document],
    embedder: Embedder,
    folder: Path | None,
    *,
    on_progress: OnProgress = lambda progress: None,
) -> Iterator[Recall]:
    """Yields what ranks the documents by meaning for a question. `folder` keeps the vectors for the next time."""
    with tempfile.TemporaryDirectory(prefix="hotline-fingerprints-") as temporary:
        place = folder or Path(temporary)
        build_store(documents, place, embedder, on_progress=on_progress)
        yield lambda question, search_filter: [
            rank_by_meaning(embedder, question, search_filter, open_store=lambda space: open_store(place, space))
        ]


def _digest(entry: VersionEntry) -> str:
    """Of everything that the store holds and the vectors rest on."""
    parts = [entry.title, *(f"{passage.passage_id}\x1f{passage.text}" for passage in entry.passages)]
    return hashlib.sha256("\x1e".join(parts).encode()).hexdigest()[:32]
