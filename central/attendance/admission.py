"""What ingest decides, purely: bytes to arrivals; arrivals and a journal's cursor to rows, quarantine and anomalies.

An event is held for ever under (journal, seq) and counts once (DUR-02). Gaps, broken chains and forks are located by
their seq (DUR-06), whatever the order, the split and the repetition of what arrives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edge_agent.wire.codec import decode_event, split_batch
from edge_agent.wire.ids import event_id, parse_subject, source_urn
from edge_agent.wire.messages import (
    BATCH_BYTES_MAX,
    EVENT_BYTES_MAX,
    EVENTS_A_BATCH_MAX,
    MUSTER,
    TAP,
    Event,
    JournalIdText,
    TapData,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ZERO_HASH = bytes(32)
AHEAD_RANGES_MAX = 1000
"""Ranges kept beyond the gap-free part: as many as an `ack` may name."""
SEQ_MAX = 2**63 - 1
TIME_AHEAD_MAX = timedelta(seconds=120)
TIME_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
MEASURED, RECEIVED = 0, 1
DIRECTIONS = {"in": 0, "out": 1, "tap": 2, "muster": 3}
DECISIONS = {"accepted": 0, "unknown_card": 1, "barred": 2, "auth_failed": 3, "repeat": 4}

_tap_data = msgspec.json.Decoder(TapData)
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding someone else's bytes can raise."""


class _Key(msgspec.Struct):
    """The least that places an event: enough to hold its bytes although the rest is broken."""

    journalid: JournalIdText
    sequence: str
    source: str = ""


_key = msgspec.json.Decoder(_Key)


class Arrival(NamedTuple):
    """One event as received. `fault` is empty when it counts; `journal_id` is empty when it cannot be placed."""

    raw: bytes
    hash: bytes
    journal_id: str
    seq: int
    own: bool
    """Whether its source is the sender of the topic."""
    fault: str = ""
    detail: str = ""
    prev: bytes | None = None
    time: datetime = TIME_EARLIEST
    clock_set: bool = False
    type: str = ""
    direction: int | None = None
    decision: int | None = None
    assurance: int | None = None
    reader: str | None = None
    zone: str | None = None
    token: bytes | None = None


class Refusal(NamedTuple):
    """A whole message that cannot be taken apart."""

    fault: str
    detail: str


def read_batch(payload: bytes, *, source: str) -> list[Arrival] | Refusal:
    """Take a batch apart. `source` is the sender's urn, from its topic."""
    if len(payload) > BATCH_BYTES_MAX:
        return Refusal("batch_too_long", f"{len(payload)} bytes; a batch has at most {BATCH_BYTES_MAX}")
    try:
        events = split_batch(payload)
    except UNREADABLE as exc:
        return Refusal("malformed_batch", f"not a JSON array: {exc}")
    if len(events) > EVENTS_A_BATCH_MAX:
        return Refusal("batch_too_long", f"{len(events)} events; a batch has at most {EVENTS_A_BATCH_MAX}")
    return [read_event(raw, source=source) for raw in events]


def read_event(raw: bytes, *, source: str) -> Arrival:
    """Decode and check one event; what cannot be counted comes back with its fault."""
    digest = hashlib.sha256(raw).digest()
    if len(raw) > EVENT_BYTES_MAX:
        return _faulty(raw, digest, source, f"{len(raw)} bytes; an event has at most {EVENT_BYTES_MAX}")
    try:
        event = decode_event(raw)
        tap = _tap_data.decode(event.data) if event.type in {TAP, MUSTER} else None
    except UNREADABLE as exc:
        return _faulty(raw, digest, source, str(exc))
    token = parse_subject(event.subject)
    wrong = _contradiction(event, tap, token)
    if wrong:
        return _faulty(raw, digest, source, wrong)
    seq = int(event.sequence)
    fault, detail = "", ""
    if event.source != source:
        fault, detail = "source_mismatch", f"source {event.source} came on the topic of {source}"
    elif event.id != event_id(event.journalid, seq):
        fault, detail = "id_mismatch", f"id {event.id} is not journalid-sequence"
    return Arrival(
        raw,
        digest,
        event.journalid,
        seq,
        event.source == source,
        fault,
        detail,
        bytes.fromhex(event.prevhash),
        event.time,
        event.clockstate != "unset",
        event.type,
        DIRECTIONS[tap.direction] if tap else None,
        DECISIONS[tap.decision] if tap else None,
        tap.credential.assurance if tap else None,
        tap.reader if tap else None,
        tap.zone if tap else None,
        bytes.fromhex(token) if token else None,
    )


def _contradiction(event: Event, tap: TapData | None, token: str | None) -> str:
    """Say what a well-typed event still gets wrong, or nothing."""
    if not 1 <= int(event.sequence) <= SEQ_MAX:
        return f"sequence {event.sequence} is not between 1 and {SEQ_MAX}"
    if tap is not None and token is None:
        return "a tap without a card token as its subject"
    if "\0" in event.type or (tap is not None and ("\0" in tap.reader or "\0" in tap.zone)):
        return "a text contains the character NUL"
    return ""


def _faulty(raw: bytes, digest: bytes, source: str, detail: str) -> Arrival:
    try:
        key = _key.decode(raw)
        seq = int(key.sequence) if key.sequence.isdecimal() and len(key.sequence) <= 20 else 0  # noqa: PLR2004 - digits
    except UNREADABLE:
        return Arrival(raw, digest, "", 0, own=False, fault="malformed_event", detail=detail)
    placed = 1 <= seq <= SEQ_MAX
    journal_id = key.journalid if placed else ""
    return Arrival(raw, digest, journal_id, seq, key.source == source, "malformed_event", detail)


def believe(arrival: Arrival, *, received_at: datetime) -> tuple[datetime, int]:
    """Say when an event happened, and on what basis: the terminal's time where it can be true, else the receipt."""
    at = arrival.time
    if arrival.clock_set and TIME_EARLIEST <= at <= received_at + TIME_AHEAD_MAX:
        return at.astimezone(UTC), MEASURED
    return received_at, RECEIVED


@dataclass(frozen=True, slots=True)
class Cursor:
    """How much of a journal is held: gap-free up to `durable`, and flat ranges [a1, b1, a2, b2, …] beyond."""

    durable: int = 0
    hash: bytes = ZERO_HASH
    ahead: tuple[int, ...] = ()

    def holds(self, seq: int) -> bool:
        """Whether a record is held."""
        if seq <= self.durable:
            return seq >= 1
        return any(first <= seq <= last for first, last in zip(self.ahead[::2], self.ahead[1::2], strict=True))

    @property
    def newest(self) -> int:
        """The highest seq held."""
        return self.ahead[-1] if self.ahead else self.durable


class Held(NamedTuple):
    """A record already held: its hash, and the hash it names as its predecessor's where that can be read."""

    hash: bytes
    prev: bytes | None


@dataclass(slots=True)
class Admission:
    """What to do with one journal's arrivals."""

    cursor: Cursor
    store: list[Arrival] = field(default_factory=list)
    """New and countable, by seq."""
    quarantine: list[tuple[Arrival, str, str]] = field(default_factory=list)
    """(arrival, reason, detail)."""
    anomalies: list[tuple[str, int, str]] = field(default_factory=list)
    """(kind, seq, detail)."""
    repeated: int = 0
    deferred: int = 0
    """Not taken because too many gaps are open; the terminal sends them again."""


def lookups(cursor: Cursor, arrivals: Iterable[Arrival]) -> set[int]:
    """List the seqs whose `Held` `admit` must be given. Empty on the usual path: new records in order."""
    wanted: set[int] = set()
    for arrival in arrivals:
        near = (arrival.seq - 1, arrival.seq, arrival.seq + 1)
        if near[1] == cursor.durable + 1 and not cursor.ahead:
            continue
        wanted.update(seq for seq in near if cursor.holds(seq))
    return wanted | set(cursor.ahead[1::2]) if wanted or cursor.ahead else wanted


def admit(cursor: Cursor, arrivals: Iterable[Arrival], known: Mapping[int, Held]) -> Admission:
    """Decide on the arrivals of one journal, all of which belong to its terminal. The first bytes for a seq stay."""
    result = Admission(cursor)
    fresh: dict[int, Arrival] = {}
    for arrival in arrivals:
        held = known.get(arrival.seq) if cursor.holds(arrival.seq) else None
        first = fresh.get(arrival.seq)
        there = held.hash if held else first.hash if first else None
        if there is None:
            fresh[arrival.seq] = arrival
        elif there == arrival.hash:
            result.repeated += 1
        else:
            detail = f"held with hash {there.hex()}, received with {arrival.hash.hex()}"
            result.quarantine.append((arrival, "forked", detail))
            result.anomalies.append(("forked", arrival.seq, detail))
    _take(result, cursor, fresh, known)
    return result


def _take(result: Admission, cursor: Cursor, fresh: dict[int, Arrival], known: Mapping[int, Held]) -> None:
    ranges = _merged(cursor, fresh)
    while len(ranges) > AHEAD_RANGES_MAX + 1:
        first, last = ranges.pop()
        for seq in [seq for seq in fresh if first <= seq <= last]:
            del fresh[seq]
            result.deferred += 1
    for seq in sorted(fresh):
        arrival = fresh[seq]
        if arrival.fault:
            result.quarantine.append((arrival, arrival.fault, arrival.detail))
        else:
            result.store.append(arrival)
        _check_chain(result, cursor, arrival, fresh, known)
    ranges = _merged(cursor, fresh)
    durable = ranges[0][1]
    if durable != cursor.durable:
        last_hash = fresh[durable].hash if durable in fresh else known[durable].hash
        result.cursor = Cursor(durable, last_hash, _flat(ranges[1:]))
    else:
        result.cursor = Cursor(durable, cursor.hash, _flat(ranges[1:]))


def _flat(ranges: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(bound for pair in ranges for bound in pair)


def _merged(cursor: Cursor, fresh: Mapping[int, Any]) -> list[tuple[int, int]]:
    """Merge what is held and what is new into ranges; the first starts at 0 and ends at the new `durable`."""
    spans = [(0, cursor.durable), *zip(cursor.ahead[::2], cursor.ahead[1::2], strict=True)]
    spans += [(seq, seq) for seq in fresh]
    spans.sort()
    merged = [spans[0]]
    for first, last in spans[1:]:
        if first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _check_chain(
    result: Admission, cursor: Cursor, arrival: Arrival, fresh: Mapping[int, Arrival], known: Mapping[int, Held]
) -> None:
    """Compare each link that an arrival closes: to the record before it, and from a held record after it."""
    seq = arrival.seq
    before = fresh[seq - 1].hash if seq - 1 in fresh else None
    if before is None and seq - 1 == cursor.durable:
        before = cursor.hash
    if before is None and seq - 1 in known:
        before = known[seq - 1].hash
    if arrival.prev is not None and before is not None and arrival.prev != before:
        result.anomalies.append(("chain_broken", seq, f"names {arrival.prev.hex()}, its predecessor is {before.hex()}"))
    after = known.get(seq + 1)
    if seq + 1 not in fresh and after is not None and after.prev is not None and after.prev != arrival.hash:
        detail = f"names {after.prev.hex()}, its predecessor is {arrival.hash.hex()}"
        result.anomalies.append(("chain_broken", seq + 1, detail))


def sender(site: str, terminal: str) -> str:
    """Name the sender of a topic as an event's source does."""
    return source_urn(site, terminal)
