"""When an event really happened, purely: measured, reconstructed, claimed or bounded, with the interval it lies in.

A terminal's wall clock may be wrong, but its boot clock runs on: two events of one boot are as far apart as it says,
within the drift of a quartz. So every event whose time is known, every receipt and every roster that a tap names bounds
all the other events of its boot, and one boot lies wholly before the next (docs/time.md). Instants are microseconds
since 1970, UTC; None is a bound that nothing is known of.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from central.attendance.arrival import TIME_EARLIEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.attendance.arrival import Arrival

MEASURED, BOUNDED, RECONSTRUCTED, CLAIMED = 0, 1, 2, 3
BASES = ("measured", "bounded", "reconstructed", "claimed")
"""What `time_basis` says of an event's time.

measured: by a clock that had been compared with the network's in the same boot. reconstructed: by the boot clock's
distance to a measured event. claimed: what a hardware clock said that nobody had compared, and nothing contradicts it.
bounded: only that it lies between what was before and what came after; the time shown is the latest it can have been.
"""

DRIFT_PPM = 501
"""A terminal's boot clock may be 500 ppm fast or slow; over true time that is a little more."""
JITTER_US = 20_000
"""Wall and boot clock are read one after the other, and a terminal writes whole milliseconds."""
CENTRAL_ERROR_US = 1_000_000
"""How wrong the clocks of central's own machines may be; they are synchronised and watched (docs/operations.md)."""
MEASURED_ERROR_MS_MAX = 30 * 60_000
"""A clock held over for longer than a terminal keeps its records knows less than its boot clock tells."""
ERROR_MS_MAX = 2**31 - 1
"""24 days; beyond it nothing is said (None)."""
UNKNOWN, UNCOMPARED = -1, -2
"""Instead of minutes of doubt: how much earlier it was is not known; a hardware clock says so that nobody compared."""
TIME_AHEAD_MAX = timedelta(seconds=120)
"""A compared clock is believed against central's up to here; the difference goes into its error."""
ROSTER_VERSION_S_MIN = int(TIME_EARLIEST.timestamp())
"""Central numbers rosters by the second of their publication; smaller numbers are somebody else's."""
ROSTER_AHEAD_US = 5_000_000
"""Rosters published in quick succession may run this far ahead of the clock."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_ERROR_MS_NOTICED = 1000
_MINUTE_MS = 60_000


class Sighting(NamedTuple):
    """What one event (or birth) says of time by itself. Sightings of a journal are given in the order of `seq`."""

    seq: int
    boot_id: str
    boottime_us: int
    earliest_us: int | None
    """It was not before this: its compared clock less the error, or the publication of the roster it names."""
    latest_us: int
    """It was not after this: what its compared clock says and the error, or its receipt."""
    measured: bool = False
    claimed_us: int | None = None
    """What the terminal's hardware clock said, where that can be true."""
    received_us: int = 0


class Span(NamedTuple):
    """Where an event lies in time, by all the evidence."""

    earliest_us: int | None
    latest_us: int
    anchored: bool
    """Whether its boot has a measured event."""
    contradicted: bool = False
    """The evidence contradicts itself: nothing is known but that it was received."""


class Estimate(NamedTuple):
    """The time of an event, within `error_ms` of `at_us`; None: all that is known is that it was received later."""

    at_us: int
    basis: int
    error_ms: int | None
    earliest_us: int | None
    latest_us: int


def believe(arrival: Arrival, *, received_at: datetime) -> tuple[datetime, int, int | None]:
    """Say when an event happened by itself alone: the time to count with, its basis, and its error in milliseconds.

    What the neighbours know of it comes later, in `rebuild`.
    """
    at, state, error_ms = arrival.time, arrival.clock_state, arrival.clock_error_ms
    # Every event passes here, nearly all of them this way.
    if (state == "synced" or state == "holdover") and at >= TIME_EARLIEST and error_ms <= MEASURED_ERROR_MS_MAX:  # noqa: PLR1714 - faster
        known = at if at.tzinfo is UTC else at.astimezone(UTC)
        if at <= received_at:
            return known, MEASURED, error_ms + 1  # what is below the millisecond was cut off
        if at <= received_at + TIME_AHEAD_MAX:
            return known, MEASURED, max(error_ms + 1, -(-((at - received_at) // _MICROSECOND) // 1000))
    one = sighting(arrival, received_at=received_at)
    alone = estimate(one, Span(one.earliest_us, one.latest_us, anchored=False))
    return from_us(alone.at_us), alone.basis, alone.error_ms


def sighting(arrival: Arrival, *, received_at: datetime) -> Sighting:
    """Read what an event says of time by itself. A time that cannot be true says nothing."""
    received_us = to_us(received_at)
    latest_us = received_us + CENTRAL_ERROR_US
    told_us = to_us(arrival.time) if TIME_EARLIEST <= arrival.time <= received_at + TIME_AHEAD_MAX else None
    state, measured = arrival.clock_state, False
    earliest_us = _roster_us(arrival.roster_version, received_us)
    if told_us is not None and state in {"synced", "holdover"}:
        error_us = arrival.clock_error_ms * 1000
        measured = arrival.clock_error_ms <= MEASURED_ERROR_MS_MAX
        if measured:
            error_us = max(error_us, told_us - received_us)
            earliest_us, latest_us = told_us - error_us, told_us + error_us + 1000
        else:
            earliest_us = _later(earliest_us, told_us - error_us)
            latest_us = min(latest_us, told_us + error_us + 1000)
    boottime_us = int(arrival.boottime_ns) // 1000
    claimed_us = told_us if state == "rtc" else None
    return Sighting(
        arrival.seq, arrival.boot_id, boottime_us, earliest_us, latest_us, measured, claimed_us, received_us
    )


def _roster_us(version: int, received_us: int) -> int | None:
    """Return the instant before which a tap with this version of the roster cannot have been made."""
    if version < ROSTER_VERSION_S_MIN or version * _SECOND_US > received_us + ROSTER_AHEAD_US:
        return None
    return version * _SECOND_US - ROSTER_AHEAD_US


def to_us(at: datetime) -> int:
    """Turn an aware instant into microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Turn microseconds since 1970 into an instant in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def rebuild(sightings: Sequence[Sighting]) -> list[Estimate]:
    """Estimate the time of each sighting from all of them; the order in which they were received does not matter.

    They are of one journal, in the order of `seq`, and need not be all of it: fewer only bound less.
    """
    return [estimate(one, span) for one, span in zip(sightings, spans(sightings), strict=True)]


def holds(one: Estimate, true_us: int) -> bool:
    """Whether an instant lies in the stated interval: what simulations ask of the true time."""
    if one.error_ms is None:
        return true_us <= one.latest_us
    return abs(true_us - one.at_us) <= one.error_ms * 1000


def spans(sightings: Sequence[Sighting]) -> list[Span]:
    """Bound each sighting by the others: inside a boot by its boot clock, between boots by their order."""
    boots = [_Boot(list(run)) for _, run in groupby(sightings, key=lambda one: one.boot_id)]
    before: int | None = None
    for boot in boots:
        before = boot.not_before(before)
    after: int | None = None
    for boot in reversed(boots):
        after = boot.not_after(after)
    return [span for boot in boots for span in boot.spans()]


def estimate(one: Sighting, span: Span) -> Estimate:
    """Choose the time to count with inside its bounds, and say how far it may be off."""
    if one.measured and one.earliest_us is not None:
        return _within((one.earliest_us + one.latest_us) // 2, MEASURED, one.earliest_us, one.latest_us)
    if span.contradicted:
        return Estimate(one.received_us, BOUNDED, None, None, one.received_us + CENTRAL_ERROR_US)
    earliest, latest = span.earliest_us, span.latest_us
    if span.anchored and earliest is not None:
        return _within((earliest + latest) // 2, RECONSTRUCTED, earliest, latest)
    claimed = one.claimed_us
    if claimed is not None and claimed <= latest and (earliest is None or earliest <= claimed):
        return _within(claimed, CLAIMED, earliest, latest)
    return _within(min(latest, one.received_us), BOUNDED, earliest, latest)


def _within(at_us: int, basis: int, earliest_us: int | None, latest_us: int) -> Estimate:
    error_ms = None if earliest_us is None else -(-max(at_us - earliest_us, latest_us - at_us) // 1000)
    if error_ms is not None and error_ms > ERROR_MS_MAX:
        error_ms = None
    return Estimate(at_us, basis, error_ms, earliest_us, latest_us)


def doubt_of(basis: int, error_ms: int | None) -> int:
    """Say in minutes how far a time may be off: 0 within one, or `UNKNOWN` or `UNCOMPARED`. As `DOUBT_SQL` does."""
    if error_ms is not None and error_ms <= _MINUTE_MS:
        return 0
    if basis == CLAIMED:
        return UNCOMPARED
    return UNKNOWN if error_ms is None else min(-(-error_ms // _MINUTE_MS), 2**15 - 1)


DOUBT_SQL = f"""
CASE WHEN e.time_error_ms <= 60000 THEN 0::smallint WHEN e.time_basis = {CLAIMED} THEN {UNCOMPARED}::smallint
     WHEN e.time_error_ms IS NULL THEN {UNKNOWN}::smallint
     ELSE least((e.time_error_ms + 59999::bigint) / 60000, 32767)::smallint END
"""
"""`doubt_of` of a row `e` of the events."""


def better(new: Estimate, old: Estimate) -> bool:
    """Whether a new estimate is worth writing down: it moves by a second, rests on more, or doubts half as much."""
    if new.basis != old.basis or abs(new.at_us - old.at_us) >= _SECOND_US:
        return True
    if new.error_ms is None or old.error_ms is None:
        return new.error_ms is not old.error_ms
    return new.error_ms * 2 < old.error_ms and old.error_ms - new.error_ms > _ERROR_MS_NOTICED


def _drift_us(apart_us: int) -> int:
    return -(-apart_us * DRIFT_PPM // 1_000_000)


class _Boot:
    """The sightings of one boot, on the line of its boot clock."""

    def __init__(self, sightings: list[Sighting]) -> None:
        self._sightings = sightings
        self._order = sorted(range(len(sightings)), key=lambda place: sightings[place].boottime_us)
        self._earliest: list[int | None] = [one.earliest_us for one in sightings]
        self._latest = [one.latest_us for one in sightings]
        self._anchored = any(one.measured for one in sightings)

    def not_before(self, before_us: int | None) -> int | None:
        """Bound from below, everything being after `before_us`; return the bound of what comes after this boot."""
        own = [_later(one.earliest_us, before_us) for one in self._sightings]
        found = list(own)
        for order, late in ((self._order, True), (self._order[::-1], False)):
            carried, at_us = None, 0
            for place in order:
                now_us = self._sightings[place].boottime_us
                apart_us = abs(now_us - at_us)
                if carried is not None:
                    carried += (apart_us if late else -apart_us) - _drift_us(apart_us)
                    found[place] = _later(found[place], carried - JITTER_US)
                carried, at_us = _later(own[place], carried), now_us
        self._earliest = found
        return max((one for one in found if one is not None), default=before_us)

    def not_after(self, after_us: int | None) -> int:
        """Bound from above, everything being before `after_us`; return the bound of what comes before this boot."""
        own = [one.latest_us if after_us is None else min(one.latest_us, after_us) for one in self._sightings]
        found = list(own)
        for order, late in ((self._order, True), (self._order[::-1], False)):
            carried, at_us = None, 0
            for place in order:
                now_us = self._sightings[place].boottime_us
                apart_us = abs(now_us - at_us)
                if carried is not None:
                    carried += (apart_us if late else -apart_us) + _drift_us(apart_us)
                    found[place] = min(found[place], carried + JITTER_US)
                carried, at_us = own[place] if carried is None else min(own[place], carried), now_us
        self._latest = found
        return min(found)

    def spans(self) -> list[Span]:
        """Give the bounds found; where they contradict each other, only the receipt is left."""
        return [
            Span(earliest, latest, self._anchored, contradicted=earliest is not None and earliest > latest)
            for earliest, latest in zip(self._earliest, self._latest, strict=True)
        ]


def _later(one: int | None, other: int | None) -> int | None:
    """Return the later of two bounds, of which either may be unknown."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
