"""Building the semantic fingerprints with the embedder that the settings name."""

from __future__ import annotations

import logging

from hotline.embedders import get_passage_embedder
from kb import fingerprints
from kb.embedding import EmbeddingFailed
from kb.fingerprints import BuildOutcome, OnProgress

logger = logging.getLogger(__name__)

SLICE_VERSIONS = 200  # a task's: between two of them the worker can be stopped


def build_missing() -> BuildOutcome | None:
    """For the worker: a slice of what is missing. None where no embedder is configured or it cannot be used now.

    Raises SearchEngineError.
    """
    try:
        embedder = get_passage_embedder()
        return fingerprints.build_fingerprints(embedder, most_versions=SLICE_VERSIONS) if embedder else None
    except EmbeddingFailed as error:
        logger.warning("fingerprints are left to the next sweep: %s", error)
        return None


def build_all(*, on_progress: OnProgress, prune: bool) -> BuildOutcome | None:
    """Everything that is missing. None where no embedder is configured. Raises EmbeddingFailed, SearchEngineError."""
    embedder = get_passage_embedder()
    if embedder is None:
        return None
    outcome = fingerprints.build_fingerprints(embedder, on_progress=on_progress)
    if prune:
        fingerprints.prune_spaces(outcome.space)
    return outcome
