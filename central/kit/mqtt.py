"""The only module of central that knows the MQTT library: one kept-up MQTT 5 connection that acknowledges by hand.

A message is acknowledged when its owner says so, and only on the connection that delivered it: after a reconnect the
broker delivers again, and an old packet id could then mean another message.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import structlog
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from central.kit.mqtt_packets import Inbound, cut

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, SocketLike
    from paho.mqtt.reasoncodes import ReasonCode

    from central.kit.config import Settings

KEEPALIVE_S = 30
RECONNECT_S_MIN, RECONNECT_S_MAX = 1, 15
RECEIVE_MAX = 65_535
READ_BYTES_MAX = 256 * 1024
"""Taken from the socket at once."""
OUTGOING_MESSAGES_MAX = 20_000
INFLIGHT_MESSAGES_MAX = 500
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PUBACK = 0x40

_log = structlog.get_logger()


class BadAddress(ValueError):
    """The broker's address cannot be used; says which and what is expected."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when we vanish."""

    topic: str
    payload: bytes


class _Client(Client):
    """The library's client, but reading in large pieces and handing over messages as they stand in one piece.

    Everything that is no PUBLISH goes the library's own way, from the same bytes. `receive` runs on its thread.
    """

    def __init__(self, client_id: str, *, receive: Callable[[list[Inbound]], None]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5, manual_ack=True)
        self.connection = 0
        self._receive = receive
        self._unread = b""
        self.on_socket_open = _send_at_once

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 - the library's signature
        """Read once and handle what is whole; called by the library when the socket is readable."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            data = super()._sock_recv(READ_BYTES_MAX)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        self._unread += data
        while self._unread:
            if self._in_packet["command"] == 0:
                messages, end, partial = cut(self._unread, connection=self.connection)
                self._unread = self._unread[end:]
                if messages:
                    self._receive(messages)
                if partial or not self._unread:
                    break
            code = self._packet_read()
            if code > 0:
                return self._loop_rc_handle(code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._unread:
            raise BlockingIOError
        data, self._unread = self._unread[:bufsize], self._unread[bufsize:]
        return data

    def _sock_close(self) -> None:
        self._unread = b""
        super()._sock_close()


def _send_at_once(_client: Client, _userdata: Any, sock: SocketLike) -> None:  # noqa: ANN401 - the library's signature
    """Let no acknowledgement wait for the one before it."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class MqttConnection:
    """A connection that is kept up by the library's own thread.

    `receive` is called on that thread with all messages read at once, in their order, and may block: the broker then
    waits, within `receive_maximum`.
    `connected` is called after each connect, with the subscriptions asked for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client_id: str,
        subscriptions: Iterable[str],
        receive: Callable[[list[Inbound]], None],
        connected: Callable[[], None] = lambda: None,
        will: Will | None = None,
    ) -> None:
        self._settings = settings
        self._subscriptions = [(name, _options(name)) for name in subscriptions]
        self._receive = receive
        self._connected = connected
        self._connection = 0
        self._up = False
        self._gate = threading.Lock()
        self._received: deque[int] = deque()
        """Packet ids of this connection's QoS 1 messages, in order, until acknowledged."""
        self._done: set[int] = set()
        self._client = self._make(client_id, will)

    @property
    def up(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._up

    def start(self) -> None:
        """Begin to connect, and keep trying until `stop`."""
        host, port = broker_address(self._settings.mqtt_url)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's own gap
        session_s = self._settings.mqtt_session_s
        properties.SessionExpiryInterval = session_s
        properties.ReceiveMaximum = min(RECEIVE_MAX, self._settings.ingest_pending_messages_max)
        self._client.connect_async(host, port, keepalive=KEEPALIVE_S, clean_start=session_s == 0, properties=properties)
        self._client.loop_start()

    def leave_shared(self) -> None:
        """Ask for no more of the shared subscriptions; what is on its way still comes."""
        names = [name for name, _ in self._subscriptions if not _no_local(name)]
        if names and self._up:
            self._client.unsubscribe(names)

    def stop(self) -> None:
        """Disconnect in order, and end the session: what it has not acknowledged goes to others or is sent again."""
        properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]  # the library's own gap
        properties.SessionExpiryInterval = 0
        self._client.disconnect(properties=properties)
        self._client.loop_stop()
        self._up = False

    def acknowledge(self, messages: Iterable[Inbound]) -> int:
        """Take these QoS 1 messages for done; return how many PUBACKs left, all in one write.

        The protocol wants them in the order of receipt: one that is done before an earlier one waits for it.
        """
        with self._gate:
            self._done.update(one.mid for one in messages if one.qos == 1 and one.connection == self._connection)
            packet = bytearray()
            while self._received and self._received[0] in self._done:
                mid = self._received.popleft()
                self._done.discard(mid)
                packet += bytes((_PUBACK, 2, mid >> 8, mid & 0xFF))
            if packet and self._up:
                # The library has one call and one wake-up a message; as one run of bytes it costs a fortieth.
                self._client._packet_queue(_PUBACK, packet, 0, 0)  # noqa: SLF001 - as the comment says
        return len(packet) // 4

    def _deliver(self, messages: list[Inbound]) -> None:
        with self._gate:
            self._received.extend(one.mid for one in messages if one.qos == 1)
        self._receive(messages)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a QoS 1 message to the library; False when its queue is full (whoever needs it asks again)."""
        return self._client.publish(topic, payload, qos=1, retain=retain).rc == 0 or not self._up

    def publish_and_wait(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 5.0) -> bool:
        """Publish and wait until the broker has it; False when it did not answer in time."""
        if not self._up:
            return False
        message = self._client.publish(topic, payload, qos=1, retain=retain)
        if message.rc != 0:
            return False
        try:
            message.wait_for_publish(timeout_s)
        except RuntimeError:
            return False
        return message.is_published()

    def _make(self, client_id: str, will: Will | None) -> _Client:
        settings, parts = self._settings, urlsplit(self._settings.mqtt_url)
        client = _Client(client_id, receive=self._deliver)
        client.reconnect_delay_set(RECONNECT_S_MIN, RECONNECT_S_MAX)
        client.max_queued_messages_set(OUTGOING_MESSAGES_MAX)
        client.max_inflight_messages_set(INFLIGHT_MESSAGES_MAX)
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            context = ssl.create_default_context(cafile=str(settings.mqtt_ca_file) if settings.mqtt_ca_file else None)
            if settings.mqtt_cert_file:
                context.load_cert_chain(settings.mqtt_cert_file, settings.mqtt_key_file)
            client.tls_set_context(context)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self,
        client: Client,
        _userdata: Any,  # noqa: ANN401 - the library's signature
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            _log.warning("mqtt_refused", reason=str(reason), broker=broker_address(self._settings.mqtt_url))
            return
        with self._gate:
            self._forget()
            self._client.connection = self._connection
            self._up = True
        client._clean_start = False  # noqa: SLF001 - see `_on_disconnect`
        if self._subscriptions:
            client.subscribe(self._subscriptions)
        _log.info("mqtt_connected", connection=self._connection)
        self._connected()

    def _forget(self) -> None:
        """Begin anew: the packet ids of one connection mean nothing on the next."""
        self._connection += 1
        self._received.clear()
        self._done.clear()

    def _on_disconnect(
        self,
        client: Client,
        _userdata: Any,  # noqa: ANN401 - the library's signature
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._gate:
            was_up = self._up
            self._forget()
            self._up = False
        # A broker that refuses to resume our session (rumqttd does after some disconnects) gets a new one: what the
        # old one held, terminals send again. The library has no other way to change this between attempts.
        client._clean_start = not was_up  # noqa: SLF001
        _log.info("mqtt_disconnected", reason=str(reason))


def _options(name: str) -> SubscribeOptions:
    """Choose QoS 1 for shared work, which is acknowledged by hand in the order it came, and QoS 0 for retained states.

    Acknowledging a state at once would overtake the work before it, which the protocol forbids and rumqttd punishes.
    """
    return SubscribeOptions(qos=0 if _no_local(name) else 1, noLocal=_no_local(name))


def _no_local(name: str) -> bool:
    """Our own messages are not wanted back; on a shared subscription the protocol forbids to ask for that."""
    return not name.startswith("$share/")


def broker_address(url: str) -> tuple[str, int]:
    """Split `mqtt://host:port`; raise `BadAddress`."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadAddress(f"CCS_MQTT_URL is {url!r}: expected mqtt://host:port or mqtts://host:port")
    return parts.hostname, parts.port or _PORTS[parts.scheme]
