"""Writers at once, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection


def at_once(*writes: Callable[[], object]) -> None:
    """Runs each in a thread with a connection of its own. Raises what one of them raised."""
    failures: list[Exception] = []

    def run(write: Callable[[], object]) -> None:
        try:
            write()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(write,)) for write in writes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
