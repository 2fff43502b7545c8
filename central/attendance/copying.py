"""Event rows in PostgreSQL's binary COPY format, packed straight into bytes. Pure.

A row is the tuple of `EVENT_COLUMNS`. The driver packs a value at a time, for any type; here the types are known.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EVENT_COLUMNS = (
    "journal",
    "seq",
    "received_at",
    "occurred_at",
    "site_id",
    "terminal_id",
    "worker_id",
    "time_basis",
    "direction",
    "decision",
    "assurance",
    "time_error_ms",
    "type",
    "reader",
    "zone",
    "token",
    "hash",
    "bytes",
)
_NAMES = ", ".join(EVENT_COLUMNS)
COPY_EVENTS = f"COPY attendance_event ({_NAMES}) FROM STDIN (FORMAT BINARY)"

ROWS_A_PART = 250

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXTS_REMEMBERED_MAX = 10_000

# A column is its length in bytes, then itself; the row begins with how many columns it has.
_BEGIN = struct.Struct("!h" + "iq" * 6)
_INT8 = struct.Struct("!iq")
_INT4 = struct.Struct("!ii")
_INT2 = struct.Struct("!ih")
_LENGTH = struct.Struct("!i")


def copy_parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """Pack rows into a whole COPY stream, in parts: the server stores one while the next is made and packed."""
    yield _SIGNATURE
    left = iter(rows)
    while part := list(islice(left, ROWS_A_PART)):
        yield _pack(part)
    yield _END


def _pack(rows: Sequence[tuple[Any, ...]]) -> bytes:
    parts: list[bytes] = []
    received_at, received = _EPOCH, 0
    for row in rows:
        # fmt: off
        (journal, seq, at, occurred_at, site_id, terminal_id, worker_id, basis, direction, decision,
         assurance, error_ms, type_, reader, zone, token, digest, raw) = row
        # fmt: on
        if at is not received_at:  # one instant for all rows of a batch
            received_at, received = at, (at - _EPOCH) // _MICROSECOND
        occurred = (occurred_at - _EPOCH) // _MICROSECOND
        parts += (
            _BEGIN.pack(18, 8, journal, 8, seq, 8, received, 8, occurred, 8, site_id, 8, terminal_id),
            _NULL if worker_id is None else _INT8.pack(8, worker_id),
            _smalls(basis, direction, decision, assurance),
            _NULL if error_ms is None else _INT4.pack(4, error_ms),
            _texts(type_, reader, zone),
            _NULL if token is None else _LENGTH.pack(len(token)) + token,
            _LENGTH.pack(len(digest)),
            digest,
            _LENGTH.pack(len(raw)),
            raw,
        )
    return b"".join(parts)


@lru_cache(_TEXTS_REMEMBERED_MAX)
def _smalls(*values: int | None) -> bytes:
    """Pack small numbers; few combinations occur."""
    return b"".join(_NULL if value is None else _INT2.pack(2, value) for value in values)


@lru_cache(_TEXTS_REMEMBERED_MAX)
def _texts(*values: str | None) -> bytes:
    """Pack texts; few combinations occur."""
    encoded = (None if value is None else value.encode() for value in values)
    return b"".join(_NULL if value is None else _LENGTH.pack(len(value)) + value for value in encoded)
