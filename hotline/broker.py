"""The embedded broker: kombu's file-system transport, with every file written whole before another process sees it.

kombu opens a file under its final name and then writes it; a worker that reads in between gets an empty message, which
ends it.
"""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from time import time_ns
from typing import Any

from filelock import FileLock
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

LOCK_SECONDS = 10
_binding = threading.Lock()


class Channel(filesystem.Channel):
    """Messages and exchanges appear by rename, which is atomic on one file system."""

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        _write_whole(Path(self.data_folder_out) / f"{time_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg", message)

    def queue_bind(self, *args: Any, **kwargs: Any) -> None:
        """Binds one after another: kombu notes a binding for all threads before it writes the file.

        A thread that sent a message in between would find no queue for it and drop it.
        """
        with _binding:
            super().queue_bind(*args, **kwargs)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        file = self._exchange_file(exchange)
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with FileLock(file.with_name(".lock"), timeout=LOCK_SECONDS):
            bindings = self.get_table(exchange)
            if binding not in bindings:
                _write_whole(file, [binding, *bindings])


class Transport(filesystem.Transport):
    Channel = Channel


def use_whole_files() -> None:
    """Make `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:{Transport.__name__}"


def _write_whole(file: Path, content: object) -> None:
    draft = file.with_name(f".{uuid.uuid4().hex}.part")
    draft.write_text(dumps(content))
    draft.replace(file)
