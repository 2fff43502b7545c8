"""A month at a site: each worker's days there, for each employer, from the taps. What pages, files and the API show.

Whoever reaches the site wholly sees all who tapped there; an employer its own workers, on the days it employed them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central.attendance import month_repository as repository
from central.attendance.agreed import AgreedDay, agreed_days
from central.attendance.days import Day, dates_of, days_of
from central.attendance.diary import bounds, month_bounds
from central.attendance.past import with_past
from central.kit.db import psycopg_of
from central.registry import whose
from central.registry.employed import Spell, employed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from central.attendance.month_repository import WorkersTap
    from central.identity.guards import SiteRef
    from central.identity.policy import Reach
    from central.kit.db import ReadSession


@dataclass(frozen=True, slots=True)
class Employed:
    """Somebody at the site for one employer; without an employer, who tapped and stands on no roll there."""

    worker_id: int
    worker_no: str | None
    name: str
    employer: str


@dataclass(frozen=True, slots=True)
class WorkersMonth:
    """One worker's month at the site for one employer."""

    who: Employed
    days: tuple[Day, ...]

    @property
    def worked(self) -> int:
        """Days worked: those with an entry."""
        return sum(day.worked for day in self.days)

    @property
    def taps(self) -> int:
        """Counted taps."""
        return sum(day.taps for day in self.days)

    @property
    def doubtful(self) -> int:
        """Days on which something is missing or in doubt."""
        return sum(bool(day.doubts) for day in self.days)


@dataclass(frozen=True, slots=True)
class DatedTap:
    """A tap, whose it is, and the day that it counts for; None when it counts for none (a muster, a repeat)."""

    who: Employed
    tap: WorkersTap
    on: date | None


class Stretch:
    """Days of a site from `first` until `after`, cut to a reach: the roll is read once, taps for whoever is asked."""

    def __init__(
        self, session: ReadSession, site: SiteRef, *, first: date, after: date, reach: Reach, now: datetime
    ) -> None:
        self.first, self.after = first, after
        self._session, self._site, self._now = session, site, now
        self._zone = ZoneInfo(site.timezone)
        self._wholly = reach.everywhere or site.id in reach.sites
        self._spells: dict[int, list[Spell]] = {}
        for spell in employed(session, site_id=site.id, from_on=self.first, until_on=self.after):
            self._spells.setdefault(spell.worker_id, []).append(spell)
        self._others = self._not_on_the_roll() if self._wholly else {}

    def _not_on_the_roll(self) -> dict[int, tuple[str, str | None]]:
        from_at, _ = bounds(self.first, self.after)
        found = repository.seen_at(psycopg_of(self._session), site_id=self._site.id, since=from_at)
        return {worker_id: who for worker_id, who in found.items() if worker_id not in self._spells}

    @property
    def workers(self) -> list[int]:
        """Everybody whom the stretch may be about, by id."""
        return sorted({*self._spells, *self._others})

    def _taps(self, workers: Sequence[int]) -> dict[int, list[WorkersTap]]:
        from_at, until_at = bounds(self.first, self.after)
        connection, site_id = psycopg_of(self._session), self._site.id

        def read(since: datetime, of: Collection[int] | None) -> dict[int, list[WorkersTap]]:
            asked = sorted(of or ())
            return repository.taps_between(connection, site_id=site_id, workers=asked, from_at=since, until_at=until_at)

        found = with_past(read, of=workers, from_at=from_at, counted=lambda tap: tap.counted)
        whose.also(self._session, [one for one, taps in found.items() if taps[-1].occurred_at >= from_at])
        return found

    def _who(self, worker_id: int, on: date) -> Employed | None:
        """Say for whom somebody was there on a day; None when that is nothing of the asker's."""
        for spell in self._spells.get(worker_id, ()):
            if spell.holds(on):
                return Employed(worker_id, spell.worker_no, spell.name, spell.employer)
        if not self._wholly:
            return None
        known = self._spells.get(worker_id)
        name, number = (known[0].name, known[0].worker_no) if known else self._others[worker_id]
        return Employed(worker_id, number, name, "")

    def of(self, workers: Sequence[int]) -> list[WorkersMonth]:
        """Count the days of these workers, by worker and employer."""
        found: dict[Employed, list[Day]] = {}
        for worker_id, taps in self._taps(workers).items():
            mine = [one.counted for one in taps]
            for day in days_of(self._site.code, mine, zone=self._zone, now=self._now):
                who = self._who(worker_id, day.on) if self.first <= day.on < self.after else None
                if who is not None:
                    found.setdefault(who, []).append(day)
        return [WorkersMonth(who, tuple(days)) for who, days in found.items()]

    def agreed(self) -> list[tuple[Employed, AgreedDay]]:
        """List the days within reach that were agreed on, whether or not anything was recorded; by day."""
        found = agreed_days(self._session, first=self.first, after=self.after, site_id=self._site.id)
        return [(self._agreed_for(day), day) for day in found]

    def _agreed_for(self, day: AgreedDay) -> Employed:
        spells = self._spells.get(day.worker_id, ())
        employer = next((spell.employer for spell in spells if spell.holds(day.on)), "")
        return Employed(day.worker_id, day.worker_no, day.name, employer)

    def taps_of(self, workers: Sequence[int]) -> list[DatedTap]:
        """List the taps of these workers that belong to the stretch's days, by worker and time."""
        return [one for worker_id, taps in self._taps(workers).items() for one in self._dated(worker_id, taps)]

    def _dated(self, worker_id: int, taps: Sequence[WorkersTap]) -> Iterable[DatedTap]:
        dates = dates_of((one.counted for one in taps), zone=self._zone)
        for tap in taps:
            on = dates.get((tap.counted.journal, tap.seq))
            day = on or tap.occurred_at.astimezone(self._zone).date()
            who = self._who(worker_id, day) if self.first <= day < self.after else None
            if who is not None:
                yield DatedTap(who, tap, on)


def month_of_site(session: ReadSession, site: SiteRef, *, month: str, reach: Reach, now: datetime) -> Stretch:
    """Open a calendar month of a site, written like `2026-11`; raise `Invalid`."""
    first, after = month_bounds(month)
    return Stretch(session, site, first=first, after=after, reach=reach, now=now)


def dated(
    session: ReadSession, site: SiteRef, news: Sequence[WorkersTap], *, reach: Reach, now: datetime
) -> tuple[list[DatedTap], list[tuple[Employed, Day]]]:
    """Of some taps at a site, return those within reach, dated, and the days that they belong to as they stand now."""
    if not news:
        return [], []
    zone = ZoneInfo(site.timezone)
    dates = [tap.occurred_at.astimezone(zone).date() for tap in news]
    # A long duty that begins late in an evening ends two dates after.
    first, after = min(dates) - timedelta(days=2), max(dates) + timedelta(days=2)
    near = Stretch(session, site, first=first, after=after, reach=reach, now=now)
    workers = sorted({tap.worker_id for tap in news} & set(near.workers))
    found = {(one.tap.counted.journal, one.tap.seq): one for one in near.taps_of(workers)}
    taps = [one for tap in news if (one := found.get((tap.counted.journal, tap.seq))) is not None]
    touched = {(one.who.worker_id, one.on) for one in taps}
    days = [(row.who, day) for row in near.of(workers) for day in row.days if (row.who.worker_id, day.on) in touched]
    return taps, days


def totals(rows: Iterable[WorkersMonth]) -> dict[str, int]:
    """Sum up what a page shows: workers, days worked, counted taps, days to look at."""
    listed = list(rows)
    return {
        "workers": len({row.who.worker_id for row in listed}),
        "days": sum(row.worked for row in listed),
        "taps": sum(row.taps for row in listed),
        "doubtful": sum(row.doubtful for row in listed),
    }
