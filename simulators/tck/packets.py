"""MQTT 5 packets as a broker reads and writes them: only what a terminal and its central need."""

from __future__ import annotations

from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
PACKET_BYTES_MAX = 1024 * 1024
MQTT_5 = 5
UNSUPPORTED_VERSION = 0x84
CONTENT_TYPE, SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_QOS = 0x03, 0x11, 0x21, 0x24

_WIDTHS = {
    0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1,
    0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip
_SUBSCRIPTION_ID, _USER_PROPERTY = 0x0B, 0x26


class BadPacket(ValueError):
    """A client sent what is not MQTT 5; the message says what."""


@dataclass
class Reader:
    """Takes a packet's body apart from the front."""

    body: bytes
    at: int = 0

    def number(self, width: int) -> int:
        """Take a big-endian number."""
        return int.from_bytes(self.take(width), "big")

    def take(self, width: int) -> bytes:
        """Take bytes; raise `BadPacket` when there are not as many."""
        end = self.at + width
        if end > len(self.body):
            raise BadPacket(f"a packet ends {end - len(self.body)} bytes too early")
        found, self.at = self.body[self.at : end], end
        return found

    def binary(self) -> bytes:
        """Take bytes behind their length."""
        return self.take(self.number(2))

    def text(self) -> str:
        """Take a UTF-8 string."""
        try:
            return self.binary().decode()
        except UnicodeDecodeError as exc:
            raise BadPacket(f"a string is not UTF-8: {exc}") from exc

    def length(self) -> int:
        """Take a variable byte integer."""
        value = 0
        for step in range(4):
            byte = self.number(1)
            value |= (byte & 0x7F) << (7 * step)
            if not byte & 0x80:
                return value
        raise BadPacket("a length of more than four bytes")

    def properties(self) -> dict[int, int | bytes]:
        """Take the properties; user properties are passed over."""
        found: dict[int, int | bytes] = {}
        end = self.length() + self.at
        while self.at < end:
            name = self.number(1)
            if name == _USER_PROPERTY:
                self.binary()
                self.binary()
            elif name == _SUBSCRIPTION_ID:
                found[name] = self.length()
            else:
                width = _WIDTHS.get(name)
                found[name] = self.number(width) if width else self.binary()
        return found

    def rest(self) -> bytes:
        """Take what is left."""
        return self.take(len(self.body) - self.at)


@dataclass(frozen=True)
class Will:
    """What a client wants said when it vanishes."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Hello:
    """A CONNECT."""

    protocol: int
    client_id: str
    clean_start: bool
    keepalive_s: int
    receive_maximum: int = 65_535
    will: Will | None = None


@dataclass(frozen=True)
class Message:
    """A PUBLISH."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int
    content_type: str


@dataclass(frozen=True)
class Wish:
    """A SUBSCRIBE or UNSUBSCRIBE; filters with the wanted QoS."""

    packet_id: int
    filters: list[tuple[str, int]] = field(default_factory=list)


def read_hello(body: bytes) -> Hello:
    """Read CONNECT; of another version only the version is read."""
    reader = Reader(body)
    name, protocol = reader.text(), reader.number(1)
    if name != "MQTT" or protocol != MQTT_5:
        return Hello(protocol, "", clean_start=True, keepalive_s=0)
    flags, keepalive_s = reader.number(1), reader.number(2)
    receive_maximum = reader.properties().get(RECEIVE_MAXIMUM, 65_535)
    client_id, will = reader.text(), None
    if flags & 0x04:
        reader.properties()
        will = Will(reader.text(), reader.binary(), flags >> 3 & 0x03, bool(flags & 0x20))
    maximum = receive_maximum if isinstance(receive_maximum, int) else 65_535
    return Hello(protocol, client_id, bool(flags & 0x02), keepalive_s, maximum, will)


def read_message(flags: int, body: bytes) -> Message:
    """Read PUBLISH."""
    reader = Reader(body)
    name, qos = reader.text(), flags >> 1 & 0x03
    packet_id = reader.number(2) if qos else 0
    content_type = reader.properties().get(CONTENT_TYPE, b"")
    text = content_type.decode(errors="replace") if isinstance(content_type, bytes) else ""
    return Message(name, reader.rest(), qos, bool(flags & 0x01), bool(flags & 0x08), packet_id, text)


def read_wish(body: bytes, *, with_options: bool) -> Wish:
    """Read SUBSCRIBE, or UNSUBSCRIBE without options."""
    reader = Reader(body)
    wish = Wish(reader.number(2))
    reader.properties()
    while reader.at < len(body):
        name = reader.text()
        wish.filters.append((name, reader.number(1) & 0x03 if with_options else 0))
    return wish


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """Put a packet together."""
    return bytes([kind << 4 | flags]) + length_bytes(len(body)) + body


def length_bytes(length: int) -> bytes:
    """Write a variable byte integer."""
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (0x80 if length else 0))
        if not length:
            return bytes(out)


def connack(*, receive_maximum: int) -> bytes:
    """Accept a client: so many unacknowledged messages from it at once, at QoS 1 at most."""
    properties = bytes([RECEIVE_MAXIMUM]) + receive_maximum.to_bytes(2, "big") + bytes([MAXIMUM_QOS, 1])
    return packet(CONNACK, 0, b"\x00\x00" + length_bytes(len(properties)) + properties)


def refuse(reason: int) -> bytes:
    """Refuse a client."""
    return packet(CONNACK, 0, bytes([0, reason, 0]))


def puback(packet_id: int) -> bytes:
    """Acknowledge a PUBLISH."""
    return packet(PUBACK, 0, packet_id.to_bytes(2, "big"))


def granted(kind: int, wish: Wish) -> bytes:
    """Answer SUBSCRIBE or UNSUBSCRIBE: every filter granted, at QoS 1 at most."""
    codes = bytes(min(qos, 1) for _, qos in wish.filters)
    return packet(kind, 0, wish.packet_id.to_bytes(2, "big") + b"\x00" + codes)


def publish(topic: str, payload: bytes, *, packet_id: int, retain: bool) -> bytes:
    """Send a message at QoS 1."""
    raw = topic.encode()
    body = len(raw).to_bytes(2, "big") + raw + packet_id.to_bytes(2, "big") + b"\x00" + payload
    return packet(PUBLISH, 0x02 | int(retain), body)
