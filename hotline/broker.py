"""The embedded broker: kombu's file-system transport, made to stand what several processes do to it.

Every file is written whole before another process sees it: kombu opens a file under its final name and then writes it,
and a worker that reads in between gets an empty message, which ends it.

Workers take messages in Celery's event loop, as they do from Redis, so that each of their children has pipes of its
own. Outside it the children share a pipe and its lock: one that is killed while it waits keeps the lock for ever, and
no other gets a task again.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from pathlib import Path
from time import time_ns
from typing import Any

from filelock import FileLock
from kombu.asynchronous import Hub
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
    implements = filesystem.Transport.implements.extend(asynchronous=True)

    def register_with_event_loop(self, connection: object, loop: Hub) -> None:
        """Look for messages at each turn of the loop, and have it turn at least once in the polling interval."""
        loop.on_tick.add(self.deliver_waiting)
        loop.call_repeatedly(self.polling_interval, _do_nothing)

    def deliver_waiting(self) -> None:
        """Hand over what waits, as far as the consumers take it now."""
        with suppress(TimeoutError):
            while True:
                self.drain_events(self, timeout=0)


def use_whole_files() -> None:
    """Make `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:{Transport.__name__}"


def _do_nothing() -> None:
    """What wakes the loop."""


def _write_whole(file: Path, content: object) -> None:
    draft = file.with_name(f".{uuid.uuid4().hex}.part")
    draft.write_text(dumps(content))
    draft.replace(file)
