"""Bytes to arrivals, purely: a batch taken apart, each event decoded, hashed and checked, or said to be at fault."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec

from edge_agent.wire.codec import decode_event, split_batch
from edge_agent.wire.ids import event_id, parse_subject, source_urn
from edge_agent.wire.messages import (
    BATCH_BYTES_MAX,
    EVENT_BYTES_MAX,
    EVENTS_A_BATCH_MAX,
    MUSTER,
    TAP,
    ClockState,
    Event,
    JournalIdText,
    ShortText,
    TapData,
    Utc,
)
from edge_agent.wire.messages import Cursor as Count

SEQ_MAX = 2**63 - 1
TIME_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
DIRECTIONS = {"in": 0, "out": 1, "tap": 2, "muster": 3}
DECISIONS = {"accepted": 0, "unknown_card": 1, "barred": 2, "auth_failed": 3, "repeat": 4}

_PREFIX = "card:"
_TOKEN_BYTES, _HASH_DIGITS, _SEQUENCE_DIGITS, _BOOTTIME_DIGITS_MAX = 16, 64, 20, 20
_JOURNALS_REMEMBERED_MAX = 50_000

_tap_data = msgspec.json.Decoder(TapData)
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding someone else's bytes can raise."""


class _Key(msgspec.Struct):
    """The least that places an event: enough to hold its bytes although the rest is broken."""

    journalid: JournalIdText
    sequence: str
    source: str = ""


_key = msgspec.json.Decoder(_Key)


class _Tap(msgspec.Struct, gc=False):
    """`Event` with its tap's data in place, and without patterns: those cost more than all the rest."""

    specversion: Literal["1.0"]
    type: Literal["ccs.tap.v1", "ccs.muster.v1"]
    source: str
    id: str
    sequence: str
    time: Utc
    journalid: str
    bootid: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    boottimens: str
    clockstate: ClockState
    clockerrms: Count
    clockepoch: Count
    prevhash: str
    data: TapData
    subject: str
    datacontenttype: ShortText = ""


_tap = msgspec.json.Decoder(_Tap)


class Arrival(msgspec.Struct, frozen=True, gc=False):
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
    """The terminal's wall clock, in whatever zone it wrote."""
    type: str = ""
    direction: int | None = None
    decision: int | None = None
    assurance: int | None = None
    reader: str | None = None
    zone: str | None = None
    token: bytes | None = None
    boot_id: str = ""
    boottime_ns: str = "0"
    """At most 20 digits."""
    clock_state: ClockState = "unset"
    clock_error_ms: int = 0
    roster_version: int = 0


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
    return read_tap(raw, digest, source=source) or read_carefully(raw, digest, source=source)


def read_tap(raw: bytes, digest: bytes, *, source: str) -> Arrival | None:
    """Read what nearly every event is, a tap without fault, in one pass; None for all else."""
    try:
        event = _tap.decode(raw)
        token = bytes.fromhex(event.subject[len(_PREFIX) :])
        prev = bytes.fromhex(event.prevhash)
        seq = int(event.sequence)
    except UNREADABLE:
        return None
    data, sequence, boottime = event.data, event.sequence, event.boottimens
    if (
        event.source != source
        or event.id != f"{event.journalid}-{sequence}"
        or not _is_journal_id(event.journalid)
        or len(sequence) != _SEQUENCE_DIGITS
        or not 1 <= seq <= SEQ_MAX
        or not (sequence.isdecimal() and sequence.isascii())
        or not (boottime.isdecimal() and boottime.isascii() and len(boottime) <= _BOOTTIME_DIGITS_MAX)
        # To bytes and back: only lower-case digits without spaces come out as they went in.
        or len(token) != _TOKEN_BYTES
        or _PREFIX + token.hex() != event.subject
        or len(event.prevhash) != _HASH_DIGITS
        or prev.hex() != event.prevhash
        or "\0" in data.reader
        or "\0" in data.zone
    ):
        return None
    return Arrival(
        raw,
        digest,
        event.journalid,
        seq,
        True,  # its source is the sender's
        "",
        "",
        prev,
        event.time,
        event.type,
        DIRECTIONS[data.direction],
        DECISIONS[data.decision],
        data.credential.assurance,
        data.reader,
        data.zone,
        token,
        event.bootid,
        boottime,
        event.clockstate,
        event.clockerrms,
        data.rosterver,
    )


@lru_cache(_JOURNALS_REMEMBERED_MAX)
def _is_journal_id(text: str) -> bool:
    try:
        msgspec.convert(text, JournalIdText)
    except msgspec.ValidationError:
        return False
    return True


def read_carefully(raw: bytes, digest: bytes, *, source: str) -> Arrival:
    """Read any event against the whole contract, and say what is wrong with it."""
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
        event.type,
        DIRECTIONS[tap.direction] if tap else None,
        DECISIONS[tap.decision] if tap else None,
        tap.credential.assurance if tap else None,
        tap.reader if tap else None,
        tap.zone if tap else None,
        bytes.fromhex(token) if token else None,
        event.bootid,
        event.boottimens,
        event.clockstate,
        event.clockerrms,
        tap.rosterver if tap else 0,
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


def sender(site: str, terminal: str) -> str:
    """Name the sender of a topic as an event's source does."""
    return source_urn(site, terminal)
