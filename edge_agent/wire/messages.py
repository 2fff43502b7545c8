"""Every message of the contract as a type. Unknown fields are ignored on decoding and kept in the bytes.

An event's bytes are the record: the terminal encodes it once, and its hash is SHA-256 of those bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge_agent.wire.ids import CARD_TOKEN_PATTERN, CODE_PATTERN, JOURNAL_ID_PATTERN, SEQUENCE_PATTERN

EVENTS_A_BATCH_MAX = 64
BATCH_BYTES_MAX = 128 * 1024
EVENT_BYTES_MAX = 16 * 1024
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"

TAP = "ccs.tap.v1"
BOOT = "ccs.boot.v1"
CLOCK_ANCHOR = "ccs.clock.anchor.v1"
CLOCK_STEP = "ccs.clock.step.v1"
READER = "ccs.reader.v1"
ROSTER_APPLIED = "ccs.roster.applied.v1"
MUSTER = "ccs.muster.v1"
CORRECTION = "ccs.correction.v1"
JOURNAL = "ccs.journal.v1"

Direction = Literal["in", "out", "tap", "muster"]
Decision = Literal["accepted", "unknown_card", "barred", "auth_failed", "repeat"]
Shown = Literal["green", "amber", "red"]
Method = Literal["desfire_ev2", "ntag424_sdm", "felica_mac", "id_only", "temporary_number", "supervisor"]
ClockState = Literal["synced", "holdover", "rtc", "unset"]

Code = Annotated[str, Meta(pattern=CODE_PATTERN)]
Token = Annotated[str, Meta(pattern=CARD_TOKEN_PATTERN)]
JournalIdText = Annotated[str, Meta(pattern=JOURNAL_ID_PATTERN)]
HashHex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
Seq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Cursor = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ShortText = Annotated[str, Meta(max_length=200)]
Utc = Annotated[datetime, Meta(tz=True)]


class Credential(Struct, frozen=True):
    """How sure the terminal is of the card. Assurance 3 mutual authentication … 0 identifier only (CRD-01)."""

    method: Method
    assurance: Annotated[int, Meta(ge=0, le=3)]
    keyver: Annotated[int, Meta(ge=0, le=255)] | None = None


class TapData(Struct, frozen=True):
    """`data` of `ccs.tap.v1` and `ccs.muster.v1`: one reading of one card. Stored as read, never toggled."""

    direction: Direction
    reader: Annotated[str, Meta(min_length=1, max_length=40)]
    zone: Annotated[str, Meta(max_length=40)]
    credential: Credential
    decision: Decision
    shown: Shown
    rosterver: Cursor = 0


class Event(Struct, frozen=True):
    """A CloudEvents 1.0 event with our extension attributes. `data` stays raw until its type is known."""

    specversion: Literal["1.0"]
    type: Annotated[str, Meta(min_length=1, max_length=80)]
    source: Annotated[str, Meta(max_length=100)]
    id: Annotated[str, Meta(max_length=80)]
    sequence: Annotated[str, Meta(pattern=SEQUENCE_PATTERN)]
    time: Utc
    journalid: JournalIdText
    bootid: Annotated[str, Meta(min_length=1, max_length=40)]
    boottimens: Annotated[str, Meta(pattern=r"^[0-9]{1,20}(?!\n)$")]
    clockstate: ClockState
    clockerrms: Cursor
    clockepoch: Cursor
    prevhash: HashHex
    data: msgspec.Raw = msgspec.Raw(b"null")
    subject: Annotated[str, Meta(max_length=80)] | None = None
    datacontenttype: ShortText = "application/json"


class Birth(Struct, frozen=True):
    """Sent on every connect, before anything else."""

    journal_id: JournalIdText
    head_seq: Cursor
    head_hash: HashHex
    boot_id: ShortText
    at: Utc
    boottime_ns: Cursor
    clock_state: ClockState
    clock_error_ms: Cursor
    versions: dict[str, str]
    config_hash: ShortText
    roster_version: Cursor = 0
    durable: Cursor = 0
    epoch: Cursor = 0


class TerminalState(Struct, frozen=True):
    """Retained, and the will. A will whose `boot_id` and `at` are older than the current birth is ignored."""

    online: bool
    boot_id: ShortText
    at: Utc


class Heartbeat(Struct, frozen=True):
    """Every 15 s at QoS 0: how the terminal is, and how much central has not acknowledged yet."""

    journal_id: JournalIdText
    boot_id: ShortText
    at: Utc
    boottime_ns: Cursor
    head_seq: Cursor
    unacknowledged: Cursor
    free_bytes: Cursor
    clock_state: ClockState
    clock_error_ms: Cursor
    roster_version: Cursor
    readers: dict[str, float | None] = {}
    """Reader name to seconds since it last answered; null when it is lost."""
    durable: Cursor = 0
    """As in the birth: the last ack believed. A central put back to an older backup learns from it what it lacks."""
    epoch: Cursor = 0


class Ack(Struct, frozen=True):
    """Cumulative and repeatable. `durable` is the highest seq with no gap below it, `hash` that event's hash.

    `have` are the ranges held beyond it, both ends included. `durable` goes back only when `epoch` rises.
    """

    journal_id: JournalIdText
    durable: Cursor
    hash: HashHex
    have: Annotated[list[tuple[Seq, Seq]], Meta(max_length=1000)]
    epoch: Cursor


class CentralState(Struct, frozen=True):
    """Retained, and the will: whether ingest is up, and its epoch."""

    online: bool
    epoch: Cursor
    at: Utc


class Signed(Struct, frozen=True):
    """An Ed25519 signature over the UTF-8 bytes of `body`, which is itself JSON. `key` names the public key."""

    body: str
    key: ShortText
    sig: ShortText
    """Base64."""


class RosterEntry(Struct, frozen=True, omit_defaults=True):
    """A card that the gate knows. `name` is whole; screens show it masked."""

    token: Token
    worker: Annotated[str, Meta(max_length=40)]
    name: ShortText
    lang: Annotated[str, Meta(max_length=8)] = "ko"
    barred: str | None = None
    """Why the worker is barred; absent when allowed."""


class Inside(Struct, frozen=True, omit_defaults=True):
    """One person in the site's inside set, as central last knew it."""

    person: Annotated[str, Meta(max_length=60)]
    name: ShortText
    since: Utc
    employer: ShortText = ""
    trade: ShortText = ""
    zone: ShortText = ""


class Roster(Struct, frozen=True, omit_defaults=True):
    """Full when `base` is null (retained); else a delta that applies only on top of version `base`."""

    site: Code
    version: Cursor
    issued_at: Utc
    base: Cursor | None = None
    entries: list[RosterEntry] = []
    removed: list[Token] = []
    inside: list[Inside] = []
    inside_removed: list[str] = []


class Incident(Struct, frozen=True):
    """Retained; an empty payload means no incident is open."""

    id: ShortText
    kind: Literal["live", "drill", "test"]
    since: Utc


class Command(Struct, frozen=True, omit_defaults=True):
    """The body of a signed command. `site` and `terminal` say whom it is for: under one signature with the rest.

    A terminal carries out nothing that does not name it: what is signed for one gate could be sent to another.
    """

    id: ShortText
    name: Literal["replay", "config", "roster", "doctor", "test_tap"]
    expires_at: Utc
    args: dict[str, str | int | bool] = {}
    site: Code | None = None
    terminal: Code | None = None


class Reply(Struct, frozen=True):
    """The answer to a command of the same id."""

    id: ShortText
    ok: bool
    detail: Annotated[str, Meta(max_length=4000)] = ""
