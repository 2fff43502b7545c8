"""Tables of attendance. Events are append-only and keep the terminal's own bytes (EVD-01)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class Journal(SQLModel, table=True):
    """One journal file of one terminal, and how much of it the database holds: the cursor behind every `ack`."""

    __tablename__ = "attendance_journal"
    id: int | None = id_column()
    journal_id: UUID = Field(unique=True)
    terminal_id: int = reference("registry_terminal.id", index=True)
    durable: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Highest seq with no gap below it."""
    durable_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Hash of the event at `durable`; 32 zero bytes at 0."""
    ahead: list[int] = Field(
        default_factory=list, sa_column=Column(ARRAY(BigInteger), nullable=False, server_default="{}")
    )
    """Ranges held beyond `durable`, flat: [a1, b1, a2, b2, …], both ends included."""
    epoch: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default="1"))
    """In its acks; rises when its terminal proves that the database went back in time (DUR-04)."""
    clock_due: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    """Times to rebuild: 0 none, 1 none now but later evidence may help, 2 those that are new, 3 all that are open."""
    created_at: datetime = instant(server_now=True)


class Event(SQLModel, table=True):
    """One journal record: its bytes, its hash, and the columns that questions are asked of.

    Partitioned by the month of `received_at`, which never changes. The key below is each month's own: see
    `central.attendance.months`.
    """

    __tablename__ = "attendance_event"
    journal: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    """`attendance_journal.id`."""
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    received_at: datetime = instant()
    occurred_at: datetime = instant()
    """The terminal's time where it can be believed, else bounded by receipt; see `time_basis`."""
    site_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    terminal_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    worker_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """Holder of the card as of `occurred_at`; null for an unknown card or no card."""
    time_basis: int = Field(sa_column=Column(SmallInteger, nullable=False))
    """0 measured, 1 bounded, 2 reconstructed, 3 claimed: see `central.attendance.timekeeping`."""
    time_error_ms: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))
    """It happened within so much of `occurred_at`; null: all that is known is that it was received later."""
    direction: int | None = Field(default=None, sa_column=Column(SmallInteger, nullable=True))
    """0 in, 1 out, 2 tap, 3 muster; null when the event is not a tap."""
    decision: int | None = Field(default=None, sa_column=Column(SmallInteger, nullable=True))
    """0 accepted, 1 unknown_card, 2 barred, 3 auth_failed, 4 repeat."""
    assurance: int | None = Field(default=None, sa_column=Column(SmallInteger, nullable=True))
    type: str = Field(sa_column=Column(Text, nullable=False))
    reader: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    zone: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    token: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """Card token, 16 bytes."""
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    bytes_: bytes = Field(sa_column=Column("bytes", LargeBinary, nullable=False))
    __table_args__ = (
        Index("ix_attendance_event_worker", "worker_id", "occurred_at", postgresql_where=text("worker_id IS NOT NULL")),
        Index("ix_attendance_event_token", "token", "site_id", postgresql_where=text("token IS NOT NULL")),
        # Rows lie in the order of receipt: this costs next to nothing, and a look back reads its weeks, not the table.
        Index("ix_attendance_event_received", "received_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )


class Presence(SQLModel, table=True):
    """The fold of one person's taps at one site, kept as it grows; recomputable from the events to the same row."""

    __tablename__ = "attendance_presence"
    site_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    person: str = Field(primary_key=True, max_length=60)
    """`worker:{id}` or `card:{token}` for a card nobody holds."""
    worker_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    state: int = Field(sa_column=Column(SmallInteger, nullable=False))
    """0 outside, 1 inside, 2 refused at the gate (barred or not authenticated: may have walked in all the same)."""
    since_at: datetime = instant()
    """When the present state began."""
    entry_assurance: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    doubts: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    """Bits: 1 exit missing before the last entry, 2 exit proven less than the entry, 4 no entry before the exit,
    8 an exit that may have been before the entry."""
    last_at: datetime = instant()
    """Effective time of the last counted tap: with `last_journal` and `last_seq` the fold's position."""
    last_journal: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_direction: int = Field(sa_column=Column(SmallInteger, nullable=False))
    last_terminal_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_zone: str = Field(default="", sa_column=Column(Text, nullable=False))
    full_exit: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether the last tap was an accepted, fully proven exit."""
    settled_at: datetime | None = instant(nullable=True)
    """Effective time of the last such exit that an entry followed: late taps from before it change nothing."""
    settled_journal: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    settled_seq: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    shift_at: datetime = instant(server_now=True)
    """When the present or last shift began: the first entry after a rest."""
    since_journal: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    since_doubt: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    """How far `since_at` may be off: see `presence.CountedTap.doubt`."""
    last_doubt: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    __table_args__ = (Index("ix_attendance_presence_inside", "site_id", postgresql_where=text("state <> 0")),)


class TerminalStatus(SQLModel, table=True):
    """What a terminal last said of itself."""

    __tablename__ = "attendance_terminal_status"
    terminal_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    online: bool = Field(default=False)
    boot_id: str = Field(default="", max_length=200)
    born_at: datetime | None = instant(nullable=True)
    """`at` of the current birth: an older will is ignored."""
    heard_at: datetime | None = instant(nullable=True)
    """Central's clock at the last message of any kind."""
    journal_id: UUID | None = None
    last_tap_at: datetime | None = instant(nullable=True)
    """When the newest tap received from it happened, as far as its time can be believed."""
    head_seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    unacknowledged: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    free_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    clock_state: str = Field(default="unset", max_length=20)
    clock_offset_ms: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """Terminal time minus central time at the last heartbeat, delivery included."""
    roster_version: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    readers: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    versions: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )


class Quarantined(SQLModel, table=True):
    """What was received and could not be counted, with its bytes and the reason; never deleted."""

    __tablename__ = "attendance_quarantine"
    id: int | None = id_column()
    sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    topic: str = Field(max_length=200)
    reason: str = Field(max_length=40)
    detail: str = Field(default="", max_length=500)
    journal_id: UUID | None = None
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    bytes_: bytes = Field(sa_column=Column("bytes", LargeBinary, nullable=False))
    """At most 128 KiB."""
    first_seen_at: datetime = instant()
    last_seen_at: datetime = instant()
    times: int = Field(default=1)
    __table_args__ = (Index("uq_attendance_quarantine_what", "sha256", "topic", "reason", unique=True),)


class Anomaly(SQLModel, table=True):
    """A loss or contradiction made visible and located (DUR-06)."""

    __tablename__ = "attendance_anomaly"
    id: int | None = id_column()
    journal: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str = Field(max_length=40)
    """chain_broken | forked | time_unbelievable | head_behind | presence_differs"""
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    detail: str = Field(default="", max_length=500)
    found_at: datetime = instant()
    __table_args__ = (Index("uq_attendance_anomaly_where", "journal", "kind", "seq", unique=True),)


class SiteRoster(SQLModel, table=True):
    """The last roster published to a site: its version and content, so that deltas can be made by any process."""

    __tablename__ = "attendance_site_roster"
    site_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    version: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    content: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    published_at: datetime | None = instant(nullable=True)


class ClockSighting(SQLModel, table=True):
    """What an event without a compared clock says of its time, and how far its neighbours bound it (TIM-01)."""

    __tablename__ = "attendance_clock_sighting"
    journal: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    received_at: datetime = instant()
    boot_id: str = Field(sa_column=Column(Text, nullable=False))
    boottime_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    earliest_us: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """By itself; microseconds since 1970, as all bounds here."""
    latest_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    claimed_us: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    known_earliest_us: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """By all the evidence, at the last look."""
    known_latest_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    settled: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether it was looked at together with its neighbours."""
    open: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Whether later evidence can still say more."""
    __table_args__ = (
        Index("ix_attendance_clock_sighting_open", "journal", "seq", postgresql_where=text("open")),
        Index("ix_attendance_clock_sighting_new", "journal", "seq", postgresql_where=text("NOT settled")),
    )


class TimeEstimate(SQLModel, table=True):
    """Each estimate of an event's time and when it was made: what was known then stays answerable. Append-only."""

    __tablename__ = "attendance_time_estimate"
    journal: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    known_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    occurred_at: datetime = instant()
    time_basis: int = Field(sa_column=Column(SmallInteger, nullable=False))
    time_error_ms: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))


class BirthMark(SQLModel, table=True):
    """A birth of a terminal whose clock was not compared: by then, everything up to its head had happened."""

    __tablename__ = "attendance_birth_mark"
    journal_id: UUID = Field(primary_key=True)
    head_seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    boot_id: str = Field(sa_column=Column(Text, primary_key=True))
    terminal_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    boottime_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    received_us: int = Field(sa_column=Column(BigInteger, nullable=False))
