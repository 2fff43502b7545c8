from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from central.kit.mqtt_packets import Inbound, cut, varint

PINGRESP = b"\xd0\x00"


def varint_bytes(value: int) -> bytes:
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(topic: str, payload: bytes, *, mid: int = 7, qos: int = 1, content_type: str = "") -> bytes:
    """A PUBLISH as a broker writes it."""
    properties = Properties(PacketTypes.PUBLISH)
    if content_type:
        properties.ContentType = content_type
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if qos else b"") + properties.pack() + payload
    return bytes([0x30 | qos << 1]) + varint_bytes(len(body)) + body


messages = st.builds(
    Inbound,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.one_of(st.binary(max_size=40), st.binary(min_size=120, max_size=300), st.just(b"x" * 20_000)),
    st.integers(1, 65_535),
    st.just(1),
    st.just(3),
)


@given(st.lists(messages, max_size=6), st.data())
def test_messages_come_out_whole_however_the_stream_was_split(sent: list[Inbound], data: st.DataObject) -> None:
    types = [data.draw(st.sampled_from(["", "application/cloudevents-batch+json"])) for _ in sent]
    packets = [
        packet(one.topic, one.payload, mid=one.mid, content_type=kind) for one, kind in zip(sent, types, strict=True)
    ]
    stream = b"".join(packets)
    edges = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    got: list[Inbound] = []
    unread, before = b"", 0
    for edge in [*edges, len(stream)]:
        unread, before = unread + stream[before:edge], edge
        found = cut(unread, connection=3)
        assert found.partial == (found.end < len(unread))
        got += found.messages
        unread = unread[found.end :]
    assert (got, unread) == (sent, b"")


def test_what_is_no_publish_of_ours_is_left_where_it_stands() -> None:
    first = packet("a", b"1")
    for other in (PINGRESP, packet("b", b"2", qos=2), b"\x90\x03\x00\x01\x00"):
        found = cut(first + other + first, connection=1)
        assert ([one.payload for one in found.messages], found.end, found.partial) == ([b"1"], len(first), False)


def test_a_message_of_qos_0_has_no_number() -> None:
    found = cut(packet("a/b", b"state", qos=0), connection=1)
    assert found.messages == [Inbound("a/b", b"state", 0, 0, 1)]


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader(noise: bytes) -> None:
    for start in (b"", b"\x32", b"\x30\x80", b"\x32\x09\x00\x01a"):
        found = cut(start + noise, connection=1)
        assert 0 <= found.end <= len(start + noise)


def test_a_packet_that_contradicts_itself_is_left_to_the_library() -> None:
    topic_too_long = b"\x32\x05\x00\x09abc"
    properties_too_long = b"\x32\x06\x00\x01a\x00\x01\x7f"
    not_text = b"\x32\x06\x00\x01\xff\x00\x01\x00"
    endless = b"\x32\xff\xff\xff\xff\x7f"
    for wrong in (topic_too_long, properties_too_long, not_text, endless):
        assert cut(wrong, connection=1) == ([], 0, False)


@given(st.integers(0, 268_435_455))
def test_a_variable_byte_integer_is_read_as_written(value: int) -> None:
    written = varint_bytes(value)
    assert varint(written + b"\xff", 0) == (value, len(written))
    assert varint(written[:-1], 0)[0] is None


def test_the_library_is_the_one_whose_inside_is_known() -> None:
    """`_Client` takes over these methods; a new version of the library must be looked at before it is used."""
    from central.kit import mqtt

    own = mqtt._Client("test", receive=lambda _messages: None)
    assert own._protocol == MQTTv5
    for name in ("_sock", "_in_packet", "_msgtime_mutex", "_last_bytes_received", "_clean_start"):
        assert hasattr(own, name)
    base = mqtt._Client.__mro__[1]
    for name in ("loop_read", "_sock_recv", "_sock_close", "_packet_read", "_loop_rc_handle", "_packet_queue"):
        assert callable(getattr(base, name))
