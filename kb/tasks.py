"""Celery tasks of the knowledge base: thin, safe to run twice, carrying ids alone."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, shared_task
from django.db import OperationalError, transaction

from kb.search.types import SearchEngineUnavailable

logger = logging.getLogger(__name__)

RETRY: dict[str, Any] = {
    "autoretry_for": (SearchEngineUnavailable, OperationalError),
    "retry_backoff": 2,
    "retry_backoff_max": 300,
    "retry_jitter": True,
    "max_retries": 5,
}


def enqueue(task: Task, *args: Any) -> None:
    """Ring the bell once the transaction is committed. A broker that is away costs time, not work: sweeps follow."""

    def ring() -> None:
        try:
            task.apply_async(args)
        except Exception as error:  # whatever the broker's client raises; the database remembers
            logger.warning("broker away, %s%s is left to the sweep: %s", task.name, args, error)

    transaction.on_commit(ring)


@shared_task(**RETRY)
def parse_upload(upload_id: int) -> None:
    from kb.services import uploads

    uploads.parse_upload(upload_id=upload_id)


@shared_task
def sweep_uploads() -> None:
    """Parse what a killed worker or a lost message left."""
    from kb.services import uploads

    for upload_id in uploads.waiting_uploads():
        parse_upload.delay(upload_id)


@shared_task(**RETRY)
def sync_document(document_id: int) -> None:
    from kb import indexing

    indexing.sync_document(document_id)


@shared_task(**RETRY)
def sync_stale_documents() -> None:
    """Index what no message announced."""
    from kb import indexing, selectors

    if stale := selectors.stale_document_ids():
        indexing.sync_documents(stale)


@shared_task
def reindex_all() -> None:
    """Make live what was approved; build what was asked for, or go on with what stopped. The sweep tries again."""
    from kb import indexing

    indexing.activate_approved()
    if indexing.is_rebuild_waiting():
        indexing.rebuild_index()


@shared_task(**RETRY)
def reconcile_index() -> None:
    from kb import fingerprints, indexing

    indexing.reconcile_index()
    for space in fingerprints.list_spaces():
        fingerprints.reconcile_vectors(space)
