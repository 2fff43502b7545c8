"""The only module of the terminal that knows the MQTT library: one connection, kept up, with its will.

The client's thread owns the socket. Everything it learns goes out through one callback, as values; nothing is queued
here over a lost connection, because the journal is the queue.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.transport.link import Link, LinkEvent, LinkState, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

CONNECT_S_MAX = 10.0
BEAT_S = 1.0
FAREWELL_S_MAX = 2.0
X509_NAME_MISMATCHES = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
CLOSED = "the broker closed the connection"
JSON_CONTENT_TYPE = "application/json"
RECEIVE_MAXIMUM = 64
"""Messages that the broker may have on the way to us."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class NotConnected(RuntimeError):
    """There is no connection: the message was not sent and is not kept here."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how we prove who we are. Each connection reads the files anew; certificates are PEM."""

    url: str
    client_id: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = 30

    @property
    def host(self) -> str:
        """The broker's host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The broker's port; 1883, or 8883 under TLS, when the address has none."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        """Whether the address asks for TLS."""
        return self.url.startswith("mqtts://")


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted us; it takes `receive_maximum` unacknowledged messages. `connection` counts from 1."""

    connection: int
    receive_maximum: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, or an attempt failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """The broker's answer to one QoS 1 message; `refused` names the reason when it did not take it."""

    mid: int
    refused: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message on a topic that we subscribed to."""

    topic: str
    payload: bytes


LinkReport: TypeAlias = Connected | Disconnected | Published | Received


class MqttLink:
    """A kept-up MQTT 5 connection. `report` is called from the client's own thread and must not block.

    `absent` makes the retained message that says we are away: the broker sends it when we vanish (the will, asked for
    before each attempt), and we send it ourselves when we leave in order.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        topics: Sequence[str],
        absent: Callable[[], tuple[str, bytes]],
        report: Callable[[LinkReport], None],
    ) -> None:
        self._address = address
        self._topics = list(topics)
        self._absent = absent
        self._report = report
        self._link = Link()
        self._connection = 0
        self._client: Client | None = None
        self._reason = ""

    @property
    def up(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._link.state is LinkState.UP

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Keep the connection up until `stop`; then say farewell, so that the broker discards the will."""
        if self._link.state is LinkState.STOPPED:
            self._link = Link()
        while not stop.is_set():
            beat()
            pause_s = self._link.dial_at - time.monotonic()
            if self._link.state is LinkState.WAITING and pause_s > 0:
                stop.wait(min(pause_s, BEAT_S))
                continue
            self._step(LinkEvent.DIAL)
            self._reason = reason = CLOSED
            try:
                reason = self._attempt(stop, beat)
            finally:  # also when the library fails on what the broker sent: nobody must take us for connected
                self._step(LinkEvent.LOSE)
                self._report(Disconnected(reason))
        self._step(LinkEvent.STOP)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        content_type: str = JSON_CONTENT_TYPE,
        connection: int | None = None,
    ) -> int:
        """Hand one message to the connection; return its id for `Published`. Raise `NotConnected`.

        With `connection`, only on that one: what belongs behind its birth must not slip in front of the next birth.
        """
        client = self._client
        if not self.up or client is None or connection not in {None, self._connection}:
            raise NotConnected(f"not connected to {self._address.url}: nothing was sent on {topic}")
        properties = _properties(PacketTypes.PUBLISH)
        properties.ContentType = content_type
        info = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnected(f"the message on {topic} was not sent: {info.rc.name}")
        return info.mid

    def ask_again(self, topic: str) -> None:
        """Subscribe once more: the broker sends what it retains on `topic` again."""
        client = self._client
        if self.up and client is not None:
            client.subscribe(topic, qos=1)

    def drop(self) -> None:
        """Cut the connection without a farewell; the run loop makes a new one."""
        sock = self._client.socket() if self._client is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]  # the library's type leaves it out

    def _attempt(self, stop: threading.Event, beat: Callable[[], None]) -> str:
        """Connect and serve the connection until it ends; return why it ended."""
        address = self._address
        try:
            # A new client each time: nothing of the last connection is left, and replaced files are read.
            client = self._client = self._make_client()
            options = _properties(PacketTypes.CONNECT)
            options.ReceiveMaximum = RECEIVE_MAXIMUM
            client.connect(address.host, address.port, address.keepalive_s, clean_start=True, properties=options)
        except (OSError, ValueError) as exc:
            return unreachable(address, exc)
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        deadline = time.monotonic() + CONNECT_S_MAX
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            beat()
            code = client.loop(timeout=BEAT_S)
            if not self.up and time.monotonic() > deadline:
                self.drop()
                return f"{address.url} did not answer within {CONNECT_S_MAX:.0f} s"
            if stop.is_set():
                return self._farewell(client)
        return self._reason

    def _farewell(self, client: Client) -> str:
        topic, payload = self._absent()
        client.publish(topic, payload, qos=1, retain=True)
        client.disconnect()
        deadline = time.monotonic() + FAREWELL_S_MAX
        while client.socket() is not None and time.monotonic() < deadline:
            client.loop(timeout=FAREWELL_S_MAX / 10)
        return "stopped"

    def _make_client(self) -> Client:
        client = make_client(self._address)
        topic, payload = self._absent()
        client.will_set(topic, payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        # With this set, publish() only wakes the loop: no other thread ever writes to the socket.
        client.on_socket_register_write = _leave_to_the_loop
        return client

    def _step(self, event: LinkEvent) -> None:
        self._link = step(self._link, event, time.monotonic(), key=self._address.client_id)

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._reason = f"{self._address.url} refuses {self._address.client_id!r}: {code}"
            return
        self._connection += 1
        self._step(LinkEvent.ACCEPT)
        client.subscribe([(topic, 1) for topic in self._topics])
        self._report(Connected(self._connection, getattr(properties, "ReceiveMaximum", 65_535)))

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure and self._reason == CLOSED:  # what the broker refused us with says more
            hint = "" if self.up else f": {_closed_hint(self._address)}"
            self._reason = f"the connection to {self._address.url} ended: {code}{hint}"

    def _on_publish(
        self, _client: Client, _data: object, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._report(Published(mid, str(code) if code.is_failure else None))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._report(Received(message.topic, bytes(message.payload)))


def make_client(address: BrokerAddress) -> Client:
    """Make a client that can prove who it is; raise `OSError` or `ValueError` when a file cannot be used."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=address.client_id, protocol=MQTTv5)
    client.connect_timeout = CONNECT_S_MAX
    client.max_inflight_messages_set(0)  # the uplink's window is the limit; the library must not queue behind it
    if address.username is not None:
        client.username_pw_set(address.username, _password(address))
    if address.tls:
        client.tls_set_context(_tls_context(address))
    return client


def _password(address: BrokerAddress) -> str | None:
    """Read the password of this moment, None when there is none; raise `OSError` or `ValueError` naming its file."""
    if address.password_file is None:
        return None
    try:
        return address.password_file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise OSError(f"mqtt.password_file {address.password_file} cannot be read ({_reason(exc)})") from exc
    except UnicodeDecodeError as exc:
        raise ValueError(f"mqtt.password_file {address.password_file} is not text") from exc


def _tls_context(address: BrokerAddress) -> ssl.SSLContext:
    """Load the certificates; raise `OSError` naming the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
    except OSError as exc:
        raise OSError(f"mqtt.ca_file {address.ca_file} holds no usable certificate ({_reason(exc)})") from exc
    if address.cert_file is not None:
        try:
            context.load_cert_chain(address.cert_file, address.key_file)
        except OSError as exc:
            files = f"mqtt.cert_file {address.cert_file} and mqtt.key_file {address.key_file}"
            raise OSError(f"{files} cannot be used together ({_reason(exc)})") from exc
    return context


def unreachable(address: BrokerAddress, exc: Exception) -> str:
    """Say why a connection was not made, and what to look at."""
    match exc:
        case ssl.SSLCertVerificationError() if exc.verify_code in X509_NAME_MISMATCHES:
            why = f"its certificate is for another name ({exc.verify_message}): correct mqtt.url"
        case ssl.SSLCertVerificationError():
            authority = f"mqtt.ca_file {address.ca_file}" if address.ca_file else "this machine's authorities"
            why = f"its certificate is not vouched for by {authority} ({exc.verify_message}): is it our broker?"
        case ssl.SSLError() | ConnectionResetError() if address.tls:
            why = f"no TLS connection comes about ({_reason(exc)}): does the broker speak TLS on this port?"
        case _:
            why = _reason(exc)
    return f"cannot reach {address.url}: {why}"


def _reason(exc: Exception) -> str:
    return str((exc.strerror if isinstance(exc, OSError) else None) or exc)


def _leave_to_the_loop(_client: Client, _data: object, _socket: object) -> None:
    """Do nothing: the loop's own wake-up has been written already."""


def _properties(kind: int) -> Properties:
    return Properties(kind)  # type: ignore[no-untyped-call]  # the library leaves its constructor untyped


def _closed_hint(address: BrokerAddress) -> str:
    if not address.tls:
        return "is it MQTT 5, and does this port want TLS (mqtts://)?"
    if address.cert_file is None:
        return "it may want a certificate of this terminal: set mqtt.cert_file and mqtt.key_file"
    return f"is it MQTT 5, and does it know the authority that signed {address.cert_file}?"


def reach(address: BrokerAddress, *, timeout_s: float = CONNECT_S_MAX) -> str | None:
    """Try once whether the broker accepts us; return None, or why not.

    Connects under a name of its own, because the broker would throw out a running agent of the same name.
    """
    answers: list[str | None] = []
    probe = replace(address, client_id=f"{address.client_id}-doctor")
    try:
        client = make_client(probe)
        client.on_connect = lambda _client, _data, _flags, code, _properties: answers.append(
            f"{address.url} refuses {probe.client_id!r}: {code}" if code.is_failure else None
        )
        client.connect(address.host, address.port, address.keepalive_s, clean_start=True)
    except (OSError, ValueError) as exc:
        return unreachable(address, exc)
    deadline = time.monotonic() + timeout_s
    while not answers and time.monotonic() < deadline:
        if client.loop(timeout=BEAT_S) != MQTTErrorCode.MQTT_ERR_SUCCESS and not answers:
            return f"{address.url} closed the connection: {_closed_hint(address)}"
    client.disconnect()
    return answers[0] if answers else f"{address.url} did not answer within {timeout_s:.0f} s"
