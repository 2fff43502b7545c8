"""Questions asked of attendance's tables and, to read only, of the registry's. Plain SQL on a psycopg connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from central.attendance.headcount import PresenceView, TerminalFacts, Visit
from central.attendance.presence import CountedTap
from central.attendance.timekeeping import DOUBT_SQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg
    from psycopg.rows import TupleRow

    Connection = psycopg.Connection[TupleRow]


AHEAD_OF_RECEIPT_MAX = timedelta(minutes=2)
"""No tap is stored as later than this after its receipt. Taken off here, not in SQL, where a difference of times counts
as changing: the server would plan for every month there is, only to leave them out when it asks."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """The few things attendance needs of a site."""

    code: str
    timezone: str


def site_facts(connection: Connection, site_id: int) -> SiteFacts | None:
    """Read a site's code and time zone, or None when there is no such site."""
    row = connection.execute("SELECT code, timezone FROM registry_site WHERE id = %s", (site_id,)).fetchone()
    return SiteFacts(*row) if row else None


def employment_sql(*, zone: str, at: str) -> str:
    """Join to a presence row `p` the employment that its person came in under (`came`), or else the one of `at`.

    Who came in as somebody's is theirs until they leave: an employment that ends at midnight takes nobody out of a
    count (INC-01). `zone` and `at` are SQL: the site's time zone, and an instant.
    """
    return f"""
LEFT JOIN registry_employment came ON came.worker_id = p.worker_id AND came.site_id = p.site_id
     AND daterange(came.from_on, came.until_on) @> (p.since_at AT TIME ZONE {zone})::date
LEFT JOIN registry_employment now_is ON came.id IS NULL AND now_is.worker_id = p.worker_id
     AND now_is.site_id = p.site_id AND daterange(now_is.from_on, now_is.until_on) @> ({at} AT TIME ZONE {zone})::date
"""


EMPLOYER_SQL = "coalesce(came.employer_id, now_is.employer_id)"
"""Whose a person is after `employment_sql`; null when nobody employs them there."""
_EMPLOYMENT = employment_sql(zone="%(zone)s", at="%(at)s")

_PRESENT = f"""
SELECT p.person, p.worker_id, p.state, p.since_at, p.entry_assurance, p.doubts, p.last_at, p.last_terminal_id,
       p.last_zone, coalesce(w.name, ''), coalesce(o.name, ''), coalesce(came.trade, now_is.trade, ''),
       coalesce(w.is_test, false), p.since_doubt, p.last_doubt, o.id
FROM attendance_presence p
LEFT JOIN registry_worker w ON w.id = p.worker_id
{_EMPLOYMENT}
LEFT JOIN registry_organization o ON o.id = {EMPLOYER_SQL}
WHERE p.site_id = %(site)s AND p.state <> 0 AND (%(last_by)s::timestamptz IS NULL OR p.last_at <= %(last_by)s)
"""  # noqa: S608 - constants only


def present(
    connection: Connection, *, site_id: int, timezone: str, at: datetime, last_by: datetime | None = None
) -> list[PresenceView]:
    """Read everyone who is not outside, with name, and employer and trade as they came in, or else as of `at`.

    With `last_by`, only those whose last tap is no younger.
    """
    given: dict[str, Any] = {"site": site_id, "zone": timezone, "at": at, "last_by": last_by}
    rows = connection.execute(_PRESENT, given).fetchall()
    return [PresenceView(*row) for row in rows]


_VISITS = """
SELECT id, name, company, entered_at FROM registry_day_pass
WHERE site_id = %(site)s AND entered_at <= %(at)s AND (left_at IS NULL OR left_at > %(at)s)
ORDER BY id LIMIT %(rows_max)s
"""
VISITS_MAX = 10_000


def visits(connection: Connection, *, site_id: int, at: datetime) -> list[Visit]:
    """Read the visitors and drivers who are inside at an instant: let in, and not recorded as gone."""
    given: dict[str, Any] = {"site": site_id, "at": at, "rows_max": VISITS_MAX}
    return [Visit(*row) for row in connection.execute(_VISITS, given)]


_WHO = f"""
SELECT w.id, w.name, coalesce(o.name, ''), coalesce(came.trade, now_is.trade, ''), w.is_test, o.id
FROM (SELECT *, %(site)s::bigint AS site_id FROM unnest(%(workers)s::bigint[], %(since)s::timestamptz[])
      AS given(worker_id, since_at)) p
JOIN registry_worker w ON w.id = p.worker_id
{_EMPLOYMENT}
LEFT JOIN registry_organization o ON o.id = {EMPLOYER_SQL}
"""  # noqa: S608 - constants only


def who(
    connection: Connection, *, site_id: int, timezone: str, at: datetime, since: Mapping[int, datetime]
) -> dict[int, tuple[str, str, str, bool, int | None]]:
    """Read (name, employer, trade, is_test, employer's id) of workers by id, as of `present`.

    `since`: when each came in.
    """
    given: dict[str, Any] = {"site": site_id, "zone": timezone, "at": at}
    given |= {"workers": list(since), "since": list(since.values())}
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in connection.execute(_WHO, given)}


OWED_SQL = """
(SELECT coalesce(
   sum(greatest(0, greatest(CASE WHEN j.journal_id = s.journal_id THEN s.head_seq ELSE 0 END,
                            coalesce(j.ahead[cardinality(j.ahead)], j.durable))
       - j.durable
       - (SELECT coalesce(sum(CASE WHEN mod(u.n, 2) = 0 THEN u.seq + 1 ELSE -u.seq END), 0)
          FROM unnest(j.ahead) WITH ORDINALITY u(seq, n))))
   + CASE WHEN bool_or(j.journal_id = s.journal_id) OR s.journal_id IS NULL THEN 0 ELSE s.head_seq END,
   CASE WHEN s.journal_id IS NULL THEN 0 ELSE s.head_seq END)::bigint
 FROM attendance_journal j WHERE j.terminal_id = t.id)
"""
"""How many records terminal `t` (status `s`) is known to hold that the database does not: of each of its journals what
lies between `durable` and its head, less the ranges held ahead; of a journal never received, all of it."""

_TERMINALS = f"""
SELECT t.id, t.code, t.name, t.zone,
       EXISTS (SELECT 1 FROM jsonb_array_elements(t.readers) r WHERE r->>'direction' IN ('out', 'tap')),
       coalesce(s.online, false), s.heard_at, {OWED_SQL}, true, t.in_service
FROM registry_terminal t LEFT JOIN attendance_terminal_status s ON s.terminal_id = t.id
WHERE t.site_id = %s ORDER BY t.code
"""  # noqa: S608 - constants only


def terminals(connection: Connection, *, site_id: int) -> tuple[tuple[TerminalFacts, ...], dict[int, str]]:
    """Read the site's terminals that are in service or still owe something, and the codes of all of them by id."""
    rows = connection.execute(_TERMINALS, (site_id,)).fetchall()
    every = [TerminalFacts(*row) for row in rows]
    counting = tuple(one for one in every if one.in_service or one.outstanding > 0)
    return counting, {one.terminal_id: one.code for one in every}


_HISTORY = f"""
SELECT v.worker_id, v.token, v.journal, v.seq, e.occurred_at, v.direction, v.decision, v.assurance, v.terminal_id,
       v.zone, j.journal_id::text, {DOUBT_SQL}
FROM attendance_event v JOIN attendance_journal j ON j.id = v.journal
LEFT JOIN LATERAL ( -- what was known then of a time that was estimated better since
  SELECT t.occurred_at, t.time_basis, t.time_error_ms FROM attendance_time_estimate t
  WHERE v.time_basis <> 0 AND t.journal = v.journal AND t.seq = v.seq AND t.known_at <= %(known_at)s::timestamptz
  ORDER BY t.known_at DESC LIMIT 1
) k ON true
CROSS JOIN LATERAL (
  SELECT CASE WHEN k.time_basis IS NULL THEN v.occurred_at ELSE k.occurred_at END AS occurred_at,
         CASE WHEN k.time_basis IS NULL THEN v.time_error_ms ELSE k.time_error_ms END AS time_error_ms,
         coalesce(k.time_basis, v.time_basis) AS time_basis
) e
WHERE v.site_id = %(site)s AND v.direction IS NOT NULL
  AND v.received_at > %(received_after)s
  AND e.occurred_at > %(from_at)s AND e.occurred_at <= %(true_at)s
  AND (%(known_at)s::timestamptz IS NULL OR v.received_at <= %(known_at)s)
  AND (%(workers)s::bigint[] IS NULL OR v.worker_id = ANY(%(workers)s))
"""  # noqa: S608 - constants only


def history(
    connection: Connection,
    *,
    site_id: int,
    from_at: datetime,
    true_at: datetime,
    known_at: datetime | None,
    workers: list[int] | None = None,
) -> dict[tuple[int | None, bytes], list[CountedTap]]:
    """Read a site's taps in (from_at, true_at], received by `known_at` if given, by (worker, card).

    Their times are those known at `known_at`, else the best known today. With `workers`, only theirs.
    """
    given: dict[str, Any] = {"site": site_id, "from_at": from_at, "true_at": true_at, "known_at": known_at}
    given.update(workers=workers, received_after=from_at - AHEAD_OF_RECEIPT_MAX)
    taps: dict[tuple[int | None, bytes], list[CountedTap]] = {}
    for worker_id, token, *rest in connection.execute(_HISTORY, given):
        key = (worker_id, b"") if worker_id is not None else (None, token)
        taps.setdefault(key, []).append(CountedTap(*rest))
    return taps


_CAME_BEFORE = """
SELECT p.worker_id FROM attendance_presence p
CROSS JOIN LATERAL (
  SELECT e.direction FROM attendance_event e
  WHERE e.worker_id = p.worker_id AND e.site_id = p.site_id AND e.occurred_at <= %(from_at)s
    AND e.direction IN (0, 1, 2)
  ORDER BY e.occurred_at DESC LIMIT 1
) last
WHERE p.site_id = %(site)s AND p.worker_id IS NOT NULL AND p.last_at > %(from_at)s AND last.direction <> 1
"""


def came_before(connection: Connection, *, site_id: int, from_at: datetime) -> set[int]:
    """Find the workers who have tapped since `from_at` and whose last tap up to then was no exit."""
    return {row[0] for row in connection.execute(_CAME_BEFORE, {"site": site_id, "from_at": from_at})}


_WORKER_TAPS = f"""
SELECT e.site_id, e.journal, e.seq, e.occurred_at, e.direction, e.decision, e.assurance, e.terminal_id, e.zone,
       j.journal_id::text, {DOUBT_SQL}
FROM attendance_event e JOIN attendance_journal j ON j.id = e.journal
WHERE e.worker_id = %(worker)s AND e.direction IS NOT NULL
  AND e.occurred_at >= %(from_at)s AND e.occurred_at < %(until_at)s
  AND e.received_at > %(received_after)s
  AND (%(sites)s::bigint[] IS NULL OR e.site_id = ANY(%(sites)s))
  AND NOT (SELECT w.is_test FROM registry_worker w WHERE w.id = %(worker)s)
"""  # noqa: S608 - constants only


def worker_taps(
    connection: Connection, *, worker_id: int, from_at: datetime, until_at: datetime, sites: list[int] | None
) -> dict[int, list[CountedTap]]:
    """Read a worker's taps in [from_at, until_at) by site, on these sites (None: all); of a test worker none."""
    given: dict[str, Any] = {"worker": worker_id, "from_at": from_at, "until_at": until_at, "sites": sites}
    given["received_after"] = from_at - AHEAD_OF_RECEIPT_MAX
    taps: dict[int, list[CountedTap]] = {}
    for site_id, *rest in connection.execute(_WORKER_TAPS, given):
        taps.setdefault(site_id, []).append(CountedTap(*rest))
    return taps


def sites_facts(connection: Connection, site_ids: Iterable[int]) -> dict[int, SiteFacts]:
    """Read codes and time zones of sites by id."""
    sql = "SELECT id, code, timezone FROM registry_site WHERE id = ANY(%s)"
    return {row[0]: SiteFacts(row[1], row[2]) for row in connection.execute(sql, (list(site_ids),))}
