"""What workers divide among them: every kind of message reaches one of them, on every broker we name."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from central.kit.config import Settings
from central.kit.mqtt import MqttConnection
from central.worker import KINDS_OF_WORK, shared_work
from edge_agent.wire.topics import terminal_topic
from simulators.servers import wait_until

if TYPE_CHECKING:
    from central.kit.mqtt_packets import Inbound

ROUNDS = 30


@pytest.mark.parametrize("broker", ["embedded_broker", "mosquitto"])
def test_kinds_that_take_turns_do_not_make_the_broker_pass_over_any(
    request: pytest.FixtureRequest, broker: str
) -> None:
    """Mutant: one group's name for all kinds (rumqttd then lost a fresh tap now and then; it came 20 s late)."""
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none", mqtt_url=request.getfixturevalue(broker).url
    )
    came: list[tuple[str, bytes]] = []
    heard = threading.Event()

    def receive(messages: list[Inbound]) -> None:
        came.extend((one.topic, one.payload) for one in messages if one.payload != b"?")
        worker.acknowledge(messages)
        heard.set()

    worker = MqttConnection(
        settings, client_id="worker", subscriptions=map(shared_work, KINDS_OF_WORK), receive=receive
    )
    sender = MqttConnection(settings, client_id="sender", subscriptions=(), receive=lambda _: None)
    worker.start()
    sender.start()
    try:
        wait_until(
            lambda: sender.up and sender.publish_and_wait("ccs/v1/s/t/events", b"?") and heard.is_set(),
            what="the subscription",
        )
        sent = [
            (terminal_topic("s", "t", kind), f"{kind} {turn}".encode())
            for turn in range(ROUNDS)
            for kind in KINDS_OF_WORK
        ]
        for topic, payload in sent:
            assert sender.publish_and_wait(topic, payload)
        wait_until(lambda: len(came) >= len(sent), what="every message")
        assert sorted(came) == sorted(sent)
    finally:
        sender.stop()
        worker.stop()
