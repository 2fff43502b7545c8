"""A small MQTT 5 client for asyncio, so that one process can be thousands of terminals, each with its own connection.

It does what a terminal needs and no more: connect with a will, publish at QoS 0 and 1, subscribe, answer QoS 1, ping.
It shares no code with the product's MQTT client on purpose: the broker hears a second opinion of the protocol.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PACKET_BYTES_MAX = 1024 * 1024
CONNECT_S_MAX = 30.0
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK, _PING, _PONG, _DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
_PACKET_ID_MAX = 65_535
_REFUSED_FROM = 0x80
_CONTENT_TYPE = 0x03
_SESSION_EXPIRY = 0x11
_RECEIVE_MAXIMUM = 0x21
_NUMBER_BYTES = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
"""Width of the numeric properties of CONNACK; the other properties are texts."""
_USER_PROPERTY = 0x26


class ProtocolError(ValueError):
    """The broker sent something that is not MQTT 5, or refused; the message says what."""


def length_bytes(length: int) -> bytes:
    """Encode a variable byte integer."""
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (0x80 if length else 0))
        if not length:
            return bytes(out)


def read_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Decode a variable byte integer; return it and where it ends, or None when it is not all there yet."""
    value = 0
    for step in range(4):
        if at + step >= len(data):
            return None
        value |= (data[at + step] & 0x7F) << (7 * step)
        if not data[at + step] & 0x80:
            return value, at + step + 1
    raise ProtocolError("a length of more than four bytes")


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def number_properties(data: bytes) -> dict[int, int]:
    """Read the numeric properties of a CONNACK; texts are passed over."""
    found: dict[int, int] = {}
    at = 0
    while at < len(data):
        name, at = data[at], at + 1
        width = _NUMBER_BYTES.get(name)
        if width is not None:
            found[name] = int.from_bytes(data[at : at + width], "big")
            at += width
            continue
        for _ in range(2 if name == _USER_PROPERTY else 1):
            at += 2 + int.from_bytes(data[at : at + 2], "big")
    return found


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + length_bytes(len(body)) + body


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says when this client vanishes."""

    topic: str
    payload: bytes
    retain: bool = True


def connect_packet(client_id: str, *, keepalive_s: int, session_s: int, will: Will | None) -> bytes:
    """Build CONNECT. `session_s` over 0 keeps the session that long and does not start clean."""
    flags = (0 if session_s else 0x02) | ((0x04 | 0x08 | (0x20 if will.retain else 0)) if will else 0)
    properties = bytes([_SESSION_EXPIRY]) + session_s.to_bytes(4, "big")
    body = _text("MQTT") + bytes([5, flags]) + keepalive_s.to_bytes(2, "big")
    body += length_bytes(len(properties)) + properties + _text(client_id)
    if will:
        body += b"\x00" + _text(will.topic) + _text(will.payload)
    return _packet(_CONNECT, 0, body)


def publish_packet(
    topic: str, payload: bytes, *, packet_id: int, retain: bool = False, content_type: str = ""
) -> bytes:
    """Build PUBLISH: QoS 1 under `packet_id`, or QoS 0 when that is 0."""
    properties = bytes([_CONTENT_TYPE]) + _text(content_type) if content_type else b""
    body = _text(topic) + (packet_id.to_bytes(2, "big") if packet_id else b"")
    body += length_bytes(len(properties)) + properties + payload
    return _packet(_PUBLISH, (0x02 if packet_id else 0) | int(retain), body)


def subscribe_packet(packet_id: int, filters: list[str]) -> bytes:
    """Build SUBSCRIBE at QoS 1."""
    wanted = b"".join(_text(topic) + b"\x01" for topic in filters)
    return _packet(_SUBSCRIBE, 0x02, packet_id.to_bytes(2, "big") + b"\x00" + wanted)


def split_url(url: str) -> tuple[str, int]:
    """Take host and port out of `mqtt://host:port`; raise `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme != "mqtt" or not parts.hostname:
        message = f"{url!r} is not an address of the form mqtt://host:port"
        raise ValueError(message)
    return parts.hostname, parts.port or 1883


@dataclass
class Mqtt5Client(asyncio.Protocol):
    """One connection. Callbacks run in the event loop; `closed` is done when the connection is gone."""

    client_id: str
    on_message: Callable[[str, bytes], None]
    on_puback: Callable[[int], None]
    keepalive_s: int = 60
    session_s: int = 0
    will: Will | None = None
    receive_maximum: int = 65_535
    """How many QoS 1 messages the broker takes at once, as it said."""
    _transport: asyncio.Transport | None = field(default=None, init=False)
    _buffer: bytearray = field(default_factory=bytearray, init=False)
    _ids: itertools.cycle[int] = field(
        default_factory=lambda: itertools.cycle(range(1, _PACKET_ID_MAX + 1)), init=False
    )

    async def connect(self, url: str) -> None:
        """Connect and wait for the broker's word; raise `ProtocolError`, `OSError` or `TimeoutError`."""
        host, port = split_url(url)
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._accepted: asyncio.Future[None] = loop.create_future()
        self._subscribed: asyncio.Future[None] = loop.create_future()
        async with asyncio.timeout(CONNECT_S_MAX):
            await loop.create_connection(lambda: self, host, port)
            hello = connect_packet(
                self.client_id, keepalive_s=self.keepalive_s, session_s=self.session_s, will=self.will
            )
            self._write(hello)
            await self._accepted

    async def subscribe(self, *filters: str) -> None:
        """Subscribe at QoS 1 and wait until the broker has granted it; once a connection."""
        self._write(subscribe_packet(next(self._ids), list(filters)))
        async with asyncio.timeout(CONNECT_S_MAX):
            await self._subscribed

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, content_type: str = "") -> int:
        """Send at QoS 1; return the packet id that `on_puback` will name."""
        packet_id = next(self._ids)
        self._write(publish_packet(topic, payload, packet_id=packet_id, retain=retain, content_type=content_type))
        return packet_id

    def publish_once(self, topic: str, payload: bytes) -> None:
        """Send at QoS 0."""
        self._write(publish_packet(topic, payload, packet_id=0))

    def ping(self) -> None:
        """Tell the broker that we live."""
        self._write(_packet(_PING, 0, b""))

    def disconnect(self) -> None:
        """Leave in an orderly way: the broker drops the will."""
        self._write(_packet(_DISCONNECT, 0, b""))
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Vanish: the broker speaks the will."""
        if self._transport:
            self._transport.abort()

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._transport is not None and not self._transport.is_closing()

    def _write(self, packet: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError(f"{self.client_id} is not connected")
        self._transport.write(packet)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio calls this: the socket is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio gives a stream transport to a Protocol
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio calls this: the socket is gone."""
        reason = exc or ConnectionResetError("the broker closed the connection")
        for future in (self._accepted, self._subscribed):
            if not future.done():
                future.set_exception(reason)
                future.exception()  # whoever waits still gets it; nobody waiting is no fault
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Asyncio calls this: take whole packets out of what has arrived."""
        self._buffer += data
        try:
            while (packet := self._next_packet()) is not None:
                self._take(*packet)
        except (ProtocolError, IndexError) as exc:
            self._fail(exc)

    def _next_packet(self) -> tuple[int, int, bytes] | None:
        """Take one whole packet (kind, flags, body) off the buffer, or None when there is none."""
        buffer = self._buffer
        found = read_length(buffer, 1) if len(buffer) > 1 else None
        if found is None:
            return None
        length, start = found
        if length > PACKET_BYTES_MAX:
            raise ProtocolError(f"a packet of {length} bytes, at most {PACKET_BYTES_MAX} expected")
        end = start + length
        if end > len(buffer):
            return None
        packet = buffer[0] >> 4, buffer[0] & 0x0F, bytes(buffer[start:end])
        del buffer[:end]
        return packet

    def _fail(self, exc: Exception) -> None:
        if not self._accepted.done():
            self._accepted.set_exception(exc)
        self.abort()

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == _PUBLISH:
            self._take_publish(flags, body)
        elif kind == _PUBACK:
            self.on_puback(int.from_bytes(body[:2], "big"))
        elif kind == _CONNACK:
            self._take_connack(body)
        elif kind == _SUBACK:
            self._take_suback(body)
        elif kind == _DISCONNECT:
            self._fail(ProtocolError(f"the broker ended the connection, reason 0x{body[0] if body else 0:02x}"))
        elif kind != _PONG:
            raise ProtocolError(f"an unexpected packet of kind {kind}")

    def _take_publish(self, flags: int, body: bytes) -> None:
        end = 2 + int.from_bytes(body[:2], "big")
        topic, at = body[2:end].decode(), end
        if flags & 0x06:
            self._write(_packet(_PUBACK, 0, body[at : at + 2]))
            at += 2
        found = read_length(body, at)
        if found is None:
            raise ProtocolError("a message without properties")
        self.on_message(topic, body[found[0] + found[1] :])

    def _take_connack(self, body: bytes) -> None:
        if body[1] >= _REFUSED_FROM:
            raise ProtocolError(f"the broker refuses {self.client_id}, reason 0x{body[1]:02x}")
        found = read_length(body, 2)
        if found is not None:
            properties = number_properties(body[found[1] : found[1] + found[0]])
            self.receive_maximum = properties.get(_RECEIVE_MAXIMUM, self.receive_maximum)
        if not self._accepted.done():
            self._accepted.set_result(None)

    def _take_suback(self, body: bytes) -> None:
        found = read_length(body, 2)
        codes = body[found[0] + found[1] :] if found else b"\xff"
        if self._subscribed.done():
            return
        if any(code >= _REFUSED_FROM for code in codes):
            self._subscribed.set_exception(ProtocolError(f"the broker refuses a subscription of {self.client_id}"))
        else:
            self._subscribed.set_result(None)
