"""How much memory this process may count on: the machine's, or less where its container is given less."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

CONTAINER_LIMITS = (  # of control groups, version 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
MEGABYTE = 1 << 20


def usable_megabytes() -> int:
    """Of the machine or the container, whichever is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *filter(None, map(_read_limit, CONTAINER_LIMITS))]) // MEGABYTE


def peak_megabytes() -> int:
    """The most that this process has needed so far; what Celery measures a child by."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (MEGABYTE if sys.platform == "darwin" else 1024)


def _read_limit(file: Path) -> int | None:
    """None where there is none: no such file, or it says `max`."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
