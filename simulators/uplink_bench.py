"""What the uplink protocol is tried on without a network: a journal in memory, and what the uplink says, in short."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.transport.uplink import Alarm, Output, Publish
from edge_agent.wire.codec import GENESIS_HASH
from edge_agent.wire.messages import Ack

if TYPE_CHECKING:
    from collections.abc import Sequence

JOURNAL = "01980000-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Stored:
    """One record: its number and its bytes."""

    seq: int
    bytes: bytes


@dataclass
class MemoryJournal:
    """A journal in memory: its cursor moves as the real one's does."""

    records: list[Stored] = field(default_factory=list)
    durable: int = 0
    have: Sequence[tuple[int, int]] = ()
    epoch: int = 0
    damaged: set[int] = field(default_factory=set)
    refusal: str | None = None
    journal_id: str = JOURNAL

    @property
    def head_seq(self) -> int:
        """The number of the newest record, 0 without one."""
        return len(self.records)

    def append(self, count: int = 1, *, size: int = 40) -> None:
        """Add records of about `size` bytes each."""
        for _ in range(count):
            seq = len(self.records) + 1
            body = f'{{"sequence":"{seq:020d}","pad":"'.encode()
            self.records.append(Stored(seq, body + b"x" * max(0, size - len(body) - 2) + b'"}'))

    def read(self, after: int, *, events_max: int, bytes_max: int) -> list[Stored]:
        """Return the records behind `after` without the damaged ones: one at least, then within both limits."""
        found: list[Stored] = []
        total = 0
        for record in self.records[after : after + events_max]:
            if record.seq in self.damaged:
                continue
            total += len(record.bytes)
            if total > bytes_max and found:
                break
            found.append(record)
        return found

    def acknowledge(self, ack: Ack) -> str | None:
        """Move the cursor, back only when the epoch rises; return why not when there is a `refusal`."""
        if self.refusal:
            return self.refusal
        if ack.epoch < self.epoch or (ack.epoch == self.epoch and ack.durable < self.durable):
            return None
        self.durable, self.have, self.epoch = ack.durable, tuple(ack.have), ack.epoch
        return None


def ack_of(durable: int, have: Sequence[tuple[int, int]] = (), *, epoch: int = 0, journal_id: str = JOURNAL) -> Ack:
    """Make an acknowledgement; its hash is nobody's."""
    return Ack(journal_id=journal_id, durable=durable, hash=GENESIS_HASH, have=list(have), epoch=epoch)


def published(outputs: list[Output]) -> list[Publish]:
    """Return the batches among what the uplink says."""
    return [output for output in outputs if isinstance(output, Publish)]


def alarms(outputs: list[Output]) -> list[str]:
    """Return the kinds of the alarms."""
    return [output.kind for output in outputs if isinstance(output, Alarm)]


def spans(outputs: list[Output]) -> list[tuple[str, int, int]]:
    """Return lane, first and last number of each batch."""
    return [(one.lane, one.first, one.last) for one in published(outputs)]
