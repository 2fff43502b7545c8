"""A worker's days at the sites, purely: first entry and last exit of each site-local day, from the fold's own order.

An exit belongs to the day of its entry, so a night shift is one day. What is missing is said, never filled in.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from central.attendance.headcount import INSIDE, STAY_MAX
from central.attendance.presence import AUTH_FAILED, BARRED, IN, State, in_order, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from central.attendance.presence import CountedTap

MISSING_ENTRY, MISSING_EXIT, WEAK_EXIT, NOT_YET_OUT = "missing_entry", "missing_exit", "weak_exit", "not_yet_out"


class Day(NamedTuple):
    """One site-local day of one worker at one site. Instants are the believed times of the taps, UTC."""

    site: str
    on: date
    first_in_at: datetime | None
    last_out_at: datetime | None
    taps: int
    """Counted taps of the day, refused ones included."""
    refused: int
    """Barred or not authenticated."""
    doubts: tuple[str, ...]
    """missing_entry: an exit came without an entry before it. missing_exit: an entry was not followed by its exit.
    not_yet_out: the same, but a shift may still go on. weak_exit: an exit was proven less than the entry and did not
    count."""


class _Open:
    """A day while its taps are counted."""

    def __init__(self) -> None:
        self.first_in_at: datetime | None = None
        self.last_out_at: datetime | None = None
        self.taps = self.refused = 0
        self.doubts: set[str] = set()
        self.entered_at: datetime | None = None
        """The entry that no exit followed yet."""


def days_of(site: str, taps: Iterable[CountedTap], *, zone: ZoneInfo, now: datetime) -> list[Day]:
    """Split a worker's taps at one site into days. The order of `taps` does not matter.

    Give taps from `STAY_MAX` before the first day wanted to `STAY_MAX` after the last, and drop the days outside.
    """
    days: dict[date, _Open] = {}
    for on, at, tap, before, state in _placed(taps, zone):
        _count(days.setdefault(on, _Open()), tap, at, before, state)
    return [_closed(site, on, days[on], now) for on in sorted(days)]


def dates_of(taps: Iterable[CountedTap], *, zone: ZoneInfo) -> dict[tuple[int, int], date]:
    """Say for each counted tap, by journal and seq, to which day it belongs: as `days_of` counts them."""
    return {(tap.journal, tap.seq): on for on, _, tap, _, _ in _placed(taps, zone)}


def _placed(
    taps: Iterable[CountedTap], zone: ZoneInfo
) -> Iterator[tuple[date, datetime, CountedTap, State | None, State]]:
    """Fold the taps in order; give each with its day and where the fold stood before and after it."""
    state: State | None = None
    for at, tap in in_order(taps):
        before, state = state, step(state, tap, at)
        entered_at = before.since_at if before is not None and before.state == INSIDE else None
        leaves = state.last_direction != IN
        night = leaves and entered_at is not None and at - entered_at <= STAY_MAX
        on = (entered_at if night and entered_at is not None else at).astimezone(zone).date()
        yield on, at, tap, before, state


def _count(day: _Open, tap: CountedTap, at: datetime, before: State | None, state: State) -> None:
    day.taps += 1
    was_inside = before is not None and before.state == INSIDE
    if tap.decision in {BARRED, AUTH_FAILED}:
        day.refused += 1
    elif state.last_direction == IN:
        if day.entered_at is not None and state.since_at == at:
            day.doubts.add(MISSING_EXIT)
        day.first_in_at = day.first_in_at or at
        day.entered_at = at
    elif state.state == INSIDE:
        day.doubts.add(WEAK_EXIT)
    else:
        if not was_inside and day.last_out_at is None and day.first_in_at is None:
            day.doubts.add(MISSING_ENTRY)
        day.last_out_at = at
        day.entered_at = None


def _closed(site: str, on: date, day: _Open, now: datetime) -> Day:
    doubts = set(day.doubts)
    if day.entered_at is not None:
        doubts.add(MISSING_EXIT if now - day.entered_at > STAY_MAX else NOT_YET_OUT)
    return Day(site, on, day.first_in_at, day.last_out_at, day.taps, day.refused, tuple(sorted(doubts)))
