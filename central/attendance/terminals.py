"""What terminals say of themselves, kept in `attendance_terminal_status` within ingest's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from edge_agent.wire.messages import Birth, Heartbeat, TerminalState

    Connection = psycopg.Connection[Any]

WILL_SLACK = timedelta(seconds=15)
"""A will is written before the connection it speaks for is made, so it may be this much older than its own birth."""

_NEW = """
INSERT INTO attendance_terminal_status
  (terminal_id, online, boot_id, heard_at, head_seq, unacknowledged, clock_state, roster_version)
SELECT t, false, '', %s, 0, 0, 'unset', 0 FROM unnest(%s::bigint[]) t ORDER BY t
ON CONFLICT (terminal_id) DO UPDATE SET heard_at = greatest(attendance_terminal_status.heard_at, EXCLUDED.heard_at)
"""
_ALIVE = "UPDATE attendance_terminal_status SET online = true WHERE terminal_id = ANY(%s) AND NOT online"
_HEAD = """
UPDATE attendance_terminal_status s
SET head_seq = CASE WHEN n.on_top THEN n.newest ELSE s.head_seq END,
    journal_id = CASE WHEN n.on_top THEN n.journal_id ELSE s.journal_id END,
    last_tap_at = greatest(s.last_tap_at, n.tap_at)
FROM (
  SELECT g.*, (o.journal_id IS NULL OR o.journal_id = g.journal_id) AND o.head_seq < g.newest AS on_top
  FROM unnest(%s::bigint[], %s::uuid[], %s::bigint[], %s::timestamptz[]) g(terminal_id, journal_id, newest, tap_at)
  JOIN attendance_terminal_status o ON o.terminal_id = g.terminal_id
) n
WHERE s.terminal_id = n.terminal_id AND (n.on_top OR n.tap_at > coalesce(s.last_tap_at, '-infinity'))
"""
_BIRTH = """
UPDATE attendance_terminal_status
SET online = true, boot_id = %(boot)s, born_at = %(at)s, journal_id = %(journal)s, head_seq = %(head)s,
    clock_state = %(clock)s, clock_offset_ms = %(offset)s, roster_version = %(roster)s, versions = %(versions)s
WHERE terminal_id = %(terminal)s AND (born_at IS NULL OR boot_id <> %(boot)s OR born_at <= %(at)s)
"""
_HEARTBEAT = """
UPDATE attendance_terminal_status
SET online = true, journal_id = %(journal)s, head_seq = %(head)s, unacknowledged = %(unacknowledged)s,
    free_bytes = %(free)s, clock_state = %(clock)s, clock_offset_ms = %(offset)s, roster_version = %(roster)s,
    readers = %(readers)s
WHERE terminal_id = %(terminal)s
"""
_STATE = """
UPDATE attendance_terminal_status SET online = %(online)s
WHERE terminal_id = %(terminal)s
  AND (%(online)s OR born_at IS NULL OR (boot_id = %(boot)s AND %(at)s >= born_at - %(slack)s))
"""


def heard(connection: Connection, terminals: Iterable[int], *, now: datetime, alive: Iterable[int]) -> None:
    """Note that these terminals were heard now; `alive` are those that sent something themselves, not their will."""
    connection.execute(_NEW, (now, sorted(set(terminals))))
    sending = sorted(set(alive))
    if sending:
        connection.execute(_ALIVE, (sending,))


def heads(connection: Connection, newest: Iterable[tuple[int, str, int, datetime | None]]) -> None:
    """Note (terminal, journal id, highest seq received, newest tap), for terminals that say nothing else."""
    rows = sorted(newest, key=itemgetter(0, 1))
    if rows:
        connection.execute(_HEAD, tuple(map(list, zip(*rows, strict=True))))


def _offset_ms(at: datetime, now: datetime) -> int:
    return int((at - now).total_seconds() * 1000)


def births(connection: Connection, born: Iterable[tuple[int, Birth]], *, now: datetime) -> None:
    """Note births. An older one of the same boot, delivered late, changes nothing."""
    for terminal, birth in born:
        given = {
            "terminal": terminal,
            "boot": birth.boot_id,
            "at": birth.at,
            "journal": birth.journal_id,
            "head": birth.head_seq,
            "clock": birth.clock_state,
            "offset": _offset_ms(birth.at, now),
            "roster": birth.roster_version,
            "versions": Jsonb(birth.versions),
        }
        connection.execute(_BIRTH, given)


def heartbeats(connection: Connection, beats: Iterable[tuple[int, Heartbeat]], *, now: datetime) -> None:
    """Note the latest heartbeat of each terminal."""
    rows = [
        {
            "terminal": terminal,
            "journal": beat.journal_id,
            "head": beat.head_seq,
            "unacknowledged": beat.unacknowledged,
            "free": beat.free_bytes,
            "clock": beat.clock_state,
            "offset": _offset_ms(beat.at, now),
            "roster": beat.roster_version,
            "readers": Jsonb(beat.readers),
        }
        for terminal, beat in sorted(dict(beats).items())
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_HEARTBEAT, rows)


def states(connection: Connection, said: Iterable[tuple[int, TerminalState]]) -> None:
    """Note online or offline; a will older than the current birth, or of an earlier boot, changes nothing."""
    for terminal, state in said:
        given = {"online": state.online, "terminal": terminal, "boot": state.boot_id, "at": state.at}
        connection.execute(_STATE, given | {"slack": WILL_SLACK})
