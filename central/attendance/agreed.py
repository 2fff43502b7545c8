"""Days on which employer and worker agreed in writing, beside what the terminals recorded. Purely shown, never counted.

The slice above keeps what was agreed; it says here how it is read, and months show it beside the taps.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.attendance.days import Day
    from central.kit.db import ReadSession


class AgreedDay(NamedTuple):
    """What both sides say was so on a site's day."""

    worker_id: int
    """The entry that stands for the person today."""
    worker_no: str | None
    name: str
    site: str
    site_name: str
    on: date
    first_in: str
    """`HH:MM` at the site; empty: nothing was agreed of it. So is `last_out`."""
    last_out: str


class Source(Protocol):
    """Reads agreed days in [first, after), cut to the session's reach: of a site, of a worker, or of both."""

    def __call__(
        self, session: ReadSession, *, first: date, after: date, site_id: int | None, worker_id: int | None
    ) -> list[AgreedDay]:
        """Return the newest agreement of each worker, site and day, by day."""
        ...


_sources: list[Source] = []


def agreed_from(source: Source) -> None:
    """Say who keeps what was agreed."""
    _sources.append(source)


def agreed_days(
    session: ReadSession, *, first: date, after: date, site_id: int | None = None, worker_id: int | None = None
) -> list[AgreedDay]:
    """Read the days in [first, after) that were agreed on, as far as the session reaches."""
    asked = {"site_id": site_id, "worker_id": worker_id}
    return [day for source in _sources for day in source(session, first=first, after=after, **asked)]


def recorded_among(days: Iterable[tuple[int, Day]]) -> set[tuple[int, str, date]]:
    """Return worker, site and date of the days on which a terminal recorded an entry or an exit."""
    return {
        (worker_id, day.site, day.on)
        for worker_id, day in days
        if day.first_in_at is not None or day.last_out_at is not None
    }
