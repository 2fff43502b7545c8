"""Batches sent as a terminal sends them, again until central's acks cover them; and workers that run in threads."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from central.worker import Worker
from edge_agent.wire.codec import decode
from edge_agent.wire.messages import Ack, CentralState
from edge_agent.wire.topics import CENTRAL_STATE
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from central.kit.config import Settings
    from simulators.journal import JournalMaker

TURNS_IN_VAIN_MAX = 150
"""Looks at the acks, fifty a second, before everything uncovered goes again."""


class BatchSender:
    """An MQTT client that sends batches again until central's acks cover them."""

    def __init__(self, url: str) -> None:
        self.acks: dict[str, Ack] = {}
        self.central: list[bool] = []
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        host, _, port = url.removeprefix("mqtt://").partition(":")
        self.client.connect(host, int(port))
        self.client.loop_start()
        wait_until(self.client.is_connected, what="the sender's connection")

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe([("ccs/v1/+/+/ack", 1), (CENTRAL_STATE, 1)])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == CENTRAL_STATE:
            self.central.append(decode(bytes(message.payload), CentralState).online)
            return
        ack = decode(bytes(message.payload), Ack)
        self.acks[ack.journal_id] = ack

    def durable(self, journal: JournalMaker) -> int:
        """Return how far central acknowledges this journal."""
        ack = self.acks.get(journal.journal_id)
        return ack.durable if ack else 0

    def send(self, journal: JournalMaker, *, size: int = 20) -> None:
        """Send what is not covered, `size` events a batch."""
        for at in range(self.durable(journal), len(journal.events), size):
            self.client.publish(journal.topic, journal.batch(at + 1, at + size), qos=1)

    def send_until_durable(self, journals: list[JournalMaker], *, timeout_s: float = 60) -> None:
        """Send everything; send again what is not covered when nothing moved for a while."""
        seen: dict[str, Any] = {"sum": -1, "turns": 0}

        def covered() -> bool:
            total = sum(self.durable(journal) for journal in journals)
            seen["turns"] = 0 if total != seen["sum"] else seen["turns"] + 1
            if total == sum(len(journal.events) for journal in journals):
                return True
            if seen["sum"] < 0 or seen["turns"] >= TURNS_IN_VAIN_MAX:
                for journal in journals:
                    self.send(journal)
                seen["turns"] = 0
            seen["sum"] = total
            return False

        wait_until(covered, what="acks for everything", timeout_s=timeout_s)

    def close(self) -> None:
        """End the connection."""
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def working(settings: Settings, *names: str) -> Iterator[list[Worker]]:
    """Run workers in threads."""
    stop = threading.Event()
    workers = [Worker(settings, name=name) for name in names]
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for worker in workers:
            wait_until(lambda worker=worker: worker.unready() == "", what="a ready worker")  # type: ignore[misc]
        yield workers
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
