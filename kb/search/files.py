"""Files that several processes of one machine read and write."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from kb.search.types import SearchEngineUnavailable


class WriteLock:
    """The lock of all writers of a folder; the system frees it when its holder dies."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._lock = FileLock(path, timeout=seconds)

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise SearchEngineUnavailable("another process is writing the index") from error

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def write_whole(path: Path, text: str) -> None:
    """Either the old content or the new is there, whatever happens."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
