"""The two single rows a journal keeps beside its events: whose it is, and how far central holds it.

Events prove themselves by their chain; these rows carry a hash of their own, for a bit that changed in them would be
believed: an unacknowledged event taken for an acknowledged one, a journal continued under another's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from edge_agent.clock import Clock
from edge_agent.journal.chain import row_is_intact
from edge_agent.journal.cursor import Cursor
from edge_agent.journal.record import Head
from edge_agent.wire.codec import decode_event, time_text
from edge_agent.wire.ids import new_journal_id

UNPROVEN = ""
"""What a row of schema 1 has in place of a proof."""

CURSOR = "SELECT durable, hash, epoch, have, proof FROM journal_cursor"
CURSOR_OF_SCHEMA_1 = "SELECT durable, hash, epoch, have, '' FROM journal_cursor"
_IDENTITY = "SELECT journal_id, site, terminal, created_at, proof FROM journal_identity"


def proof(values: Iterable[Any]) -> str:
    """Return the hash (hex) of a row's values."""
    return hashlib.sha256(msgspec.json.encode(list(values))).hexdigest()


def is_proven(row: tuple[Any, ...]) -> bool:
    """Whether a row's values still have the hash that stands last in it."""
    return row[-1] in {UNPROVEN, proof(row[:-1])}


def read_cursor(row: tuple[Any, ...]) -> Cursor | None:
    """Make a cursor of its row, None when the row changed on the disk."""
    durable, digest, epoch, have, _ = row
    if not is_proven(row) or not all(isinstance(one, str | int) for one in row):
        return None
    try:
        ranges = msgspec.json.decode(have, type=list[tuple[int, int]])
    except msgspec.DecodeError:
        return None
    return Cursor(durable, digest, epoch, tuple(ranges))


def store_cursor(writer: apsw.Connection, cursor: Cursor) -> None:
    """Commit how far central has acknowledged."""
    row = (cursor.durable, cursor.hash, cursor.epoch, msgspec.json.encode(cursor.have).decode())
    writer.execute(
        "UPDATE journal_cursor SET durable = ?, hash = ?, epoch = ?, have = ?, proof = ?", (*row, proof(row))
    )


def identify(writer: apsw.Connection, *, site: str, terminal: str, clock: Clock) -> None:
    """Give a new file its id and its cursor; give an old one's rows the proofs they lack."""
    with writer:
        held = writer.execute(_IDENTITY).fetchone()
        if held is None:
            row = (new_journal_id(), site, terminal, time_text(clock.read().at))
            writer.execute("INSERT INTO journal_identity VALUES (1, ?, ?, ?, ?, ?)", (*row, proof(row)))
            writer.execute("INSERT INTO journal_cursor VALUES (1, 0, ?, 0, '[]', '')", (Head().hash,))
        elif held[-1] == UNPROVEN:
            writer.execute("UPDATE journal_identity SET proof = ?", (proof(held[:-1]),))


def mend_cursor(writer: apsw.Connection) -> str:
    """Put a cursor that the disk changed back to what is certain; return what was done, or nothing.

    What was deleted had been acknowledged; all that is still here is offered again, and central knows what it has.
    """
    try:
        row = _cursor_row(writer)
        held = read_cursor(row)
    except UnicodeDecodeError:
        held = None
    if held is None:
        oldest = writer.execute("SELECT seq, bytes FROM journal_event ORDER BY seq LIMIT 1").fetchone()
        certain = Cursor(oldest[0] - 1, _predecessor(oldest[1])) if oldest is not None else Cursor()
        store_cursor(writer, certain)
        return (
            "the row that says how far central is changed on the disk:"
            f" everything after event {certain.durable} is offered to central again"
        )
    if row[-1] == UNPROVEN:
        store_cursor(writer, held)
    return ""


def _cursor_row(connection: apsw.Connection) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(CURSOR).fetchone()
    if row is None:
        raise apsw.CorruptError("the journal has lost its cursor")
    return row


def _predecessor(payload: bytes) -> str:
    try:
        return decode_event(payload).prevhash
    except msgspec.DecodeError:
        return Head().hash


def identity_trouble(connection: apsw.Connection) -> str:
    """Say what is wrong with the rows of identity and cursor in a journal file, or nothing."""
    owner = connection.execute(_IDENTITY).fetchone()
    cursors = connection.execute("SELECT count(*) FROM journal_cursor").fetchone()
    if (owner is None) != (cursors == (0,)):
        return "has lost its identity or its cursor"
    return "" if owner is None or is_proven(owner) else "names another owner than it was given: a changed bit"


def newest_row_trouble(connection: apsw.Connection) -> str:
    """Say when the newest row does not stand under its own number: the next event would leave a hole, or nothing."""
    newest = connection.execute("SELECT seq, hash, bytes FROM journal_event ORDER BY seq DESC LIMIT 1").fetchone()
    if newest is None or not row_is_intact(newest[1], newest[2]):
        return ""
    said = decode_event(newest[2]).sequence
    return "" if int(said) == newest[0] else f"has event {int(said)} under the number {newest[0]}"
