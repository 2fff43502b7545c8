"""A worker's month: each day at each site, from the taps of that month alone, whatever lies before it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central.attendance import repository
from central.attendance.days import Day, days_of
from central.attendance.headcount import STAY_MAX
from central.kit.db import psycopg_of
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from central.kit.db import ReadSession
    from central.kit.ids import SiteId

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
ZONE_OFFSET_MAX = timedelta(hours=14)
"""No clock on Earth is further from UTC."""


def month_bounds(month: str) -> tuple[date, date]:
    """Read `2026-11` as its first day and the first day after it; raise `Invalid`."""
    found = _MONTH.fullmatch(month)
    if found is None:
        raise Invalid(f"{month!r} is not a month: write it like 2026-11", field="month")
    first = date(int(found[1]), int(found[2]), 1)
    return first, (first + timedelta(days=31)).replace(day=1)


def worker_days(
    session: ReadSession, *, worker_id: int, month: str, sites: frozenset[SiteId] | None, now: datetime
) -> list[Day]:
    """List a worker's days of a month by day and site, on `sites` only (None: all). Days are local to each site."""
    first, after = month_bounds(month)
    margin = ZONE_OFFSET_MAX + STAY_MAX
    from_at, until_at = (datetime(one.year, one.month, 1, tzinfo=UTC) for one in (first, after))
    connection = psycopg_of(session)
    taps = repository.worker_taps(
        connection,
        worker_id=worker_id,
        from_at=from_at - margin,
        until_at=until_at + margin,
        sites=None if sites is None else sorted(sites),
    )
    places = repository.sites_facts(connection, taps)
    days = [
        day
        for site_id, mine in taps.items()
        for day in days_of(places[site_id].code, mine, zone=ZoneInfo(places[site_id].timezone), now=now)
        if first <= day.on < after
    ]
    return sorted(days, key=lambda day: (day.on, day.site))
