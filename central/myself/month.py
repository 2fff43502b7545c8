"""What a worker sees of themselves: today's taps, and the days of a month at each site for each employer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from central.attendance.agreed import AgreedDay, agreed_days
from central.attendance.diary import month_bounds, worker_days
from central.attendance.own_taps import OwnTap, own_taps
from central.myself import repository, rules
from central.myself.rules import OwnDay, employer_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.kit.db import ReadSession, WriteSession
    from central.myself.models import Objection
    from central.myself.rules import Spell

MARGIN = timedelta(days=2)
"""More than any time zone and any shift: what is read around a day or a month before it is cut."""


NEAR = timedelta(days=31)
"""Around a day that may be missing: where somebody tapped in so much time, they may have worked that day."""


class Place(NamedTuple):
    """A site as its taps name it, whether or not the worker was ever employed there."""

    name: str
    timezone: str


class OwnAgreed(NamedTuple):
    """A day that was agreed on and that no terminal recorded, with who employed the worker there that day."""

    day: AgreedDay
    employer: str
    """Empty: nobody on record."""


@dataclass(frozen=True, slots=True)
class Month:
    """A worker's month."""

    month: str
    first: date
    days: list[OwnDay]
    totals: list[tuple[str, int]]
    """Employer and days, most first."""
    objections: dict[tuple[str, date], Objection]
    """The newest one against a day at a site."""
    agreed: dict[tuple[str, date], AgreedDay]
    """What was agreed of a day at a site."""
    unrecorded: list[OwnAgreed]
    """The agreed days that stand in `days` not at all or without an entry and an exit, which `totals` leave out."""

    @property
    def agreed_totals(self) -> list[tuple[str, int]]:
        """Employer and days that were agreed on and are in no total."""
        days = {(one.employer, one.day.on) for one in self.unrecorded}
        return sorted(Counter(employer for employer, _ in days).items())

    @property
    def without_taps(self) -> list[OwnAgreed]:
        """The agreed days that have no row of their own in `days`."""
        shown = {(day.site, day.on) for day in self.days}
        return [one for one in self.unrecorded if (one.day.site, one.day.on) not in shown]

    @property
    def earlier(self) -> str:
        """The month before."""
        return f"{self.first - timedelta(days=1):%Y-%m}"

    @property
    def later(self) -> str:
        """The month after."""
        return f"{self.first + timedelta(days=31):%Y-%m}"


def todays_taps(session: ReadSession, *, worker_id: int, now: datetime) -> list[OwnTap]:
    """Return the taps of the day that it is at each tap's site, oldest first."""
    found = own_taps(session, worker_id=worker_id, from_at=now - MARGIN, until_at=now + MARGIN)
    return [tap for tap in found if _local_day(tap, tap.occurred_at) == _local_day(tap, now)]


def _local_day(tap: OwnTap, at: datetime) -> date:
    return at.astimezone(ZoneInfo(tap.timezone)).date()


def taps_of_day(
    session: ReadSession | WriteSession, *, worker_id: int, site_id: int, timezone: str, on: date
) -> list[OwnTap]:
    """Return a worker's taps at one site from a day's beginning there to the noon after it, when a night shift ends."""
    begins = datetime.combine(on, time(), tzinfo=ZoneInfo(timezone))
    found = own_taps(session, worker_id=worker_id, from_at=begins, until_at=begins + timedelta(hours=36))
    return [tap for tap in found if tap.site_id == site_id]


def places_near(
    session: ReadSession | WriteSession, *, worker_id: int, on: date, asked: str = ""
) -> list[tuple[str, str]]:
    """Return code and name of the sites where a day may be missing: the one asked for, of every roll, of taps near it.

    Whoever was sent somewhere may stand on no roll there.
    """
    noon = datetime.combine(on, time(12), tzinfo=UTC)
    taps = own_taps(session, worker_id=worker_id, from_at=noon - NEAR, until_at=noon + NEAR)
    rolls = repository.spells(session, worker_id=worker_id)
    codes = [asked, *(one.site for one in rolls), *(tap.site for tap in taps)]
    return repository.site_names(session, list(dict.fromkeys(codes)))


def month_of(session: ReadSession, *, worker_id: int, month: str, now: datetime) -> Month:
    """Put a month together. Raises `Invalid` for what is no month."""
    first, after = month_bounds(month)
    from_at, until_at = (datetime(one.year, one.month, one.day, tzinfo=UTC) for one in (first, after))
    taps = own_taps(session, worker_id=worker_id, from_at=from_at - MARGIN, until_at=until_at + MARGIN)
    places = {tap.site: Place(tap.site_name, tap.timezone) for tap in taps}
    spells = repository.spells(session, worker_id=worker_id)
    days = []
    for day in worker_days(session, worker_id=worker_id, month=month, sites=None, now=now):
        place, spell = places[day.site], employer_on(spells, site=day.site, on=day.on)
        days.append(
            OwnDay(
                on=day.on,
                site=day.site,
                site_name=place.name,
                timezone=place.timezone,
                employer=spell.employer if spell is not None else "",
                first_in_at=day.first_in_at,
                last_out_at=day.last_out_at,
                worked=day.worked,
                taps=day.taps,
                doubts=day.doubts,
            )
        )
    against = repository.objections_of_day(session, from_on=first, until_on=after)
    codes = {row.site_id: repository.site_name(session, row.site_id)[0] for row in against}
    objections = {(codes[row.site_id], row.on_day): row for row in against}
    agreed = {(one.site, one.on): one for one in agreed_days(session, first=first, after=after, worker_id=worker_id)}
    recorded = {(day.site, day.on) for day in days if day.first_in_at is not None or day.last_out_at is not None}
    return Month(
        month=month,
        first=first,
        days=days,
        totals=rules.totals(days),
        objections=objections,
        agreed=agreed,
        unrecorded=[_own_agreed(one, spells) for key, one in agreed.items() if key not in recorded],
    )


def _own_agreed(day: AgreedDay, spells: Sequence[Spell]) -> OwnAgreed:
    spell = employer_on(spells, site=day.site, on=day.on)
    return OwnAgreed(day, spell.employer if spell is not None else "")
