"""One terminal of a fleet: the real uplink protocol over a journal in memory and a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from central.kit.clock import SystemClock
from edge_agent.transport.uplink import Alarm, Announce, Publish, Uplink, UplinkLimits
from edge_agent.wire import codec
from edge_agent.wire.messages import BATCH_CONTENT_TYPE, Ack, Birth, Direction, Heartbeat, Signed, TerminalState
from edge_agent.wire.topics import CENTRAL_STATE, incident_topic, roster_topic, terminal_topic
from simulators.fleet_journal import UNTIMED_S, MemoryJournal
from simulators.mqtt5 import Mqtt5Client, ProtocolError, Will

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edge_agent.transport.uplink import Output
    from edge_agent.wire.topics import TerminalKind

RECONNECT_S_MAX = 10.0
COMPLAINTS_MAX = 20
SAMPLES_MAX = 500_000


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What a fleet at one site is to do. Terminals are `{prefix}-0001` …; they must be registered at the site."""

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
    """Sent and not acknowledged for so long: sent again at the next heartbeat."""
    seed: int = 1


def terminal_codes(plan: FleetPlan) -> list[str]:
    """List the codes of the fleet's terminals."""
    return [f"{plan.prefix}-{number:04d}" for number in range(1, plan.terminals + 1)]


class Sample(NamedTuple):
    """One tap made while connected: when, and how long until central's database held it. Monotonic seconds."""

    at_s: float
    took_s: float
    group: str


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
    bad_acks: int = 0
    complaints: list[str] = field(default_factory=list)
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))

    @property
    def resent(self) -> int:
        """Events that were sent more than once, or are on their way."""
        return max(0, self.published - self.durable)

    def complain(self, sentence: str) -> None:
        """Count an ack that does not fit."""
        self.bad_acks += 1
        self.note(sentence)

    def note(self, sentence: str) -> None:
        """Keep the first few sentences about what went wrong."""
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(sentence)


class _Versioned(msgspec.Struct):
    version: int


@dataclass(frozen=True, slots=True)
class Habits:
    """How a terminal behaves, whatever its site."""

    url: str
    heartbeat_s: float = 15.0
    limits: UplinkLimits = field(default_factory=UplinkLimits)
    seed: int = 1
    hears_site: bool = True
    """Subscribe to the roster, the incident and central's state as a real terminal does, not to the ack alone."""


class FleetTerminal:
    """One terminal: a journal in memory and a connection of its own. `group` marks its samples."""

    def __init__(self, habits: Habits, site: str, code: str, tally: Tally, *, group: str = "") -> None:
        self.site, self.code, self.group = site, code, group
        self._habits = habits
        self._tally = tally
        self._clock = SystemClock()
        self.journal = MemoryJournal(site, code, complain=tally.complain, covered=self._covered)
        self._uplink = Uplink(self.journal, habits.limits)
        self._handles: dict[int, int] = {}
        """Packet id to the protocol's handle."""
        self._roster_version = 0
        self._topics: dict[TerminalKind, str] = {}
        self._client: Mqtt5Client | None = None
        self._allowed = asyncio.Event()
        self._allowed.set()

    @property
    def unacknowledged(self) -> int:
        """How many events central is not known to hold."""
        return self._uplink.unacknowledged

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._client is not None and self._client.connected

    def tap(self, token: str, direction: Direction) -> None:
        """Append a tap and send what the protocol allows. Taps made offline are not timed."""
        self.journal.tap(token, direction, timed=self.connected)
        self._tally.taps += 1
        self._carry_out(self._uplink.appended(time.monotonic()))

    def tapped(self, token: str, direction: Direction, at: datetime) -> None:
        """Append a tap of an earlier day; call before the first connect."""
        self.journal.tap(token, direction, at=at, timed=False)
        self._tally.taps += 1

    def cut(self) -> None:
        """Lose the connection, as a terminal does whose network is gone, and stay away until `mend`."""
        self._allowed.clear()
        if self._client is not None:
            self._client.abort()

    def mend(self) -> None:
        """Let it connect again."""
        self._allowed.set()

    async def run(self, gate: asyncio.Semaphore) -> None:
        """Stay connected, unless `cut`, until cancelled; then leave in an orderly way."""
        chance = random.Random(f"{self._habits.seed}/{self.site}/{self.code}")
        wait_s = 0.1
        while True:
            try:
                await self._allowed.wait()
                async with gate:
                    await self._connect()
                wait_s = 0.1
                await self._live(chance)
            except (OSError, TimeoutError, ProtocolError) as exc:
                self._tally.note(f"{self.site}/{self.code}: {exc}")
            finally:
                self._leave()
            await asyncio.sleep(wait_s * chance.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, RECONNECT_S_MAX)

    async def _connect(self) -> None:
        gone = codec.encode(self._state(online=False))
        client = Mqtt5Client(
            f"ccs-{self.site}-{self.code}",
            on_message=self._on_message,
            on_puback=self._on_puback,
            will=Will(self._topic("state"), gone),
        )
        await client.connect(self._habits.url)
        await client.subscribe(*self._subscriptions())
        self._client, self._handles = client, {}
        self._tally.connected += 1
        self._tally.connects += 1
        self._carry_out(self._uplink.connected(time.monotonic(), receive_maximum=client.receive_maximum))

    def _subscriptions(self) -> list[str]:
        mine = [self._topic("ack")]
        if self._habits.hears_site:
            mine += [self._topic("command"), roster_topic(self.site), incident_topic(self.site)]
            mine.append(CENTRAL_STATE)
        return mine

    def _carry_out(self, outputs: Iterable[Output]) -> None:
        client = self._client
        for output in outputs:
            if isinstance(output, Alarm):
                self._tally.note(f"{self.site}/{self.code}: {output.detail}")
            elif client is None or not client.connected:
                continue
            elif isinstance(output, Publish):
                topic = self._topic(output.lane)
                packet_id = client.publish(topic, output.payload, content_type=BATCH_CONTENT_TYPE)
                self._handles[packet_id] = output.handle
                self._tally.published += output.last - output.first + 1
            elif isinstance(output, Announce):
                client.publish(self._topic("state"), codec.encode(self._state(online=True)), retain=True)
                client.publish(self._topic("birth"), codec.encode(self._birth()))
            else:
                client.abort()

    def _topic(self, kind: TerminalKind) -> str:
        topic = self._topics.get(kind)
        if topic is None:
            topic = self._topics[kind] = terminal_topic(self.site, self.code, kind)
        return topic

    def _state(self, *, online: bool) -> TerminalState:
        return TerminalState(online=online, boot_id=self.journal.boot_id, at=self._clock.now())

    def _birth(self) -> Birth:
        journal = self.journal
        return Birth(
            journal_id=journal.journal_id,
            head_seq=journal.head_seq,
            head_hash=journal.head_hash,
            boot_id=journal.boot_id,
            at=self._clock.now(),
            boottime_ns=time.monotonic_ns(),
            clock_state="synced",
            clock_error_ms=5,
            versions={"fleet": "1"},
            config_hash="",
            durable=journal.durable,
            epoch=journal.epoch,
        )

    async def _live(self, chance: random.Random) -> None:
        """Beat until the connection is gone; let the protocol send again what stays unacknowledged for long."""
        client = self._client
        while client is not None and client.connected:
            with contextlib.suppress(TimeoutError):
                beat_s = self._habits.heartbeat_s * chance.uniform(0.9, 1.1)
                await asyncio.wait_for(asyncio.shield(client.closed), beat_s)
                return
            client.publish_once(self._topic("heartbeat"), codec.encode(self._heartbeat()))
            self._carry_out(self._uplink.tick(time.monotonic()))

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            journal_id=self.journal.journal_id,
            boot_id=self.journal.boot_id,
            at=self._clock.now(),
            boottime_ns=time.monotonic_ns(),
            head_seq=self.journal.head_seq,
            unacknowledged=self.unacknowledged,
            free_bytes=0,
            clock_state="synced",
            clock_error_ms=5,
            roster_version=self._roster_version,
            readers={"r1": 0.0, "r2": 0.0},
        )

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        self._tally.connected -= 1
        self._uplink.disconnected()
        if client.connected:
            client.publish(self._topic("state"), codec.encode(self._state(online=False)), retain=True)
            client.disconnect()

    def _on_puback(self, packet_id: int) -> None:
        handle = self._handles.pop(packet_id, None)
        if handle is not None:
            self._tally.received += 1
            self._carry_out(self._uplink.puback(handle, time.monotonic()))

    def _on_message(self, topic: str, payload: bytes) -> None:
        if not topic.endswith("/ack"):
            if topic.endswith("/roster") and payload:
                self._note_roster(payload)
            return
        try:
            ack = codec.decode(payload, Ack)
        except msgspec.DecodeError as exc:
            self._tally.complain(f"{topic}: not an ack: {exc}")
            return
        if ack.journal_id == self.journal.journal_id:
            self._tally.acks += 1
            self._carry_out(self._uplink.acknowledged(ack, time.monotonic()))

    def _note_roster(self, payload: bytes) -> None:
        """Remember the version that heartbeats name, as a real terminal does; nobody is let in by it here."""
        with contextlib.suppress(msgspec.DecodeError):
            body = codec.decode(payload, Signed).body
            self._roster_version = max(self._roster_version, msgspec.json.decode(body, type=_Versioned).version)

    def _covered(self, appended_s: float) -> None:
        self._tally.durable += 1
        if appended_s != UNTIMED_S:
            self._tally.samples.append(Sample(appended_s, time.monotonic() - appended_s, self.group))
