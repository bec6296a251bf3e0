"""A Celery application whose workers take longer to load their reranker than Celery waits for a new child."""

from __future__ import annotations

import time
from typing import Any

from celery.signals import worker_process_init

from hotline.celery import app

__all__ = ["app"]

LOAD_SECONDS = 8.0


@worker_process_init.connect
def load_slowly(**_: Any) -> None:
    """In the child, before the desk's own warm-up."""
    from hotline import rerankers

    choose = rerankers.choose_reranker

    def choose_slowly(*given: Any, **named: Any) -> Any:
        time.sleep(LOAD_SECONDS)
        return choose(*given, **named)

    rerankers.choose_reranker = choose_slowly
