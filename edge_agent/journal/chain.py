"""Walking the hash chain: each row against its own hash, its number and its predecessor. Pure; damage is located."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import msgspec

from edge_agent.wire.codec import GENESIS_HASH, decode_event
from edge_agent.wire.ids import event_id

DAMAGES_MAX = 1_000
DamageKind = Literal["row_changed", "chain_broken", "gap", "not_an_event", "misplaced", "unreadable"]


@dataclass(frozen=True, slots=True)
class Damage:
    """One finding. `seq` is where, `last_seq` the end of a range (equal to `seq` for one row)."""

    seq: int
    last_seq: int
    kind: DamageKind
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The chain from `first` to `last` (0 and 0 when empty). `damages` is cut at 1,000; `damage_count` is not."""

    journal_id: str
    first: int
    last: int
    events: int
    damages: tuple[Damage, ...]
    damage_count: int

    @property
    def ok(self) -> bool:
        """Whether every event is as it was written."""
        return self.damage_count == 0


def row_is_intact(digest: bytes, payload: bytes) -> bool:
    """Whether a row's bytes still have the hash that was stored beside them; a worn disk changes even their types."""
    return isinstance(payload, bytes) and sha256(payload).digest() == digest


def number_place(seq: int, digest: bytes, payload: bytes, near: int = 0) -> int:
    """Return where a row's bytes give its number; -1 unless they are as they were written, and under that number.

    `near` is where the row before gave its own: mostly the same place, and searched for only if it is not.
    """
    if not row_is_intact(digest, payload):
        return -1
    number = b'"sequence":"%020d"' % seq
    return near if payload.startswith(number, near) else payload.find(number)


def missing_rows(report: VerifyReport) -> set[int]:
    """Return the numbers that central will not get from this file, however often it asks; at most 1,000 of a range."""
    found: set[int] = set()
    for damage in report.damages:
        if damage.kind in {"row_changed", "misplaced", "not_an_event", "gap"}:
            found.update(range(damage.seq, min(damage.last_seq, damage.seq + DAMAGES_MAX - 1) + 1))
    return found


class ChainWalk:
    """Feed rows in `seq` order, then ask for the report."""

    def __init__(self, journal_id: str) -> None:
        self._journal_id = journal_id
        self._first = 0
        self._last = 0
        self._events = 0
        self._previous = GENESIS_HASH
        self._damages: list[Damage] = []
        self._damage_count = 0

    @property
    def last(self) -> int:
        """The number of the last row seen."""
        return self._last

    def feed(self, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Check (seq, hash, bytes) rows against each other and themselves."""
        for seq, digest, payload in rows:
            self._check(seq, digest, payload)
            self._first = self._first or seq
            self._last = seq
            self._events += 1
            self._previous = digest.hex() if isinstance(digest, bytes) else GENESIS_HASH

    def note(self, damage: Damage) -> None:
        """Add a finding from outside the rows, such as a page that cannot be read."""
        self._damage_count += 1
        if len(self._damages) < DAMAGES_MAX:
            self._damages.append(damage)

    def _check(self, seq: int, digest: bytes, payload: bytes) -> None:
        if self._last and seq != self._last + 1:
            missing = seq - self._last - 1
            self.note(Damage(self._last + 1, seq - 1, "gap", f"{missing} events are missing before {seq}"))
        if not row_is_intact(digest, payload):
            self.note(
                Damage(seq, seq, "row_changed", f"the bytes of event {seq} do not have the hash stored with them")
            )
            return
        try:
            event = decode_event(payload)
        except msgspec.DecodeError as exc:
            self.note(Damage(seq, seq, "not_an_event", f"event {seq} does not decode: {exc}"))
            return
        if event.id != event_id(self._journal_id, seq):
            self.note(Damage(seq, seq, "misplaced", f"row {seq} holds the event {event.id}"))
        # After a pruned beginning the first row's predecessor is gone; its word is taken. After a gap it is not known.
        follows = self._last + 1 == seq if self._last else seq == 1
        if follows and event.prevhash != self._previous:
            self.note(
                Damage(
                    seq, seq, "chain_broken", f"event {seq} names predecessor {event.prevhash}, not {self._previous}"
                )
            )

    def report(self) -> VerifyReport:
        """Return what was found."""
        return VerifyReport(
            journal_id=self._journal_id,
            first=self._first,
            last=self._last,
            events=self._events,
            damages=tuple(self._damages),
            damage_count=self._damage_count,
        )
