"""Celery tasks of the desk: thin, safe to run twice. The database says which lookups wait."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_process_init, worker_process_shutdown
from django.conf import settings

from hotline.memory import peak_megabytes
from kb.tasks import enqueue

logger = logging.getLogger(__name__)


@shared_task(bind=True)
def rerank_waiting_lookups(self: Task) -> None:
    """One batch of lookups, then one of the requests that callers of the API wait for; rings again where more wait.

    So neither starves the other, and a worker that is told to stop has little left to do.
    """
    from hotline.services import rerank_jobs, reranking
    from hotline.worker_status import publish_status

    done = reranking.rerank_waiting_lookups()
    done += rerank_jobs.rerank_waiting_jobs()
    publish_status(self.request.hostname or "")
    if done and (reranking.are_lookups_waiting() or rerank_jobs.are_jobs_waiting()):
        enqueue(rerank_waiting_lookups)


@shared_task
def work_on_lab_run(run_id: int) -> None:
    """A slice of a run of the laboratory; it rings for the next itself, so that lookups get in between."""
    from hotline.services import lab_runs

    if lab_runs.work_on_run(run_id=run_id):
        enqueue(work_on_lab_run, run_id)


@shared_task
def sweep_lab_runs() -> None:
    """Go on with what a killed worker or a lost message left."""
    from hotline.services import lab_runs

    for run_id in lab_runs.neglected_runs():
        work_on_lab_run.delay(run_id)


@shared_task
def compare_waiting_runs() -> None:
    """Compare changes on the golden questions. Rung by what is proposed, and by a sweep."""
    from hotline.services import golden_runs

    golden_runs.compare_waiting_runs()


@shared_task
def learn_from_use() -> None:
    """Every night: refit on verdicts, adoptions and thumbs; live only where the golden questions get no worse."""
    from hotline.services import learning

    learning.learn_from_use(by=None)


@shared_task
def try_dictionaries() -> None:
    """What would change if the dictionary drafts went live. Rung by a request, and by a sweep."""
    from hotline.services import dictionaries

    dictionaries.run_waiting_trials()


@shared_task
def build_fingerprints() -> None:
    """Embed what was published meanwhile; several workers share the work. The sweep is what tries again."""
    from hotline.services import fingerprints

    fingerprints.build_missing()


@worker_process_init.connect
def warm_up(sender: str = "", **_: Any) -> None:
    """Load the model in the worker's child (CUDA does not survive a fork), before the first task."""
    if settings.WARM_UP_RERANKER:
        from hotline.worker_status import publish_status

        publish_status(sender)
        if peak_megabytes() > settings.WORKER_MAX_MEMORY_MEGABYTES:
            logger.error(
                "the model needs %s MB to load, more than WORKER_MAX_MEMORY_MEGABYTES=%s: "
                "it will be loaded anew after every task",
                peak_megabytes(),
                settings.WORKER_MAX_MEMORY_MEGABYTES,
            )


@worker_process_shutdown.connect
def withdraw(sender: str = "", **_: Any) -> None:
    """A worker that ends in order is not shown any more; one that is killed, for some minutes."""
    if settings.WARM_UP_RERANKER:
        from hotline.worker_status import withdraw_status

        withdraw_status(sender)
