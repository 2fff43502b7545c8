"""PUBACKs leave in the order of receipt, whatever the order in which messages are done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from central.kit.config import Settings
from central.kit.mqtt import MqttConnection
from central.kit.mqtt_packets import Inbound


class Wire:
    """What the connection hands to the library to be written."""

    def __init__(self, connection: MqttConnection) -> None:
        self.mids: list[int] = []
        connection._up = True
        connection._client._packet_queue = self._write  # type: ignore[method-assign, assignment]

    def _write(self, _command: int, packet: bytearray, _mid: int, _qos: int) -> None:
        assert len(packet) % 4 == 0
        self.mids += [packet[at + 2] << 8 | packet[at + 3] for at in range(0, len(packet), 4)]


def a_connection() -> tuple[MqttConnection, Wire]:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    connection = MqttConnection(settings, client_id="x", subscriptions=[], receive=lambda _messages: None)
    return connection, Wire(connection)


@given(st.permutations(range(1, 13)), st.integers(1, 5))
def test_a_message_that_is_done_early_is_acknowledged_when_its_turn_comes(order: list[int], size: int) -> None:
    """Mutant: each message is acknowledged as soon as it is stored (brokers may cut such a client off)."""
    connection, wire = a_connection()
    messages = {mid: Inbound("t", b"", mid, 1, 0) for mid in range(1, 13)}
    connection._deliver(list(messages.values()))
    sent = 0
    for start in range(0, 12, size):
        part = order[start : start + size]
        sent += connection.acknowledge([messages[mid] for mid in part])
        done = set(order[: start + size])
        assert wire.mids == list(range(1, next((mid for mid in range(1, 13) if mid not in done), 13)))
    assert sent == 12


def test_what_an_earlier_connection_brought_is_not_acknowledged_on_the_next() -> None:
    connection, wire = a_connection()
    old = Inbound("t", b"", 7, 1, 0)
    connection._deliver([old])
    connection._forget()
    new = Inbound("t", b"", 8, 1, 1)
    connection._deliver([new])
    assert connection.acknowledge([old]) == 0
    assert connection.acknowledge([new]) == 1
    assert wire.mids == [8]
