"""Questions about terminals that take both their registration and what they said. Plain SQL; the caller names sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
