"""Celery tasks of the desk: thin, safe to run twice. The database says which lookups wait."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings


@shared_task
def rerank_waiting_lookups() -> None:
    """Claim what waits and rerank it, until nothing waits. Rung by new lookups, and by a sweep."""
    from hotline.rerankers import publish_status
    from hotline.services import rerank_jobs, reranking

    reranking.rerank_waiting_lookups()
    rerank_jobs.rerank_waiting_jobs()
    publish_status()


@worker_process_init.connect
def warm_up(**_: Any) -> None:
    """Load the model in the worker's child (CUDA does not survive a fork), before the first task."""
    if settings.WARM_UP_RERANKER:
        from hotline.rerankers import publish_status

        publish_status()
