"""The Celery application. Tasks carry ids alone; the database says what is to be done."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from django.core.management.base import SystemCheckError

from hotline.broker import use_whole_files

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hotline.settings")

use_whole_files()
app = Celery("hotline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_to_start(**_: Any) -> None:
    """A worker with harmful settings says so and ends; Celery itself ignores what the checks find."""
    from hotline.checks import refuse_unsound_settings

    try:
        refuse_unsound_settings()
    except SystemCheckError as error:
        raise SystemExit(str(error)) from error
