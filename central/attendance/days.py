"""A worker's days at the sites, purely: first entry and last exit of each shift, on the site's date of its beginning.

A shift goes on through its breaks and past midnight: a new day needs an entry after `BREAK_MAX` outside, or one later
than `STAY_MAX` after the shift began. What is missing is said, never filled in.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from central.attendance.headcount import INSIDE, STAY_MAX
from central.attendance.presence import AUTH_FAILED, BARRED, IN, OUT, State, full_exit, in_order, only_says_again, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from central.attendance.presence import CountedTap

BREAK_MAX = timedelta(hours=4)
"""Outside for less than this is a break: who comes back goes on with the same shift."""
DUTY_MAX = timedelta(hours=26)
"""A duty of 24 hours, come early and left late: an exit later than this after the shift began is another shift's."""

MISSING_ENTRY, MISSING_EXIT, WEAK_EXIT, NOT_YET_OUT = "missing_entry", "missing_exit", "weak_exit", "not_yet_out"
LONG_STAY = "long_stay"


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
    count. long_stay: an exit came more than `STAY_MAX` after its entry."""

    @property
    def worked(self) -> bool:
        """Whether it counts as a day worked, for everybody who counts days: one with an entry."""
        return self.first_in_at is not None


class _Shift(NamedTuple):
    """The shift that a tap may go on with."""

    on: date
    began_at: datetime
    left_at: datetime | None
    """The last exit, however well it was proven."""


class _Placed(NamedTuple):
    """A tap on its day, and what it does there."""

    on: date
    at: datetime
    tap: CountedTap
    refused: bool
    enters: bool
    says_again: bool
    """It repeats the tap before it and changes nothing."""
    stays: bool
    """The fold has the worker inside after it."""
    begins: bool
    """It goes on with no shift."""


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

    Give taps from where `begins_by` is true of the first day wanted, until `DUTY_MAX` after the last, and drop the days
    outside: they are those that all taps of all time would give.
    """
    days: dict[date, _Open] = {}
    for placed in _placed(taps, zone):
        _count(days.setdefault(placed.on, _Open()), placed)
    return [_closed(site, on, days[on], now) for on in sorted(days)]


def dates_of(taps: Iterable[CountedTap], *, zone: ZoneInfo) -> dict[tuple[int, int], date]:
    """Say for each counted tap, by journal and seq, to which day it belongs: as `days_of` counts them."""
    return {(one.tap.journal, one.tap.seq): one.on for one in _placed(taps, zone)}


def begins_by(taps: Iterable[CountedTap], *, since: datetime, at: datetime) -> bool:
    """Whether a fold of all taps from `since` on is, from `at` on, the fold of all taps there ever were.

    It is when it begins anew with a tap before `at`, or with the first one after: see `_begins_anew`.
    """
    last_at, last = since, None
    for tap_at, tap in in_order(taps):
        if _begins_anew(tap, tap_at - last_at, last):
            return True
        if tap_at >= at:
            return False
        last_at, last = tap_at, tap
    return True


def _begins_anew(tap: CountedTap, unseen: timedelta, last: CountedTap | None) -> bool:
    """Whether nothing before a tap, `unseen` after the last one, has a say in its day or in those that follow.

    An exit may end a long duty. Anything else begins a shift after a longer time than one lasts, or when the last tap
    was an exit beyond doubt and no break. What is not known to have left the evening before does not make today weak.
    """
    if tap.direction == OUT:
        return unseen > DUTY_MAX
    return unseen > STAY_MAX or (last is not None and full_exit(last) and unseen >= BREAK_MAX)


def _placed(taps: Iterable[CountedTap], zone: ZoneInfo) -> Iterator[_Placed]:
    """Fold the taps in order; give each with its day."""
    state: State | None = None
    shift: _Shift | None = None
    last: CountedTap | None = None
    for at, tap in in_order(taps):
        if state is not None and _begins_anew(tap, at - state.last_at, last):
            state = shift = None
        inside = state is not None and state.state == INSIDE
        again = state is not None and only_says_again(state, tap)
        state, last = step(state, tap, at), tap
        enters = state.last_direction == IN
        refused = tap.decision in {BARRED, AUTH_FAILED}
        goes_on = shift is not None and _goes_on(shift, at, enters=enters, inside=inside, again=again)
        on = shift.on if shift is not None and goes_on else at.astimezone(zone).date()
        if not (goes_on or refused or again):
            shift = _Shift(on, at, None)
        if shift is not None and not enters:
            shift = _Shift(shift.on, shift.began_at, at)
        yield _Placed(on, at, tap, refused, enters, again, state.state == INSIDE, not goes_on)


def _goes_on(shift: _Shift, at: datetime, *, enters: bool, inside: bool, again: bool) -> bool:
    """Whether a tap belongs to the shift before it. Not to the fold's own: there a proven exit begins another."""
    lasted = at - shift.began_at
    if again or (inside and not enters):
        return lasted <= DUTY_MAX
    if enters and not inside and (shift.left_at is None or at - shift.left_at >= BREAK_MAX):
        return False
    return lasted <= STAY_MAX


def _count(day: _Open, placed: _Placed) -> None:
    day.taps += 1
    if placed.refused:
        day.refused += 1
    elif placed.says_again:
        pass
    elif placed.enters:
        _count_entry(day, placed)
    else:
        _count_exit(day, placed)


def _count_entry(day: _Open, placed: _Placed) -> None:
    if day.entered_at is not None:
        day.doubts.add(MISSING_EXIT)
    day.first_in_at = day.first_in_at or placed.at
    day.entered_at = placed.at


def _count_exit(day: _Open, placed: _Placed) -> None:
    if placed.begins:
        day.doubts.add(MISSING_ENTRY)
    elif day.entered_at is not None and placed.at - day.entered_at > STAY_MAX:
        day.doubts.add(LONG_STAY)
    if placed.stays:
        day.doubts.add(WEAK_EXIT)
        return
    day.last_out_at = placed.at
    day.entered_at = None


def _closed(site: str, on: date, day: _Open, now: datetime) -> Day:
    doubts = set(day.doubts)
    if day.entered_at is not None:
        doubts.add(MISSING_EXIT if now - day.entered_at > STAY_MAX else NOT_YET_OUT)
    return Day(site, on, day.first_in_at, day.last_out_at, day.taps, day.refused, tuple(sorted(doubts)))
