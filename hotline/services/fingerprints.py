"""Building the semantic fingerprints with the embedder that the settings name."""

from __future__ import annotations

import logging

from hotline import tasks
from hotline.embedders import get_passage_embedder, note_trouble
from kb import fingerprints
from kb.embedding import EmbeddingFailed
from kb.fingerprints import BuildOutcome, OnProgress
from kb.tasks import enqueue

logger = logging.getLogger(__name__)

SLICE_SECONDS = 20.0  # a task's: between two of them others have their turn and the worker can be stopped


def build_missing() -> BuildOutcome | None:
    """For the worker: a slice of what is missing, then the bell for the next. None where no embedder is configured or
    it cannot be used now.

    Raises SearchEngineError.
    """
    try:
        embedder = get_passage_embedder()
        outcome = fingerprints.build_fingerprints(embedder, seconds=SLICE_SECONDS) if embedder else None
    except EmbeddingFailed as error:
        logger.warning("fingerprints are left to the next sweep: %s", error)
        note_trouble(error)
        return None
    if outcome and outcome.is_cut_short:
        enqueue(tasks.build_fingerprints)
    return outcome


def build_all(*, on_progress: OnProgress, prune: bool) -> BuildOutcome | None:
    """Everything that is missing. None where no embedder is configured. Raises EmbeddingFailed, SearchEngineError."""
    embedder = get_passage_embedder()
    if embedder is None:
        return None
    outcome = fingerprints.build_fingerprints(embedder, on_progress=on_progress)
    if prune:
        fingerprints.prune_spaces(outcome.space)
    return outcome
