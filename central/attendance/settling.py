"""Times rebuilt in the database: what came without a compared clock is placed by its neighbours, also by late ones.

Ingest only notes such events and which journals are due; the worker settles those right after its commit, in a
transaction of their own. Bytes and hashes stay as they are; every estimate is kept with when it was made (EVD-01).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from central.attendance import keeping
from central.attendance.arrival import read_event
from central.attendance.keeping import PersonKey, person_of
from central.attendance.timekeeping import (
    CENTRAL_ERROR_US,
    MEASURED,
    RECONSTRUCTED,
    Estimate,
    Sighting,
    better,
    from_us,
    rebuild,
    sighting,
    to_us,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import psycopg

    from central.attendance.arrival import Arrival
    from central.attendance.batch import Journal
    from edge_agent.wire.messages import Birth

    Connection = psycopg.Connection[Any]

SETTLED, OPEN, DUE_NEW, DUE_ALL = 0, 1, 2, 3
"""`attendance_journal.clock_due`."""
EVENTS_A_SETTLING_MAX = 50_000
"""Of one journal, the newest first: bounds memory. The rest is settled with the next evidence."""
BIRTHS_A_SETTLING_MAX = 1_000
WELL_KNOWN_MS = 60_000
"""A time known as well as this by itself is no reason to look at its neighbours at once."""
_COMPARED = ("synced", "holdover")
_AFTER_RECEIPT = timedelta(microseconds=1)
"""An estimate of the very instant of the receipt comes after what was noted at it."""

_NOTE = """
INSERT INTO attendance_clock_sighting
  (journal, seq, received_at, boot_id, boottime_us, earliest_us, latest_us, claimed_us,
   known_earliest_us, known_latest_us)
SELECT journal, seq, %s, boot_id, boottime_us, earliest_us, latest_us, claimed_us, earliest_us, latest_us
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
  n(journal, seq, boot_id, boottime_us, earliest_us, latest_us, claimed_us)
ON CONFLICT DO NOTHING
"""
_ESTIMATED = """
INSERT INTO attendance_time_estimate (journal, seq, known_at, occurred_at, time_basis, time_error_ms)
SELECT journal, seq, %s, occurred_at, basis, error_ms
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::smallint[], %s::int[])
  n(journal, seq, occurred_at, basis, error_ms)
ON CONFLICT (journal, seq, known_at) DO UPDATE
  SET occurred_at = EXCLUDED.occurred_at, time_basis = EXCLUDED.time_basis, time_error_ms = EXCLUDED.time_error_ms
"""
_DUE = """
UPDATE attendance_journal j SET clock_due = greatest(j.clock_due, n.due)
FROM unnest(%s::bigint[], %s::smallint[]) n(id, due) WHERE j.id = n.id
"""
_BIRTH = """
INSERT INTO attendance_birth_mark (journal_id, head_seq, boot_id, terminal_id, boottime_us, received_us)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (journal_id, head_seq, boot_id) DO UPDATE
  SET boottime_us = EXCLUDED.boottime_us, received_us = EXCLUDED.received_us
  WHERE attendance_birth_mark.received_us - attendance_birth_mark.boottime_us
        > EXCLUDED.received_us - EXCLUDED.boottime_us
"""


class Noted(NamedTuple):
    """An event that no compared clock measured, as ingest stores it."""

    journal: int
    sighting: Sighting
    occurred_at: datetime
    basis: int
    error_ms: int | None


def noted(journal: Journal, arrival: Arrival, believed: tuple[datetime, int, int | None], *, now: datetime) -> Noted:
    """Describe an event that no compared clock measured."""
    return Noted(journal.id, sighting(arrival, received_at=now), *believed)


def note(connection: Connection, events: Sequence[Noted], *, due: dict[int, int], now: datetime) -> None:
    """Keep what these events say of time, their first estimates, and which journals are due: part of ingest."""
    if events:
        seen = [one.sighting for one in events]
        columns: list[list[Any]] = [
            [one.journal for one in events],
            [one.seq for one in seen],
            [one.boot_id for one in seen],
            [one.boottime_us for one in seen],
            [one.earliest_us for one in seen],
            [one.latest_us for one in seen],
            [one.claimed_us for one in seen],
        ]
        connection.execute(_NOTE, [now, *columns])
        estimates = [(one.journal, one.sighting.seq, one.occurred_at, one.basis, one.error_ms) for one in events]
        _remember(connection, estimates, now=now)
    if due:
        connection.execute(_DUE, (list(due), list(due.values())))


def note_birth(connection: Connection, terminal_id: int, birth: Birth, *, now: datetime) -> None:
    """Keep when a terminal without a compared clock was born: its backlog is older than that."""
    if birth.clock_state in _COMPARED:
        return
    given = (birth.journal_id, birth.head_seq, birth.boot_id, terminal_id, birth.boottime_ns // 1000, to_us(now))
    connection.execute(_BIRTH, given)


def _remember(
    connection: Connection, estimates: Sequence[tuple[int, int, datetime, int, int | None]], *, now: datetime
) -> None:
    connection.execute(_ESTIMATED, [now, *map(list, zip(*estimates, strict=True))])


def due(connection: Connection) -> list[int]:
    """List the journals whose times wait to be rebuilt."""
    rows = connection.execute("SELECT id FROM attendance_journal WHERE clock_due >= %s ORDER BY id", (DUE_NEW,))
    return [row[0] for row in rows]


def settle(connection: Connection, journals: Iterable[int], *, now: datetime) -> set[int]:
    """Rebuild the times of these journals, each in a transaction; returns the sites where a time changed.

    The connection is in autocommit mode. Who comes second to a journal finds nothing due.
    """
    sites: set[int] = set()
    for journal in sorted(journals):
        with connection.transaction():
            sites |= _settle(connection, journal, now=now)
    return sites


_LOCK = "SELECT journal_id, terminal_id, durable, clock_due FROM attendance_journal WHERE id = %s FOR UPDATE"
_EVENTS = """
SELECT s.seq, s.received_at, s.boot_id, s.boottime_us, s.earliest_us, s.latest_us, s.claimed_us, s.known_earliest_us,
       s.known_latest_us, e.occurred_at, e.time_basis, e.time_error_ms
FROM attendance_clock_sighting s
JOIN attendance_event e ON e.journal = s.journal AND e.seq = s.seq AND e.received_at = s.received_at
WHERE s.journal = %s AND {which} ORDER BY s.seq DESC LIMIT %s
"""
_NEW, _ALL = _EVENTS.format(which="NOT s.settled"), _EVENTS.format(which="s.open")
_NEXT_TO = """
SELECT e.seq, e.received_at, e.time_basis, CASE WHEN e.time_basis = 0 THEN e.bytes END,
       s.boot_id, s.boottime_us, s.known_earliest_us, s.known_latest_us
FROM unnest(%s::bigint[]) edge(seq)
CROSS JOIN LATERAL (
  SELECT o.seq, o.received_at, o.time_basis, o.bytes FROM attendance_event o
  WHERE o.journal = %s AND o.seq {side} edge.seq ORDER BY o.seq {order} LIMIT 1
) e
LEFT JOIN attendance_clock_sighting s ON s.journal = %s AND s.seq = e.seq
"""
_BEFORE, _AFTER = _NEXT_TO.format(side="<", order="DESC"), _NEXT_TO.format(side=">", order="ASC")
_BIRTHS = """
SELECT head_seq, boot_id, boottime_us, received_us FROM attendance_birth_mark
WHERE journal_id = %s AND terminal_id = %s AND head_seq >= %s ORDER BY head_seq LIMIT %s
"""
_KNOW = """
UPDATE attendance_clock_sighting s
SET known_earliest_us = n.earliest, known_latest_us = n.latest, settled = true, open = n.open
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[]) n(seq, earliest, latest, open)
WHERE s.journal = %s AND s.seq = n.seq
"""
_LEAVE = """
UPDATE attendance_journal SET clock_due = CASE WHEN EXISTS (
  SELECT FROM attendance_clock_sighting s WHERE s.journal = %(id)s AND s.open) THEN 1 ELSE 0 END
WHERE id = %(id)s RETURNING clock_due
"""
_MOVE = """
UPDATE attendance_event e
SET occurred_at = n.at, time_basis = n.basis, time_error_ms = n.error_ms,
    worker_id = CASE WHEN e.token IS NOT NULL THEN (
      SELECT a.worker_id FROM registry_card c JOIN registry_card_assignment a ON a.card_id = c.id
      WHERE c.token = encode(e.token, 'hex') AND a.from_at <= n.at AND (a.until_at IS NULL OR n.at < a.until_at)) END
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::smallint[], %s::int[])
  n(seq, received_at, at, basis, error_ms)
JOIN attendance_event o ON o.journal = %s AND o.seq = n.seq AND o.received_at = n.received_at
WHERE e.journal = o.journal AND e.seq = n.seq AND e.received_at = n.received_at
RETURNING e.site_id, e.token, o.worker_id, e.worker_id, e.direction
"""


class _Open(NamedTuple):
    """An event to settle: what it says, how it stands in the table, and the bounds of the last look."""

    sighting: Sighting
    received_at: datetime
    stands: Estimate


class _Neighbour(NamedTuple):
    """A held event beside those to settle. `compared`: it was measured, and bounds the others for good."""

    sighting: Sighting
    compared: bool


def _settle(connection: Connection, journal: int, *, now: datetime) -> set[int]:
    row = connection.execute(_LOCK, (journal,)).fetchone()
    if row is None or row[3] < DUE_NEW:
        return set()
    journal_id, terminal_id, durable, clock_due = row
    events = _open(connection, journal, everything=clock_due == DUE_ALL)
    before, after = _neighbours(connection, journal, events)
    if clock_due == DUE_NEW and _touches_settled(events, before, after):
        events = _open(connection, journal, everything=True)
        before, after = _neighbours(connection, journal, events)
    if not events:
        connection.execute(_LEAVE, {"id": journal})
        return set()
    births = connection.execute(
        _BIRTHS, (journal_id, terminal_id, events[0].sighting.seq - 1, BIRTHS_A_SETTLING_MAX)
    ).fetchall()
    estimates = _estimate(events, [*before.values(), *after.values()], births)
    closed = _closed(events, after, durable)
    _know(connection, journal, events, estimates, closed)
    changed = [(one, new) for one, new in zip(events, estimates, strict=True) if better(new, one.stands)]
    left = connection.execute(_LEAVE, {"id": journal}).fetchone()
    if left is not None and left[0] == SETTLED:
        connection.execute(
            "DELETE FROM attendance_birth_mark WHERE journal_id = %s AND head_seq < %s", (journal_id, durable)
        )
    return _move(connection, journal, changed, now=now)


def _open(connection: Connection, journal: int, *, everything: bool) -> list[_Open]:
    """Read the events to settle, in the order of `seq`: those never looked at, or all that are open."""
    found = []
    for row in connection.execute(_ALL if everything else _NEW, (journal, EVENTS_A_SETTLING_MAX)):
        seq, received_at, boot_id, boottime_us, earliest, latest, claimed, known_earliest, known_latest, *stands = row
        seen = Sighting(seq, boot_id, boottime_us, earliest, latest, False, claimed, to_us(received_at))
        estimate = Estimate(to_us(stands[0]), stands[1], stands[2], known_earliest, known_latest)
        found.append(_Open(seen, received_at, estimate))
    return found[::-1]


def _neighbours(
    connection: Connection, journal: int, events: list[_Open]
) -> tuple[dict[int, _Neighbour], dict[int, _Neighbour]]:
    """Read the held events just before and just after each run of consecutive numbers, by their own numbers."""
    seqs = [one.sighting.seq for one in events]
    there = set(seqs)
    first = [seq for seq in seqs if seq - 1 not in there]
    last = [seq for seq in seqs if seq + 1 not in there]
    found: tuple[dict[int, _Neighbour], dict[int, _Neighbour]] = ({}, {})
    for into, query, edges in ((found[0], _BEFORE, first), (found[1], _AFTER, last)):
        for row in connection.execute(query, (edges, journal, journal)) if edges else ():
            if row[0] not in there:
                into[row[0]] = _neighbour(row)
    return found


def _neighbour(row: tuple[Any, ...]) -> _Neighbour:
    seq, received_at, basis, raw, boot_id, boottime_us, earliest_us, latest_us = row
    if raw is not None:
        return _Neighbour(sighting(read_event(raw, source=""), received_at=received_at), compared=True)
    # What was found of it before bounds the others like an observation.
    anchored = basis in {MEASURED, RECONSTRUCTED}
    seen = Sighting(seq, boot_id, boottime_us, earliest_us, latest_us, anchored, None, to_us(received_at))
    return _Neighbour(seen, compared=False)


def _touches_settled(events: list[_Open], before: dict[int, _Neighbour], after: dict[int, _Neighbour]) -> bool:
    """Whether what is new may say more of what was settled: something follows it, or another boot began."""
    if not events or all(one.compared for one in before.values()):
        return False
    boots = {one.sighting.boot_id for one in events}
    return bool(after) or any(one.sighting.boot_id not in boots for one in before.values() if not one.compared)


def _estimate(events: list[_Open], neighbours: list[_Neighbour], births: list[Any]) -> list[Estimate]:
    """Rebuild the events' times among their neighbours and the births of their terminal."""
    by_number = {one.sighting.seq: one.sighting for one in neighbours}
    by_number.update((one.sighting.seq, one.sighting) for one in events)
    seen = [(seq, 0, one) for seq, one in by_number.items()]
    for head_seq, boot_id, boottime_us, received_us in births:
        # A birth comes after its head and before the next event.
        latest_us = received_us + CENTRAL_ERROR_US
        seen.append((head_seq, 1, Sighting(head_seq, boot_id, boottime_us, None, latest_us, received_us=received_us)))
    seen.sort(key=lambda one: one[:2])
    rebuilt = rebuild([one for _, _, one in seen])
    by_seq = {seq: estimate for (seq, kind, _), estimate in zip(seen, rebuilt, strict=True) if not kind}
    return [by_seq[one.sighting.seq] for one in events]


def _closed(events: list[_Open], after: dict[int, _Neighbour], durable: int) -> set[int]:
    """Find the events of which no more can become known: a measured one follows, with nothing missing between."""
    closed: set[int] = set()
    ends = sorted(seq for seq, one in after.items() if one.compared and seq <= durable)
    run: list[int] = []
    there = {one.sighting.seq for one in events}
    for one in events:
        seq = one.sighting.seq
        run.append(seq)
        if seq + 1 not in there:
            following = min((each for each in after if each > seq), default=None)
            if following in ends:
                closed.update(run)
            run = []
    return closed


def _know(
    connection: Connection, journal: int, events: list[_Open], estimates: list[Estimate], closed: set[int]
) -> None:
    columns: list[list[Any]] = [
        [one.sighting.seq for one in events],
        [one.earliest_us for one in estimates],
        [one.latest_us for one in estimates],
        [one.sighting.seq not in closed for one in events],
    ]
    connection.execute(_KNOW, [*columns, journal])


def _move(connection: Connection, journal: int, changed: list[tuple[_Open, Estimate]], *, now: datetime) -> set[int]:
    """Write the better estimates, and fold whose taps moved."""
    if not changed:
        return set()
    estimates = [(journal, one.sighting.seq, from_us(new.at_us), new.basis, new.error_ms) for one, new in changed]
    _remember(connection, estimates, now=now + _AFTER_RECEIPT)
    columns: list[list[Any]] = [
        [one.sighting.seq for one, _ in changed],
        [one.received_at for one, _ in changed],
        [from_us(new.at_us) for _, new in changed],
        [new.basis for _, new in changed],
        [new.error_ms for _, new in changed],
    ]
    connection.execute("SELECT set_config('ccs.rebuilding_times', 'on', true)")
    touched: set[PersonKey] = set()
    sites: set[int] = set()
    for site_id, token, old, new_worker, direction in connection.execute(_MOVE, [*columns, journal]).fetchall():
        sites.add(site_id)
        if token is not None and direction is not None:
            touched |= {PersonKey(site_id, person_of(who, token)) for who in (old, new_worker)}
    keeping.refold(connection, touched)
    return sites
