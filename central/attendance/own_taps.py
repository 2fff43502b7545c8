"""One worker's taps as evidence: what each says, and which record of which terminal it is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import String, cast, exists, literal, select

from central.attendance.models import Presence
from central.attendance.presence import ACCEPTED, AUTH_FAILED, BARRED, IN, MUSTER, OUT, REPEAT, TAP
from central.attendance.repository import AHEAD_OF_RECEIPT_MAX
from central.kit.db import psycopg_of
from central.registry import confinement

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from central.kit.db import ReadSession, WriteSession

ROWS_MAX = 2_000
"""Of one worker in one question: a month has far fewer."""
DIRECTIONS = {IN: "in", OUT: "out", TAP: "tap", MUSTER: "muster"}
DECISIONS = {ACCEPTED: "accepted", BARRED: "barred", AUTH_FAILED: "auth_failed", REPEAT: "repeat"}


class OwnTap(NamedTuple):
    """One tap. `journal_id` and `seq` name its record for ever; `hash` is the SHA-256 of that record's bytes."""

    journal_id: UUID
    seq: int
    occurred_at: datetime
    time_error_ms: int | None
    """It happened within so much of `occurred_at`; None: nobody knows."""
    received_at: datetime
    direction: str
    """`in`, `out`, `tap` or `muster`."""
    decision: str
    """`accepted`, `barred`, `auth_failed` or `repeat`."""
    assurance: int
    terminal_id: int
    terminal: str
    site_id: int
    site: str
    site_name: str
    timezone: str
    hash: bytes


_TAPS = """
SELECT j.journal_id, e.seq, e.occurred_at, e.time_error_ms, e.received_at, e.direction, e.decision,
       coalesce(e.assurance, 0), t.id, coalesce(nullif(t.name, ''), t.code), s.id, s.code, s.name, s.timezone, e.hash
FROM attendance_event e
JOIN attendance_journal j ON j.id = e.journal
JOIN registry_terminal t ON t.id = e.terminal_id
JOIN registry_site s ON s.id = e.site_id
WHERE e.worker_id = %(worker)s AND e.direction IS NOT NULL
"""


def own_taps(
    session: ReadSession | WriteSession, *, worker_id: int, from_at: datetime, until_at: datetime
) -> list[OwnTap]:
    """Read a worker's taps in [from_at, until_at), oldest first, `ROWS_MAX` at most."""
    sql = _TAPS + (
        " AND e.occurred_at >= %(from_at)s AND e.occurred_at < %(until_at)s AND e.received_at > %(received_after)s"
        " ORDER BY e.occurred_at, e.journal, e.seq LIMIT %(rows)s"
    )
    given = {"worker": worker_id, "from_at": from_at, "until_at": until_at, "rows": ROWS_MAX}
    return _read(session, sql, given | {"received_after": from_at - AHEAD_OF_RECEIPT_MAX})


def own_tap(session: ReadSession, *, worker_id: int, journal_id: UUID, seq: int) -> OwnTap | None:
    """Read one tap, if it is this worker's."""
    sql = _TAPS + " AND j.journal_id = %(journal_id)s AND e.seq = %(seq)s"
    found = _read(session, sql, {"worker": worker_id, "journal_id": journal_id, "seq": seq})
    return found[0] if found else None


def _read(session: ReadSession | WriteSession, sql: str, given: dict[str, Any]) -> list[OwnTap]:
    found = []
    for row in psycopg_of(session).execute(sql, given):
        said = dict(zip(OwnTap._fields, row, strict=True))
        said["direction"] = DIRECTIONS.get(said["direction"], "tap")
        said["decision"] = DECISIONS.get(said["decision"], "accepted")
        said["hash"] = bytes(said["hash"])
        found.append(OwnTap(**said))
    return found


def _tapped_there(worker_id: int) -> ColumnElement[bool]:
    """Say of a site whether the worker ever tapped there: whoever was sent may stand on no roll of it."""
    presence: Table = Presence.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
    entries = confinement.own_entries(worker_id).subquery()
    person = select(literal("worker:") + cast(entries.c.id, String))
    site = confinement.SITES
    return exists().where(presence.c.site_id == site.c.id, presence.c.person.in_(person)).correlate(site)


confinement.place_of_oneself(_tapped_there)
