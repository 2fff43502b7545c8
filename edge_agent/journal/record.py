"""What the journal holds and how it refuses: records, limits, errors. Every refusal is a sentence saying what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from edge_agent.wire.codec import GENESIS_HASH

MIB = 1024 * 1024


class JournalUnusable(RuntimeError):
    """The journal cannot be opened safely; no tap may be answered green."""


class DiskErred(JournalUnusable):
    """The disk erred while the journal was opened; opening it again reads and writes all of it anew, and may help."""


class JournalFailed(RuntimeError):
    """The disk failed while storing: the event is not promised. The journal reopens itself before the next append."""


class JournalFull(RuntimeError):
    """There is no room for an ordinary event. Nothing was dropped; muster entries may still fit."""


class ForkedJournal(RuntimeError):
    """Central holds other bytes, or more of them, under this journal's numbers: this file is an old or foreign copy."""


class EventTooLarge(ValueError):
    """An event is longer than the contract allows."""


class Head(Struct, frozen=True, gc=False):
    """The last event of the journal: its number (0 when empty) and its hash (hex)."""

    seq: int = 0
    hash: str = GENESIS_HASH


class Record(Struct, frozen=True, gc=False):
    """One stored event: its number, SHA-256 of its bytes (hex), and the bytes that travel."""

    seq: int
    hash: str
    bytes: bytes


@dataclass(frozen=True, slots=True)
class TapTrace:
    """A past tap as repeat suppression needs it."""

    token: str
    reader: str
    direction: str
    decision: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Maintained:
    """What `maintain` found: bytes waiting in the log, whether the reserve is whole, and what it could not do."""

    log_bytes: int
    reserve_whole: bool
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Sizes in bytes and time of keeping. `floor_bytes` of the disk are left to muster entries."""

    keep_window: timedelta = timedelta(days=35)
    bytes_max: int = 4096 * MIB
    reserve_bytes: int = 4 * MIB
    floor_bytes: int = 8 * MIB
    wal_bytes: int = 4 * MIB
    """The write-ahead log is laid out at this size once and then overwritten in place."""
    wal_bytes_idle_max: int = 1 * MIB
    """`maintain()` folds the log back when it holds more than this."""
    wal_bytes_hard_max: int = 16 * MIB
    """An append folds the log back itself beyond this, if nobody called `maintain()`."""
    quick_check: bool = True

    def __post_init__(self) -> None:
        """Refuse limits that would let ordinary taps eat the muster pool."""
        if self.floor_bytes < self.reserve_bytes:
            message = (
                f"floor_bytes ({self.floor_bytes}) is less than reserve_bytes ({self.reserve_bytes}):"
                " released space would be taken by ordinary taps; make the floor at least as large"
            )
            raise ValueError(message)
