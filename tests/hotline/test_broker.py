"""The embedded broker: no process ever reads half a message."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.asynchronous import Hub
from kombu.transport import filesystem
from kombu.transport.virtual import BrokerState

from hotline import broker

MESSAGES = 60
POLLING_INTERVAL = 0.1
QUEUE = Queue("rerank", Exchange("rerank"), routing_key="rerank")


def connect(folder: Path) -> Connection:
    for name in ("queue", "processed", "control"):
        (folder / name).mkdir(exist_ok=True)
    options = {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "processed_folder": str(folder / "processed"),
        "control_folder": str(folder / "control"),
        "store_processed": True,
        "polling_interval": POLLING_INTERVAL,
    }
    return Connection("filesystem://", transport_options=options)


@pytest.fixture(autouse=True)
def nothing_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: kombu remembers for the whole process what is bound."""
    monkeypatch.setattr(broker.Transport, "global_state", BrokerState())


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Celery's event loop."""
    hub = Hub()
    yield hub
    hub.close()


def test_filesystem_means_this_transport(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        assert isinstance(connection.transport, broker.Transport)


def test_every_message_arrives_once_and_whole(tmp_path: Path) -> None:
    received: list[int] = []
    connect(tmp_path)

    def send(sender: int) -> None:
        with connect(tmp_path) as connection, connection.Producer() as producer:
            for number in range(MESSAGES):
                body = {"n": sender * MESSAGES + number, "filling": "字" * 5000}
                producer.publish(body, exchange=QUEUE.exchange, routing_key="rerank", declare=[QUEUE])

    def receive() -> None:
        with connect(tmp_path) as connection:
            queue = connection.SimpleQueue(QUEUE, no_ack=True)
            while len(received) < 3 * MESSAGES:
                try:
                    received.append(queue.get(timeout=5).payload["n"])
                except queue.Empty:
                    return

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(3)]
    threads += [threading.Thread(target=receive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(received) == list(range(3 * MESSAGES))


def test_message_is_written_before_it_is_seen(tmp_path: Path, monkeypatch: Any) -> None:
    """The rename is what publishes it: until then a reader finds nothing."""
    seen: list[list[str]] = []
    replace = Path.replace

    def look_first(self: Path, target: Path) -> Path:
        seen.append([item.name for item in (tmp_path / "queue").iterdir() if item.suffix == ".msg"])
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look_first)
    with connect(tmp_path) as connection, connection.channel() as channel:
        assert isinstance(channel, filesystem.Channel)
        channel._put("rerank", {"body": "x"})
        assert channel._size("rerank") == 1
        assert channel._get("rerank") == {"body": "x"}
    assert seen == [[]]


def test_no_thread_sends_before_the_binding_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    bind = broker.Channel._queue_bind

    def bind_slowly(self: broker.Channel, *args: Any) -> None:
        time.sleep(0.3)
        bind(self, *args)

    def send() -> None:
        with connect(tmp_path) as connection, connection.Producer() as producer:
            producer.publish({}, exchange=QUEUE.exchange, routing_key="rerank", declare=[QUEUE])

    monkeypatch.setattr(broker.Channel, "_queue_bind", bind_slowly)
    connect(tmp_path)
    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list((tmp_path / "queue").glob("*.rerank.msg"))) == 2


def test_bindings_made_at_once_are_all_kept(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        threads = [
            threading.Thread(target=connection.channel()._queue_bind, args=("all", "", "", f"queue{number}"))
            for number in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bound = {binding.queue for binding in connection.channel().get_table("all")}

    assert bound == {f"queue{number}" for number in range(12)}


def test_event_loop_delivers_what_its_consumer_has_room_for(tmp_path: Path, hub: Hub) -> None:
    received: list[Any] = []
    with connect(tmp_path) as connection, connection.Consumer(QUEUE) as consumer:
        consumer.qos(prefetch_count=2)
        consumer.register_callback(lambda body, message: received.append((body, message)))
        assert connection.transport.implements.asynchronous
        connection.register_with_event_loop(hub)
        with connect(tmp_path) as sender, sender.Producer() as producer:
            for number in range(3):
                producer.publish(number, exchange=QUEUE.exchange, routing_key="rerank", declare=[QUEUE])

        hub.run_once()
        assert len(received) == 2

        received[0][1].ack()
        hub.run_once()
        assert sorted(body for body, _ in received) == [0, 1, 2]


def test_idle_event_loop_looks_again_within_the_polling_interval(tmp_path: Path, hub: Hub) -> None:
    with connect(tmp_path) as connection:
        connection.register_with_event_loop(hub)
        hub.run_once()
        assert hub.fire_timers() <= POLLING_INTERVAL
