"""A worker's month: each day at each site, as all of the worker's taps there say it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central.attendance import repository
from central.attendance.days import DUTY_MAX, Day, days_of
from central.attendance.past import with_past
from central.kit.db import psycopg_of
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from central.attendance.presence import CountedTap
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


def bounds(first: date, after: date) -> tuple[datetime, datetime]:
    """Return from and until when taps may belong to the local days from `first` until `after`, wherever that is."""
    from_at, until_at = (datetime(one.year, one.month, one.day, tzinfo=UTC) for one in (first, after))
    return from_at - ZONE_OFFSET_MAX, until_at + ZONE_OFFSET_MAX + DUTY_MAX


def worker_days(
    session: ReadSession, *, worker_id: int, month: str, sites: frozenset[SiteId] | None, now: datetime
) -> list[Day]:
    """List a worker's days of a month by day and site, on `sites` only (None: all). Days are local to each site."""
    first, after = month_bounds(month)
    from_at, until_at = bounds(first, after)
    connection = psycopg_of(session)

    def read(since: datetime, of: Collection[int] | None) -> dict[int, list[CountedTap]]:
        at = None if of is None else sorted(of)
        return repository.worker_taps(connection, worker_id=worker_id, from_at=since, until_at=until_at, sites=at)

    taps = with_past(read, of=sites, from_at=from_at, counted=lambda tap: tap)
    places = repository.sites_facts(connection, taps)
    days = [
        day
        for site_id, mine in taps.items()
        for day in days_of(places[site_id].code, mine, zone=ZoneInfo(places[site_id].timezone), now=now)
        if first <= day.on < after
    ]
    return sorted(days, key=lambda day: (day.on, day.site))
