"""PUBLISH packets of MQTT 5 cut out of the bytes of a connection. Pure; everything else is left to the library.

The library reads three times and builds four objects a message: at one tap a message that costs more than storing it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

PUBLISH = 0x30
_KIND, _QOS_1, _QOS_2 = 0xF0, 0x02, 0x04
_MORE = 0x80
"""The bit of a variable byte integer that says another byte follows."""
_VARINT_BYTES_MAX = 4
_TOPICS_REMEMBERED_MAX = 50_000


class Inbound(NamedTuple):
    """A message, with what is needed to acknowledge it."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    connection: int


class Cut(NamedTuple):
    """What could be cut. `data[end:]` is left: the beginning of a PUBLISH when `partial`, else for the library."""

    messages: list[Inbound]
    end: int
    partial: bool


def cut(data: bytes, *, connection: int) -> Cut:
    """Take every whole PUBLISH of QoS 0 or 1 from the beginning of `data`, until something else stands there."""
    messages: list[Inbound] = []
    at, size = 0, len(data)
    while at < size and data[at] & _KIND == PUBLISH and not data[at] & _QOS_2:
        if at + 2 < size and data[at + 1] & _MORE and not data[at + 2] & _MORE:
            # The length of nearly every message, 128 to 16,383 bytes, without a call.
            length: int | None = data[at + 1] & ~_MORE | data[at + 2] << 7
            body = at + 3
        else:
            length, body = varint(data, at + 1)
        if length is None:
            return Cut(messages, at, body < _VARINT_BYTES_MAX)
        end = body + length
        if end > size:
            return Cut(messages, at, partial=True)
        message = _publish(data, at, body, end, connection)
        if message is None:
            break
        messages.append(message)
        at = end
    return Cut(messages, at, partial=False)


def varint(data: bytes, at: int) -> tuple[int | None, int]:
    """Read a variable byte integer: its value and where it ends; (None, bytes seen) when it does not end in `data`."""
    value = shift = 0
    for seen, byte in enumerate(data[at : at + _VARINT_BYTES_MAX], 1):
        value |= (byte & ~_MORE) << shift
        if not byte & _MORE:
            return value, at + seen
        shift += 7
    return None, len(data[at : at + _VARINT_BYTES_MAX])


def _publish(data: bytes, at: int, body: int, end: int, connection: int) -> Inbound | None:
    """Read one whole packet, or None when it is not well-formed: the library then says so to the broker."""
    qos = 1 if data[at] & _QOS_1 else 0
    topic_end = body + 2 + int.from_bytes(data[body : body + 2], "big")
    mid_end = topic_end + 2 * qos
    if mid_end >= end:
        return None
    properties: int | None = data[mid_end]
    payload = mid_end + 1
    if data[mid_end] & _MORE:
        properties, payload = varint(data, mid_end)
    if properties is None or payload + properties > end:
        return None
    try:
        topic = _text(data[body + 2 : topic_end])
    except UnicodeDecodeError:
        return None
    mid = int.from_bytes(data[topic_end:mid_end], "big")
    return Inbound(topic, data[payload + properties : end], mid, qos, connection)


@lru_cache(_TOPICS_REMEMBERED_MAX)
def _text(topic: bytes) -> str:
    """Read a topic; the same ones come over and over, and one object for each is found again faster."""
    return topic.decode()
