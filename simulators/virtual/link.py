"""A terminal's connection in virtual time: the product's own table of states, dialling a simulated broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.transport.link import Link, LinkEvent, LinkState, step
from edge_agent.transport.mqtt import JSON_CONTENT_TYPE, Connected, Disconnected, NotConnected, Published, Received
from simulators.virtual.broker import Broker, Packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.transport.mqtt import LinkReport
    from simulators.virtual.world import World

RECEIVE_MAXIMUM = 20
NOTICED_S_MAX = 45.0
"""A connection over a dead line is given up after one and a half keepalives."""


class VirtualLink:
    """Stands in for `MqttLink` towards the uplink and heartbeat loops."""

    def __init__(self, world: World, broker: Broker, *, client_id: str, report: Callable[[LinkReport], None]) -> None:
        self._world = world
        self._broker = broker
        self.client_id = client_id
        self._report = report
        self._state = Link(dial_at=world.now_s)
        self._mid = 0
        self._closed = False
        self.connection = 0
        world.after(0.1, self._dial)

    @property
    def up(self) -> bool:
        """Whether a connection stands."""
        return self._state.state is LinkState.UP

    def _move(self, event: LinkEvent) -> None:
        self._state = step(self._state, event, self._world.now_s, key=self.client_id)

    def _dial(self) -> None:
        if self._closed or self.up:
            return
        self._move(LinkEvent.DIAL)
        if not self._broker.reachable(self.client_id):
            self.lose("the broker does not answer")
            return
        self._move(LinkEvent.ACCEPT)
        self.connection += 1
        self._broker.connect(self)
        self._report(Connected(self.connection, RECEIVE_MAXIMUM))

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,  # noqa: ARG002 - the contract of `MqttLink`
        content_type: str = JSON_CONTENT_TYPE,  # noqa: ARG002
        connection: int | None = None,
    ) -> int:
        """Send; raise `NotConnected` as the real link does."""
        if not self.up or connection not in {None, self.connection}:
            raise NotConnected(f"not connected: nothing was sent on {topic}")
        self._mid += 1
        if self._broker.reachable(self.client_id):
            for _ in range(self._broker.times()):
                self._world.after(
                    self._broker.delay_s(), self._arrive, self.connection, self._mid, Packet(topic, payload, qos)
                )
        return self._mid

    def _arrive(self, connection: int, mid: int, packet: Packet) -> None:
        """The bytes reach the broker, perhaps after their connection has ended."""
        if not self._broker.arrive(packet) or not packet.qos:
            return
        for _ in range(self._broker.times()):
            self._world.after(self._broker.delay_s(), self._answered, connection, mid)

    def _answered(self, connection: int, mid: int) -> None:
        if self.up and connection == self.connection and self._broker.reachable(self.client_id):
            self._report(Published(mid, None))

    def receive(self, connection: int, topic: str, payload: bytes) -> None:
        """Take a message from the broker."""
        if self.up and connection == self.connection and self._broker.reachable(self.client_id):
            self._report(Received(topic, payload))

    def drop(self) -> None:
        """Cut the connection from our side; the report comes as from any lost connection."""
        connection = self.connection
        self._world.after(0.0, self._dropped, connection)

    def _dropped(self, connection: int) -> None:
        if connection == self.connection:
            self.lose("dropped")

    def lose(self, reason: str) -> None:
        """End the connection or the attempt, and dial again after the product's own pause."""
        if self._closed:
            return
        self._broker.disconnect(self)
        self._move(LinkEvent.LOSE)
        self._world.after(max(0.0, self._state.dial_at - self._world.now_s) + 0.001, self._dial)
        self._report(Disconnected(reason))

    def starve(self, connection: int) -> None:
        """The line has been dead for longer than keepalive allows."""
        if self.up and connection == self.connection and not self._broker.reachable(self.client_id):
            self.lose("keepalive")

    def close(self) -> None:
        """The process is gone."""
        self._closed = True
        self._broker.disconnect(self)
