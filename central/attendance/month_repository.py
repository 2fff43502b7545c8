"""Taps of a site's workers with everything that makes them evidence. Plain SQL; who may see whom is asked before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from central.attendance.presence import CountedTap
from central.attendance.repository import AHEAD_OF_RECEIPT_MAX
from central.attendance.timekeeping import BASES, DOUBT_SQL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    Connection = psycopg.Connection[Any]

DIRECTIONS = ("in", "out", "tap", "muster")
DECISIONS = ("accepted", "unknown_card", "barred", "auth_failed", "repeat")


@dataclass(frozen=True, slots=True)
class WorkersTap:
    """One stored tap of a known worker. `journal_id` and `seq` name it for ever, `hash` is of the terminal's bytes."""

    worker_id: int
    journal_id: UUID
    seq: int
    terminal: str
    occurred_at: datetime
    time_basis: str
    time_error_ms: int | None
    received_at: datetime
    direction: str
    decision: str
    assurance: int | None
    hash: str
    counted: CountedTap
    """The same, as the fold of days takes it."""


COLUMNS = f"""
e.worker_id, j.journal_id, e.seq, t.code, e.occurred_at, e.time_basis, e.time_error_ms, e.received_at, e.direction,
coalesce(e.decision, 0), e.assurance, e.hash, e.journal, e.terminal_id, coalesce(e.zone, ''), {DOUBT_SQL}
"""
_MONTH = f"""
SELECT {COLUMNS} FROM attendance_event e JOIN attendance_journal j ON j.id = e.journal
JOIN registry_terminal t ON t.id = e.terminal_id
WHERE e.worker_id = ANY(%(workers)s) AND e.site_id = %(site)s AND e.direction IS NOT NULL
  AND e.occurred_at >= %(from_at)s AND e.occurred_at < %(until_at)s AND e.received_at > %(received_after)s
ORDER BY e.worker_id, e.occurred_at, e.journal, e.seq
"""  # noqa: S608 - constants only


def taps_between(
    connection: Connection, *, site_id: int, workers: Sequence[int], from_at: datetime, until_at: datetime
) -> dict[int, list[WorkersTap]]:
    """Read the taps at a site in [from_at, until_at), by worker, in the order of their times."""
    given = {"site": site_id, "workers": list(workers), "from_at": from_at, "until_at": until_at}
    given["received_after"] = from_at - AHEAD_OF_RECEIPT_MAX
    found: dict[int, list[WorkersTap]] = {}
    for tap in read_taps(connection.execute(_MONTH, given)):
        found.setdefault(tap.worker_id, []).append(tap)
    return found


def read_taps(rows: psycopg.Cursor[Any]) -> Iterator[WorkersTap]:
    """Read rows of `COLUMNS`."""
    for row in rows:
        (worker, name, seq, terminal, at, basis, error_ms, received, direction, decision, assurance, hashed, *rest) = (
            row
        )
        journal, terminal_id, zone, doubt = rest
        counted = CountedTap(journal, seq, at, direction, decision, assurance or 0, terminal_id, zone, str(name), doubt)
        yield WorkersTap(
            worker_id=worker,
            journal_id=name,
            seq=seq,
            terminal=terminal,
            occurred_at=at,
            time_basis=BASES[basis],
            time_error_ms=error_ms,
            received_at=received,
            direction=DIRECTIONS[direction],
            decision=DECISIONS[decision],
            assurance=assurance,
            hash=bytes(hashed).hex(),
            counted=counted,
        )


def seen_at(connection: Connection, *, site_id: int, since: datetime) -> dict[int, tuple[str, str | None]]:
    """Find who has tapped at a site since then, on its roll or not: name and number by id; no test workers."""
    sql = """SELECT w.id, w.name, w.worker_no FROM attendance_presence p JOIN registry_worker w ON w.id = p.worker_id
             WHERE p.site_id = %s AND p.last_at >= %s AND NOT w.is_test"""
    return {row[0]: (row[1], row[2]) for row in connection.execute(sql, (site_id, since))}
