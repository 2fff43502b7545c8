"""One terminal of a fleet: a journal in memory, a connection of its own, and a chain that every ack is held against."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from central.kit.clock import SystemClock
from edge_agent.wire import codec
from edge_agent.wire.ids import new_journal_id
from edge_agent.wire.messages import (
    BATCH_BYTES_MAX,
    BATCH_CONTENT_TYPE,
    BOOT,
    EVENTS_A_BATCH_MAX,
    TAP,
    Ack,
    Birth,
    Credential,
    Direction,
    Heartbeat,
    TapData,
    TerminalState,
)
from edge_agent.wire.topics import terminal_topic
from simulators.mqtt5 import Mqtt5Client, ProtocolError, Will

if TYPE_CHECKING:
    from collections.abc import Sequence

RECONNECT_S_MAX = 10.0
WINDOW_BATCHES_MAX = 20
COMPLAINTS_MAX = 20
LATENCIES_MAX = 200_000


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What the fleet is to do. Terminals are `{prefix}-0001` …; they must be registered at the site."""

    url: str
    site: str
    tokens: Sequence[str]
    """Card tokens that are held to the readers, in random order."""
    terminals: int = 100
    prefix: str = "fleet"
    taps: int = 10_000
    """Over all terminals, backlog included."""
    rate_per_s: float = 0.0
    """Taps a second over all terminals; 0 is as fast as they are acknowledged."""
    backlog: int = 0
    """Taps that each terminal holds before it connects: a site that was offline."""
    outstanding_max: int = 20_000
    """Unacknowledged taps over all terminals at which an unlimited rate waits."""
    drain_s_max: float = 60.0
    heartbeat_s: float = 15.0
    resend_s: float = 20.0
    """Without an ack for so long, a heartbeat is followed by everything unacknowledged."""
    seed: int = 1


def terminal_codes(plan: FleetPlan) -> list[str]:
    """List the codes of the fleet's terminals."""
    return [f"{plan.prefix}-{number:04d}" for number in range(1, plan.terminals + 1)]


@dataclass
class Tally:
    """Counts over all terminals, kept up to date while the fleet runs."""

    connected: int = 0
    connects: int = 0
    taps: int = 0
    published: int = 0
    """Events published, those sent again included."""
    received: int = 0
    """Batches that the broker acknowledged."""
    durable: int = 0
    """Taps and boots that central acknowledged."""
    acks: int = 0
    resent: int = 0
    bad_acks: int = 0
    complaints: list[str] = field(default_factory=list)
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))
    """From appended to acknowledged as durable."""

    def complain(self, sentence: str) -> None:
        """Count an ack that does not fit."""
        self.bad_acks += 1
        self.note(sentence)

    def note(self, sentence: str) -> None:
        """Keep the first few sentences about what went wrong."""
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(sentence)


_BOOT_DATA = msgspec.Raw(b'{"versions":{"fleet":"1"},"config_hash":""}')
_CREDENTIAL = Credential(method="desfire_ev2", assurance=3, keyver=1)


def _tap_data(direction: Direction, reader: str) -> msgspec.Raw:
    data = TapData(
        direction=direction, reader=reader, zone="fleet", credential=_CREDENTIAL, decision="accepted", shown="green"
    )
    return msgspec.Raw(msgspec.json.encode(data))


_TAPS: dict[Direction, msgspec.Raw] = {"in": _tap_data("in", "r1"), "out": _tap_data("out", "r2")}


@dataclass
class _Kept:
    bytes_: bytes
    hash: str
    at_s: float
    """Monotonic, when appended."""


class FleetTerminal:
    """One terminal: a journal in memory and a connection of its own."""

    def __init__(self, plan: FleetPlan, code: str, tally: Tally) -> None:
        self.code = code
        self._plan = plan
        self._tally = tally
        self._clock = SystemClock()
        self._journal_id = new_journal_id()
        self._boot_id = f"fleet-{self._journal_id[-12:]}"
        self._kept: dict[int, _Kept] = {}
        self._head, self._head_hash = 0, codec.GENESIS_HASH
        self._durable, self._epoch = 0, 0
        self._sent = 0
        self._in_flight: set[int] = set()
        self._ack_at_s = time.monotonic()
        self._client: Mqtt5Client | None = None
        self._append(BOOT, _BOOT_DATA, None)

    @property
    def unacknowledged(self) -> int:
        """How many events central has not acknowledged."""
        return self._head - self._durable

    def tap(self, token: str, direction: Direction) -> None:
        """Append a tap and send what the window allows."""
        self._append(TAP, _TAPS[direction], token)
        self._tally.taps += 1
        self.send()

    def _append(self, type_: str, data: msgspec.Raw, token: str | None) -> None:
        self._head += 1
        event = codec.encode_event(
            type_=type_,
            site=self._plan.site,
            terminal=self.code,
            journal_id=self._journal_id,
            seq=self._head,
            at=self._clock.now(),
            boot_id=self._boot_id,
            boottime_ns=time.monotonic_ns(),
            clock_state="synced",
            clock_error_ms=5,
            clock_epoch=0,
            prev_hash=self._head_hash,
            data=data,
            token=token,
        )
        self._head_hash = codec.event_hash(event)
        self._kept[self._head] = _Kept(event, self._head_hash, time.monotonic())

    def send(self) -> None:
        """Publish what was not sent yet, in batches, as far as the window allows."""
        client = self._client
        if client is None or not client.connected:
            return
        window = min(WINDOW_BATCHES_MAX, client.receive_maximum)
        while self._sent < self._head and len(self._in_flight) < window:
            batch: list[bytes] = []
            size = 2
            while self._sent + len(batch) < self._head and len(batch) < EVENTS_A_BATCH_MAX:
                event = self._kept[self._sent + len(batch) + 1].bytes_
                size += len(event) + 1
                if size > BATCH_BYTES_MAX:
                    break
                batch.append(event)
            topic = terminal_topic(self._plan.site, self.code, "events")
            self._in_flight.add(client.publish(topic, codec.join_batch(batch), content_type=BATCH_CONTENT_TYPE))
            self._sent += len(batch)
            self._tally.published += len(batch)

    async def run(self, gate: asyncio.Semaphore) -> None:
        """Stay connected until cancelled; then leave in an orderly way."""
        chance = random.Random(f"{self._plan.seed}/{self.code}")
        wait_s = 0.1
        while True:
            try:
                async with gate:
                    await self._connect()
                wait_s = 0.1
                await self._live(chance)
            except (OSError, TimeoutError, ProtocolError) as exc:
                self._tally.note(f"{self.code}: {exc}")
            finally:
                self._leave()
            await asyncio.sleep(wait_s * chance.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, RECONNECT_S_MAX)

    async def _connect(self) -> None:
        at = self._clock.now()
        gone = codec.encode(TerminalState(online=False, boot_id=self._boot_id, at=at))
        state_topic = terminal_topic(self._plan.site, self.code, "state")
        client = Mqtt5Client(
            f"ccs-{self._plan.site}-{self.code}",
            on_message=self._on_message,
            on_puback=self._on_puback,
            will=Will(state_topic, gone),
        )
        await client.connect(self._plan.url)
        await client.subscribe(terminal_topic(self._plan.site, self.code, "ack"))
        client.publish(state_topic, codec.encode(TerminalState(online=True, boot_id=self._boot_id, at=at)), retain=True)
        client.publish(terminal_topic(self._plan.site, self.code, "birth"), codec.encode(self._birth()))
        self._client, self._sent, self._in_flight = client, self._durable, set()
        self._ack_at_s = time.monotonic()
        self._tally.connected += 1
        self._tally.connects += 1
        self.send()

    def _birth(self) -> Birth:
        return Birth(
            journal_id=self._journal_id,
            head_seq=self._head,
            head_hash=self._head_hash,
            boot_id=self._boot_id,
            at=self._clock.now(),
            boottime_ns=time.monotonic_ns(),
            clock_state="synced",
            clock_error_ms=5,
            versions={"fleet": "1"},
            config_hash="",
            durable=self._durable,
            epoch=self._epoch,
        )

    async def _live(self, chance: random.Random) -> None:
        """Beat until the connection is gone; send again what stays unacknowledged for long."""
        client = self._client
        while client is not None and client.connected:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(client.closed), self._plan.heartbeat_s * chance.uniform(0.9, 1.1))
                return
            client.publish_once(
                terminal_topic(self._plan.site, self.code, "heartbeat"), codec.encode(self._heartbeat())
            )
            if self.unacknowledged and time.monotonic() - self._ack_at_s > self._plan.resend_s:
                self._tally.resent += self._sent - self._durable
                self._sent, self._in_flight = self._durable, set()
                self._ack_at_s = time.monotonic()
                self.send()

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            journal_id=self._journal_id,
            boot_id=self._boot_id,
            at=self._clock.now(),
            boottime_ns=time.monotonic_ns(),
            head_seq=self._head,
            unacknowledged=self.unacknowledged,
            free_bytes=0,
            clock_state="synced",
            clock_error_ms=5,
            roster_version=0,
            readers={"r1": 0.0, "r2": 0.0},
        )

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        self._tally.connected -= 1
        if client.connected:
            gone = codec.encode(TerminalState(online=False, boot_id=self._boot_id, at=self._clock.now()))
            client.publish(terminal_topic(self._plan.site, self.code, "state"), gone, retain=True)
            client.disconnect()

    def _on_puback(self, packet_id: int) -> None:
        if packet_id in self._in_flight:
            self._in_flight.discard(packet_id)
            self._tally.received += 1
            self.send()

    def _on_message(self, topic: str, payload: bytes) -> None:
        try:
            ack = codec.decode(payload, Ack)
        except msgspec.DecodeError as exc:
            self._tally.complain(f"{topic}: not an ack: {exc}")
            return
        if ack.journal_id == self._journal_id:
            self._tally.acks += 1
            self._ack_at_s = time.monotonic()
            self._apply(ack)

    def _apply(self, ack: Ack) -> None:
        """Move the cursor when the ack fits the chain; complain when it does not."""
        if ack.durable <= self._durable:
            if ack.durable < self._durable and ack.epoch <= self._epoch:
                self._tally.complain(f"{self.code}: ack went back from {self._durable} to {ack.durable} in one epoch")
            return
        kept = self._kept.get(ack.durable)
        if kept is None or kept.hash != ack.hash:
            where = f"{self.code}: ack of {ack.durable} (head {self._head})"
            self._tally.complain(f"{where}: {'not ours' if kept is None else 'another hash than ours'}")
            return
        now_s = time.monotonic()
        for seq in range(self._durable + 1, ack.durable + 1):
            self._tally.latencies_s.append(now_s - self._kept.pop(seq).at_s)
        self._tally.durable += ack.durable - self._durable
        self._durable, self._epoch = ack.durable, max(self._epoch, ack.epoch)
        self._sent = max(self._sent, self._durable)
