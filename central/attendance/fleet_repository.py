"""Questions about terminals that take both their registration and what they said. Plain SQL; the caller names sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from central.attendance.fleet import FleetRow
from central.attendance.repository import OWED_SQL

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import psycopg

    Connection = psycopg.Connection[Any]

_TEST_TAP = """
SELECT max(e.received_at)
FROM attendance_event e JOIN registry_worker w ON w.id = e.worker_id AND w.is_test
WHERE e.journal IN (SELECT j.id FROM attendance_journal j WHERE j.terminal_id = %(terminal)s)
  AND e.received_at >= %(since)s AND e.direction IS NOT NULL AND e.decision = 0
"""


def test_tap_at(connection: Connection, *, terminal_id: int, since: datetime) -> datetime | None:
    """Say when the last accepted tap of a test worker came from a terminal, since an instant."""
    row = connection.execute(_TEST_TAP, {"terminal": terminal_id, "since": since}).fetchone()
    return row[0] if row is not None else None


_FLEET = f"""
SELECT t.id, p.code, p.name, p.timezone, t.code, t.name, t.state, t.in_service, coalesce(s.online, false), s.heard_at,
       {OWED_SQL}, coalesce(s.clock_state, 'unset'), s.clock_offset_ms, s.free_bytes,
       coalesce(r.readers, 0), coalesce(r.lost, 0), coalesce(s.versions->>'agent', ''), s.last_tap_at
FROM registry_terminal t
JOIN registry_site p ON p.id = t.site_id
LEFT JOIN attendance_terminal_status s ON s.terminal_id = t.id
LEFT JOIN LATERAL (
  SELECT count(*) AS readers, count(*) FILTER (WHERE said.value = 'null'::jsonb) AS lost FROM jsonb_each(s.readers) said
) r ON true
WHERE (%(sites)s::bigint[] IS NULL OR t.site_id = ANY(%(sites)s))
  AND (%(code)s::text IS NULL OR t.code = %(code)s)
"""  # noqa: S608 - constants only


def fleet(connection: Connection, *, sites: Collection[int] | None, code: str | None = None) -> list[FleetRow]:
    """Read the terminals of these sites (None: all), in one query; with `code`, only those of that code."""
    given: dict[str, Any] = {"sites": None if sites is None else sorted(sites), "code": code}
    return [FleetRow(*row) for row in connection.execute(_FLEET, given)]
