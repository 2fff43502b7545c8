"""What could not be counted, kept with its bytes and reason, and anomalies located by journal and seq (DUR-06)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_agent.wire.messages import BATCH_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    Connection = psycopg.Connection[Any]

DETAIL_CHARS_MAX = 500
TOPIC_CHARS_MAX = 200


class Aside(NamedTuple):
    """One thing to keep aside."""

    topic: str
    reason: str
    detail: str
    raw: bytes
    journal_id: str | None = None
    seq: int | None = None


class Found(NamedTuple):
    """One anomaly. `journal` is `attendance_journal.id`."""

    journal: int
    kind: str
    seq: int
    detail: str


_ASIDE = """
INSERT INTO attendance_quarantine
  (sha256, topic, reason, detail, journal_id, seq, bytes, first_seen_at, last_seen_at, times)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1)
ON CONFLICT (sha256, topic, reason) DO UPDATE
SET times = attendance_quarantine.times + 1, last_seen_at = EXCLUDED.last_seen_at
"""
_FOUND = """
INSERT INTO attendance_anomaly (journal, kind, seq, detail, found_at) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (journal, kind, seq) DO NOTHING
"""


def _text(value: str, chars_max: int) -> str:
    return value.replace("\0", "\\0")[:chars_max]


def _identity(one: Aside) -> bytes:
    """An unknown terminal that keeps asking is one row: it still holds everything itself."""
    return hashlib.sha256(one.topic.encode() if one.reason == "unknown_terminal" else one.raw).digest()


def _order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """One order for every transaction, so that two never wait for each other."""
    return row[:3]


def set_aside(connection: Connection, things: Iterable[Aside], *, now: datetime) -> None:
    """Keep things aside; the same bytes on the same topic for the same reason are counted up."""
    rows = [
        (
            _identity(one),
            _text(one.topic, TOPIC_CHARS_MAX),
            one.reason,
            _text(one.detail, DETAIL_CHARS_MAX),
            one.journal_id or None,
            one.seq or None,
            one.raw[:BATCH_BYTES_MAX],
            now,
            now,
        )
        for one in things
    ]
    ordered = sorted(rows, key=_order)
    if ordered:
        with connection.cursor() as cursor:
            cursor.executemany(_ASIDE, ordered)


def report(connection: Connection, found: Iterable[Found], *, now: datetime) -> None:
    """Record anomalies; each place is reported once."""
    rows = sorted((one.journal, one.kind, one.seq, _text(one.detail, DETAIL_CHARS_MAX), now) for one in found)
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_FOUND, rows)
