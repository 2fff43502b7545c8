"""Work that the scheduler starts: each job is idempotent, and an advisory lock lets one process run it at a time."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from central.attendance import changed_cards, keeping, quarantine
from central.attendance.keeping import PersonKey
from central.attendance.quarantine import Found
from central.attendance.storing import notify_sites

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    Connection = psycopg.Connection[Any]

JOB_LOCK = 0x63637303
"""First key of a job's advisory lock; the second is the hash of its name."""
RESOLVE_AGAIN_DAYS = 2
PERSONS_A_STEP = keeping.PERSONS_A_REFOLD_MAX

_log = structlog.get_logger()


@contextmanager
def leased(connection: Connection, name: str) -> Iterator[bool]:
    """Hold the job's lock while inside; False when another process has it. The lock ends with the connection."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (JOB_LOCK, name)).fetchone()
    mine = bool(row and row[0])
    try:
        yield mine
    finally:
        if mine and not connection.closed and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (JOB_LOCK, name))


_PERSONS = """
SELECT site_id, person FROM (
  SELECT p.site_id, p.person FROM attendance_presence p
  UNION
  SELECT e.site_id, CASE WHEN e.worker_id IS NULL THEN 'card:' || encode(e.token, 'hex')
                         ELSE 'worker:' || e.worker_id END
  FROM attendance_event e WHERE e.token IS NOT NULL AND e.direction IS NOT NULL AND e.received_at > %s
) persons ORDER BY site_id, person
"""


def recompute_presence(connection: Connection, *, now: datetime) -> int:
    """Fold everyone from zero and compare with the rows kept; mend and report each difference. Returns how many.

    Covers every row kept, and everyone with a tap received in the last `RESOLVE_AGAIN_DAYS` days. The connection is
    in autocommit mode; each step is one transaction.
    """
    resolve_recent(connection, now=now)
    since = now - timedelta(days=RESOLVE_AGAIN_DAYS)
    persons = [PersonKey(*row) for row in connection.execute(_PERSONS, (since,))]
    differing = 0
    for start in range(0, len(persons), PERSONS_A_STEP):
        with connection.transaction():
            part = persons[start : start + PERSONS_A_STEP]
            differed = keeping.refold(connection, part)
            quarantine.report(connection, _differences(connection, differed), now=now)
            notify_sites(connection, {key.site_id for key in differed})
        differing += len(differed)
    _log.info("presence_recomputed", persons=len(persons), differing=differing)
    return differing


def _differences(connection: Connection, differed: list[PersonKey]) -> list[Found]:
    rows = keeping.locked(connection, differed) if differed else {}
    found = []
    for key in differed:
        row = rows.get(key)
        journal, seq = (row.last_journal, row.last_seq) if row else (0, 0)
        found.append(Found(journal, "presence_differs", seq, f"site {key.site_id}, {key.person}: mended from its taps"))
    return found


def resolve_recent(connection: Connection, *, now: datetime) -> int:
    """Find the holders of recently tapped cards anew, whatever was written down. Returns how many cards."""
    since = now - timedelta(days=RESOLVE_AGAIN_DAYS)
    rows = connection.execute(
        "SELECT DISTINCT token FROM attendance_event WHERE token IS NOT NULL AND received_at > %s", (since,)
    )
    tokens = [row[0] for row in rows]
    changed_cards.resolve(connection, tokens)
    return len(tokens)


def quarantine_digest(connection: Connection, *, now: datetime) -> dict[str, int]:
    """Count what was kept aside and what was found wrong in the last day, by reason and kind, and log it."""
    since = now - timedelta(days=1)
    kept = connection.execute(
        "SELECT reason, count(*) FROM attendance_quarantine WHERE last_seen_at > %s GROUP BY 1", (since,)
    ).fetchall()
    found = connection.execute(
        "SELECT kind, count(*) FROM attendance_anomaly WHERE found_at > %s GROUP BY 1", (since,)
    ).fetchall()
    digest = {f"quarantine:{row[0]}": int(row[1]) for row in kept} | {f"anomaly:{row[0]}": int(row[1]) for row in found}
    if digest:
        _log.warning("quarantine_digest", **{name.replace(":", "_"): count for name, count in digest.items()})
    else:
        _log.info("quarantine_digest_empty")
    return digest
