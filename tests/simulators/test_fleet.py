"""The fleet against a real broker: it keeps the contract, and it notices a central that does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_agent.wire import codec
from edge_agent.wire.messages import Ack
from edge_agent.wire.topics import all_terminals, parse_terminal_topic, terminal_topic
from simulators.fleet import FleetReport, FleetTooLarge, allow_connections, run_fleet
from simulators.fleet_terminal import FleetPlan
from simulators.mqtt5 import Mqtt5Client, ProtocolError, length_bytes, number_properties, read_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.servers import EmbeddedBroker, MosquittoBroker

HEARD_OF = 5
TOKENS = tuple(f"{number:032x}" for number in range(50))


class TinyCentral:
    """Takes events, checks each chain from its first event, and acknowledges; or lies, when told how."""

    def __init__(self, lie: Callable[[Ack], Ack] | None = None) -> None:
        self.heads: dict[str, tuple[int, str]] = {}
        self.broken: list[str] = []
        self.births = 0
        self.heard = asyncio.Event()
        self._lie = lie
        self._client = Mqtt5Client("tiny-central", on_message=self._on_message, on_puback=lambda _: None)

    async def start(self, url: str) -> None:
        await self._client.connect(url)
        await self._client.subscribe(all_terminals("events"), all_terminals("live"), all_terminals("birth"))

    def stop(self) -> None:
        self._client.disconnect()

    def _on_message(self, topic: str, payload: bytes) -> None:
        where = parse_terminal_topic(topic)
        assert where is not None
        if where.kind == "birth":
            self.births += 1
            return
        for raw in codec.split_batch(payload):
            event = codec.decode_event(raw)
            seq, head_hash = self.heads.get(event.journalid, (0, codec.GENESIS_HASH))
            if int(event.sequence) != seq + 1:
                continue
            self.heads[event.journalid] = (seq + 1, codec.event_hash(raw))
            if event.prevhash != head_hash:
                self.broken.append(event.id)
        if len(self.heads) >= HEARD_OF:
            self.heard.set()
        durable, durable_hash = self.heads.get(event.journalid, (0, codec.GENESIS_HASH))
        ack = Ack(journal_id=event.journalid, durable=durable, hash=durable_hash, have=[], epoch=1)
        answer = self._lie(ack) if self._lie else ack
        self._client.publish(terminal_topic(where.site, where.terminal, "ack"), codec.encode(answer))


async def play(url: str, plan: FleetPlan, central: TinyCentral) -> FleetReport:
    await central.start(url)
    try:
        return await run_fleet(plan)
    finally:
        central.stop()


@pytest.mark.system
def test_a_hundred_terminals_keep_their_chains_and_see_every_tap_acknowledged(embedded_broker: EmbeddedBroker) -> None:
    central = TinyCentral()
    plan = FleetPlan(url=embedded_broker.url, site="s", tokens=TOKENS, terminals=100, taps=3000, backlog=5)
    report = asyncio.run(play(embedded_broker.url, plan, central))
    assert report.unacknowledged == 0
    assert report.tally.taps == 3000
    assert report.tally.durable == 3000 + 100, "every tap and every boot event"
    assert report.tally.bad_acks == 0
    assert not report.tally.complaints
    assert central.births == 100
    assert not central.broken
    assert len(central.heads) == 100
    assert 0 < report.latency_ms(50) <= report.latency_ms(99)


@pytest.mark.system
def test_it_speaks_to_mosquitto_too(mosquitto: MosquittoBroker) -> None:
    central = TinyCentral()
    plan = FleetPlan(url=mosquitto.url, site="s", tokens=TOKENS, terminals=20, taps=500)
    report = asyncio.run(play(mosquitto.url, plan, central))
    assert (report.unacknowledged, report.tally.bad_acks, central.broken) == (0, 0, [])


@pytest.mark.system
def test_an_ack_with_a_foreign_hash_moves_nothing_and_is_counted(embedded_broker: EmbeddedBroker) -> None:
    central = TinyCentral(lambda ack: Ack(ack.journal_id, ack.durable, "f" * 64, [], ack.epoch))
    plan = FleetPlan(url=embedded_broker.url, site="s", tokens=TOKENS, terminals=2, taps=20, drain_s_max=0.5)
    report = asyncio.run(play(embedded_broker.url, plan, central))
    assert report.tally.bad_acks >= 2
    assert report.tally.durable == 0
    assert report.unacknowledged == 22
    assert "another hash than ours" in report.tally.complaints[0]


@pytest.mark.system
def test_a_broker_that_is_gone_comes_back_and_nothing_is_lost(embedded_broker: EmbeddedBroker) -> None:
    async def scenario() -> tuple[FleetReport, TinyCentral]:
        central = TinyCentral()
        await central.start(embedded_broker.url)
        plan = FleetPlan(
            url=embedded_broker.url,
            site="s",
            tokens=TOKENS,
            terminals=HEARD_OF,
            taps=400,
            rate_per_s=400,
            heartbeat_s=0.2,
            resend_s=0.5,
        )
        running = asyncio.create_task(run_fleet(plan))
        await central.heard.wait()
        await asyncio.to_thread(embedded_broker.kill)
        await asyncio.to_thread(embedded_broker.start)
        again = TinyCentral()
        again.heads = central.heads
        await again.start(embedded_broker.url)
        report = await running
        again.stop()
        return report, again

    report, central = asyncio.run(scenario())
    assert report.unacknowledged == 0
    assert report.tally.connects == 10
    assert not central.broken


def test_more_connections_than_the_system_allows_are_refused_with_what_to_do() -> None:
    with pytest.raises(FleetTooLarge, match="at most 10000 terminals"):
        allow_connections(10_001)


def test_nobody_listening_is_an_error_that_says_so() -> None:
    async def scenario() -> None:
        client = Mqtt5Client("x", on_message=lambda _t, _p: None, on_puback=lambda _: None)
        await client.connect("mqtt://127.0.0.1:1")

    with pytest.raises(ConnectionRefusedError):
        asyncio.run(scenario())


def test_lengths_are_read_as_written() -> None:
    for length in (0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152):
        assert read_length(length_bytes(length), 0) == (length, len(length_bytes(length)))
    assert read_length(b"\x80", 0) is None
    with pytest.raises(ProtocolError):
        read_length(b"\xff\xff\xff\xff\xff", 0)


def test_the_receive_maximum_is_found_among_other_properties() -> None:
    data = b"\x12\x00\x03abc" + b"\x26\x00\x01a\x00\x01b" + b"\x21\x00\x14" + b"\x27\x00\x00\x10\x00"
    assert number_properties(data) == {0x21: 20, 0x27: 4096}
