"""Letting go of whole months, by a rule that is data: without a rule everything is kept, and nothing goes silently.

What remains of a month: which records were held, so that none counts again, and each person's presence as it stood at
its end, so that nobody leaves the inside set because evidence of an entry is gone. A crash repeats a step.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from psycopg import sql

from central.attendance import keeping
from central.attendance.keeping import PersonKey
from central.attendance.months import Month, month_of
from central.attendance.timekeeping import TIME_AHEAD_MAX
from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.db import psycopg_of, write_session
from central.kit.errors import Invalid

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Engine

    from central.kit.db import ReadSession, WriteSession

    Connection = psycopg.Connection[Any]

KEEP_MONTHS_MIN = 12
"""A terminal may come back after a long time, and a year is still asked about."""
COMMITTED_AFTER = timedelta(hours=1)
"""What was received longer ago is committed or never will be: no transaction lives as long."""

_log = structlog.get_logger()


_SET = """
INSERT INTO attendance_retention_rule (id, keep_months, set_by, set_at) VALUES (1, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET keep_months = EXCLUDED.keep_months, set_by = EXCLUDED.set_by, set_at = EXCLUDED.set_at
"""


def rule(session: ReadSession | WriteSession) -> int | None:
    """Return how many whole months are kept; None: all."""
    row = psycopg_of(session).execute("SELECT keep_months FROM attendance_retention_rule").fetchone()
    return row[0] if row else None


def set_rule(session: WriteSession, *, keep_months: int | None, actor: str, now: datetime) -> None:
    """Set how many whole months before the present one are kept; None keeps all. Raises `Invalid` below a year."""
    if keep_months is not None and keep_months < KEEP_MONTHS_MIN:
        raise Invalid(f"{keep_months} months are too few: keep {KEEP_MONTHS_MIN} or more, or all", field="keep_months")
    before = rule(session)
    psycopg_of(session).execute(_SET, (keep_months, actor, now))
    detail = {"keep_months": keep_months or "all", "before": before or "all"}
    audit.record(session, actor=actor, tag=Tag.RETENTION_SET, subject="attendance_event", detail=detail, now=now)


_PARTITIONS = """
SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'attendance_event'::regclass ORDER BY c.relname
"""


def kept_months(connection: Connection) -> list[tuple[Month, bool]]:
    """List the months that exist, oldest first, and whether one is half detached."""
    found = []
    for name, pending in connection.execute(_PARTITIONS):
        year, month = name.removeprefix("attendance_event_").split("_")
        found.append((month_of(datetime.fromisoformat(f"{year}-{month}-15T00:00:00+00:00")), pending))
    return found


def plan(session: ReadSession, *, now: datetime) -> tuple[int | None, list[tuple[Month, bool]]]:
    """Return the rule, and the months that exist, oldest first, with whether the next run lets go of them."""
    keep_months, months = rule(session), [month for month, _ in kept_months(psycopg_of(session))]
    going = due(months, keep_months=keep_months, now=now) if keep_months is not None else []
    return keep_months, [(month, month in going) for month in months]


def due(months: list[Month], *, keep_months: int, now: datetime) -> list[Month]:
    """Choose the months of which the rule lets go: those before the `keep_months` whole ones before now."""
    oldest_kept = month_of(now)
    for _ in range(keep_months):
        oldest_kept = month_of(oldest_kept.from_at - timedelta(days=1))
    return [month for month in months if month.until_at <= oldest_kept.from_at]


def let_go(engine: Engine, connection: Connection, *, actor: str, now: datetime) -> list[str]:
    """Let go of every month that the rule no longer keeps; returns their names. `connection` is in autocommit mode."""
    with write_session(engine) as session:
        keep_months = rule(session)
    if keep_months is None:
        return []
    pending = dict(kept_months(connection))
    gone = []
    for month in due(list(pending), keep_months=keep_months, now=now):
        with write_session(engine) as session:
            psycopg_of(session).execute("SET LOCAL statement_timeout = 0")
            detail = _remember(psycopg_of(session), month, now=now) | {"keep_months": keep_months}
            audit.record(session, actor=actor, tag=Tag.EVENTS_DROP, subject=month.partition, detail=detail, now=now)
        _drop(connection, month, half_done=pending[month])
        _log.warning("month_let_go", month=month.partition, **detail)
        gone.append(month.partition)
    return gone


_RUNS = """
INSERT INTO attendance_forgotten (journal, first_seq, last_seq, last_hash, month)
SELECT r.journal, r.first_seq, r.last_seq, e.hash, {from_at}
FROM (SELECT journal, min(seq) AS first_seq, max(seq) AS last_seq
      FROM (SELECT journal, seq, seq - row_number() OVER (PARTITION BY journal ORDER BY seq) AS run
            FROM {month}) numbered
      GROUP BY journal, run) r
JOIN {month} e ON e.journal = r.journal AND e.seq = r.last_seq
ON CONFLICT DO NOTHING
"""
_PERSONS = """
SELECT DISTINCT site_id,
  CASE WHEN worker_id IS NULL THEN 'card:' || encode(token, 'hex') ELSE 'worker:' || worker_id END
FROM {month} WHERE token IS NOT NULL AND direction IS NOT NULL ORDER BY 1, 2
"""
_COUNT = "SELECT coalesce(sum(last_seq - first_seq + 1), 0)::bigint FROM attendance_forgotten WHERE month = %s"


def _remember(connection: Connection, month: Month, *, now: datetime) -> dict[str, int]:
    """Write down what the month held and where it leaves each person; returns how much."""
    names = {"month": sql.Identifier(month.partition), "from_at": sql.Literal(month.from_at)}
    journals = connection.execute(sql.SQL(_RUNS).format(**names)).rowcount
    persons = [PersonKey(*row) for row in connection.execute(sql.SQL(_PERSONS).format(**names))]
    through_at, known_at = month.until_at + TIME_AHEAD_MAX, now - COMMITTED_AFTER
    for start in range(0, len(persons), keeping.PERSONS_A_REFOLD_MAX):
        part = persons[start : start + keeping.PERSONS_A_REFOLD_MAX]
        keeping.carry(connection, part, through_at=through_at, known_at=known_at)
    events = connection.execute(_COUNT, (month.from_at,)).fetchone()
    return {"events": int(events[0]) if events else 0, "runs": journals, "persons": len(persons)}


def _drop(connection: Connection, month: Month, *, half_done: bool) -> None:
    """Detach the month beside the running writers, then drop it."""
    name = sql.Identifier(month.partition)
    how = sql.SQL("FINALIZE" if half_done else "CONCURRENTLY")
    connection.execute(sql.SQL("ALTER TABLE attendance_event DETACH PARTITION {} {}").format(name, how))
    connection.execute(sql.SQL("DROP TABLE {}").format(name))
