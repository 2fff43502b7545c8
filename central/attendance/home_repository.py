"""Questions of the home pages: each panel in one or two queries, however many sites, people or terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from central.attendance.repository import EMPLOYER_SQL, employment_sql

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import psycopg

    Connection = psycopg.Connection[Any]

_INSIDE = """
SELECT s.code, s.name, sum(found.inside)::bigint AS inside, sum(found.unknown_cards)::bigint
FROM (
  SELECT a.site_id, count(*) FILTER (WHERE a.state = 1 AND NOT coalesce(w.is_test, true)) AS inside,
         count(*) FILTER (WHERE a.worker_id IS NULL) AS unknown_cards
  FROM attendance_presence a LEFT JOIN registry_worker w ON w.id = a.worker_id
  WHERE a.state <> 0 AND (%(sites)s::bigint[] IS NULL OR a.site_id = ANY(%(sites)s))
  GROUP BY a.site_id
  UNION ALL
  SELECT v.site_id, count(*), 0 FROM registry_day_pass v
  WHERE v.left_at IS NULL AND (%(sites)s::bigint[] IS NULL OR v.site_id = ANY(%(sites)s))
  GROUP BY v.site_id
) found JOIN registry_site s ON s.id = found.site_id
GROUP BY s.id ORDER BY inside DESC, s.code
"""


def inside(connection: Connection, *, sites: Collection[int] | None) -> list[tuple[str, str, int, int]]:
    """Count who is inside by site (None: all), most first: (code, name, `inside`, cards that nobody holds).

    As `inside` of a headcount: workers, visitors and drivers.
    """
    given = {"sites": None if sites is None else sorted(sites)}
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(_INSIDE, given)]


_OWN = f"""
SELECT s.code, s.name, sum(roll.employed)::bigint, sum(there.inside)::bigint, sum(roll.seen)::bigint
FROM unnest(%(sites)s::bigint[], %(employers)s::bigint[]) own(site_id, employer_id)
JOIN registry_site s ON s.id = own.site_id
CROSS JOIN LATERAL (
  SELECT count(*) AS employed,
    count(*) FILTER (WHERE (a.last_at AT TIME ZONE s.timezone)::date = (%(now)s AT TIME ZONE s.timezone)::date) AS seen
  FROM registry_employment e JOIN registry_worker w ON w.id = e.worker_id AND NOT w.is_test
  LEFT JOIN attendance_presence a ON a.site_id = e.site_id AND a.person = 'worker:' || e.worker_id
  WHERE e.site_id = own.site_id AND e.employer_id = own.employer_id
    AND daterange(e.from_on, e.until_on) @> (%(now)s AT TIME ZONE s.timezone)::date
) roll
CROSS JOIN LATERAL (
  SELECT count(*) AS inside
  FROM attendance_presence p JOIN registry_worker w ON w.id = p.worker_id AND NOT w.is_test
  {employment_sql(zone="s.timezone", at="%(now)s")}
  WHERE p.site_id = own.site_id AND p.state = 1 AND {EMPLOYER_SQL} = own.employer_id
) there
GROUP BY s.id HAVING sum(roll.employed) + sum(there.inside) > 0 ORDER BY s.code
"""  # noqa: S608 - constants only


def own_people(
    connection: Connection, *, own: Collection[tuple[int, int]], now: datetime
) -> list[tuple[str, str, int, int, int]]:
    """Count an employer's people by site: (code, name, employed today, inside now, seen today)."""
    pairs = sorted(own)
    given: dict[str, Any] = {"sites": [one[0] for one in pairs], "employers": [one[1] for one in pairs], "now": now}
    return [(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(_OWN, given)]


_VISITORS = """
SELECT s.code, s.name, count(*) FROM registry_day_pass p JOIN registry_site s ON s.id = p.site_id
WHERE (%(sites)s::bigint[] IS NULL OR p.site_id = ANY(%(sites)s)) AND p.left_at IS NULL
GROUP BY s.id ORDER BY 3 DESC, 1
"""


def visitors(connection: Connection, *, sites: Collection[int] | None) -> list[tuple[str, str, int]]:
    """Count the visitors and drivers who have not left, whatever day they came, by site (None: all)."""
    given = {"sites": None if sites is None else sorted(sites)}
    return [(row[0], row[1], row[2]) for row in connection.execute(_VISITORS, given)]


def put_aside(connection: Connection, *, since: datetime) -> list[tuple[str, int]]:
    """Count what was put aside since an instant, by reason, most first."""
    sql = (
        "SELECT reason, count(*) FROM attendance_quarantine WHERE last_seen_at >= %s GROUP BY reason ORDER BY 2 DESC, 1"
    )
    return [(row[0], row[1]) for row in connection.execute(sql, (since,))]


def acts(connection: Connection, *, since: datetime) -> list[tuple[str, int]]:
    """Count what was done since an instant, by tag, most first."""
    sql = "SELECT tag, count(*) FROM audit_event WHERE at >= %s GROUP BY tag ORDER BY 2 DESC, 1"
    return [(row[0], row[1]) for row in connection.execute(sql, (since,))]
