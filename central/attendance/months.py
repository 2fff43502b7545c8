"""The months in which events lie: one partition of `attendance_event` for each month of receipt, in UTC.

The key (journal, seq) is each month's own; across months the journal's cursor, which only rises, says what is new. The
partitions are made ahead by a leased job, and on demand by whoever stores: no event fails for lack of one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

MONTHS_AHEAD = 3
"""Months made before they begin."""


class Month(NamedTuple):
    """A half-open month of receipt, in UTC."""

    from_at: datetime
    until_at: datetime

    @property
    def partition(self) -> str:
        """Name of the table that holds it."""
        return f"attendance_event_{self.from_at:%Y_%m}"

    def __contains__(self, at: object) -> bool:
        return isinstance(at, datetime) and self.from_at <= at < self.until_at

    def next(self) -> Month:
        """Return the month after."""
        return month_of(self.until_at)


def month_of(at: datetime) -> Month:
    """Return the month in which something received at this instant lies."""
    begin = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, month = divmod(begin.year * 12 + begin.month, 12)
    return Month(begin, begin.replace(year=year, month=month + 1))


def make_month(connection: Connection, month: Month) -> bool:
    """Make a month's partition if there is none, while the others are read and written; tell whether it was made."""
    row = connection.execute("SELECT ccs_event_month(%s)", (month.from_at,)).fetchone()
    return bool(row and row[0])


def make_ahead(connection: Connection, *, now: datetime) -> list[str]:
    """Make the partitions of this month and the next `MONTHS_AHEAD`; returns those that were missing."""
    month, made = month_of(now), []
    for _ in range(MONTHS_AHEAD + 1):
        if make_month(connection, month):
            made.append(month.partition)
        month = month.next()
    return made
