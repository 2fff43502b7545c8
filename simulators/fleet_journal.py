"""A terminal's journal in memory, as the uplink protocol reads it: bytes made once, chained, given back until durable.

No disk, so nothing here proves durability; a fleet is load, and a check of every acknowledgement.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from central.kit.clock import SystemClock
from edge_agent.transport.ranges import Ranges
from edge_agent.wire.codec import GENESIS_HASH, event_hash
from edge_agent.wire.event_writer import EventWriter
from edge_agent.wire.ids import new_journal_id
from edge_agent.wire.messages import BOOT, TAP, Credential, Direction, TapData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edge_agent.wire.messages import Ack, ClockState

UNTIMED_S = -1.0
"""Instead of an instant: nobody waits for this event."""
_BOOT_DATA = msgspec.Raw(b'{"versions":{"fleet":"1"},"config_hash":""}')
_CREDENTIAL = Credential(method="desfire_ev2", assurance=3, keyver=1)
_READERS: dict[Direction, str] = {"in": "r1", "out": "r2"}


@dataclass(frozen=True, slots=True)
class FleetStamp:
    """A reading of a clock that is never wrong."""

    at: datetime
    boottime_ns: int
    boot_id: str
    state: ClockState = "synced"
    error_ms: int = 5
    epoch: int = 0


class FleetRecord(NamedTuple):
    """One record, as `edge_agent.transport.uplink.Source` gives it."""

    seq: int
    bytes: bytes


class MemoryJournal:
    """A `Source` for `Uplink`, and the judge of central's acknowledgements."""

    def __init__(
        self,
        site: str,
        terminal: str,
        *,
        complain: Callable[[str], None],
        covered: Callable[[float], None],
    ) -> None:
        """`covered` is called for each event that central newly holds, with when it was appended, or `UNTIMED_S`."""
        self.journal_id = new_journal_id()
        self.boot_id = f"fleet-{self.journal_id[-12:]}"
        self.head_hash = GENESIS_HASH
        self.durable, self.epoch = 0, 0
        self.have: Sequence[tuple[int, int]] = ()
        self._name = f"{site}/{terminal}"
        self._zone = terminal
        self._complain, self._covered = complain, covered
        self._clock = SystemClock()
        self._writer = EventWriter(site=site, terminal=terminal, journal_id=self.journal_id)
        self._events: list[bytes] = []
        """By seq - 1; emptied once durable."""
        self._at_s = array("d")
        self._durable_hash = GENESIS_HASH
        self._data: dict[Direction, msgspec.Raw] = {}
        self._append(BOOT, _BOOT_DATA, None, at=None, timed=False)

    @property
    def head_seq(self) -> int:
        """The newest number."""
        return len(self._events)

    def tap(self, token: str, direction: Direction, *, at: datetime | None = None, timed: bool = True) -> None:
        """Append a tap, now or `at` another time; `timed` ones are reported with their age when covered."""
        data = self._data.get(direction)
        if data is None:
            data = self._data[direction] = _tap_data(direction, self._zone)
        self._append(TAP, data, token, at=at, timed=timed)

    def _append(self, type_: str, data: msgspec.Raw, token: str | None, *, at: datetime | None, timed: bool) -> None:
        stamp = FleetStamp(at or self._clock.now(), time.monotonic_ns(), self.boot_id)
        event = self._writer.write(type_, len(self._events) + 1, stamp, self.head_hash, data, token)
        self.head_hash = event_hash(event)
        self._events.append(event)
        self._at_s.append(time.monotonic() if timed else UNTIMED_S)

    def read(self, after: int, *, events_max: int, bytes_max: int) -> list[FleetRecord]:
        """Return the next records beyond `after`, at least one when there is one."""
        found: list[FleetRecord] = []
        size = 0
        for seq in range(after + 1, min(after + events_max, len(self._events)) + 1):
            event = self._events[seq - 1]
            size += len(event)
            if found and size > bytes_max:
                break
            found.append(FleetRecord(seq, event))
        return found

    def acknowledge(self, ack: Ack) -> str | None:
        """Believe an acknowledgement that fits our chain; complain about any other and return why."""
        if ack.epoch < self.epoch or (ack.epoch == self.epoch and ack.durable < self.durable):
            return None  # overtaken: two workers answer in any order
        refusal = self._wrong(ack)
        if refusal is not None:
            self._complain(refusal)
            return refusal
        self.epoch = ack.epoch
        before = Ranges([(1, self.durable), *self.have])
        self.have = [pair for pair in ack.have if pair[1] > ack.durable]
        self._cover(before, ack)
        return None

    def _wrong(self, ack: Ack) -> str | None:
        where = f"{self._name}: ack of {ack.durable} (head {self.head_seq}, durable {self.durable})"
        if ack.durable > self.head_seq:
            return f"{where}: not ours"
        if ack.durable < self.durable:
            return f"{where}: the acknowledged events are not kept by this fleet, and asked for again"
        known = self._durable_hash if ack.durable == self.durable else event_hash(self._events[ack.durable - 1])
        return None if known == ack.hash else f"{where}: another hash than ours"

    def _cover(self, before: Ranges, ack: Ack) -> None:
        """Report what is newly held, and let go of what no acknowledgement will ask for again."""
        for first, last in [(self.durable + 1, ack.durable), *self.have]:
            at = first
            while gap := before.lowest_gap(at, last):
                for seq in range(gap[0], gap[1] + 1):
                    self._covered(self._at_s[seq - 1])
                at = gap[1] + 1
        for seq in range(self.durable + 1, ack.durable + 1):
            self._events[seq - 1] = b""
        self.durable, self._durable_hash = ack.durable, ack.hash


def _tap_data(direction: Direction, zone: str) -> msgspec.Raw:
    data = TapData(
        direction=direction,
        reader=_READERS[direction],
        zone=zone,
        credential=_CREDENTIAL,
        decision="accepted",
        shown="green",
    )
    return msgspec.Raw(msgspec.json.encode(data))
