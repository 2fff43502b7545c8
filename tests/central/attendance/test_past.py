"""A fold that begins somewhere is the fold of everything, cut: whatever the taps, and wherever a month begins."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from central.attendance.days import Day, begins_by, dates_of, days_of
from central.attendance.diary import bounds
from central.attendance.past import LOOK_BACKS, with_past
from central.attendance.presence import ACCEPTED, AUTH_FAILED, BARRED, IN, OUT, REPEAT, TAP, CountedTap

SEOUL, HONOLULU = ZoneInfo("Asia/Seoul"), ZoneInfo("Pacific/Honolulu")
BEGIN = datetime(2026, 10, 20, tzinfo=SEOUL).astimezone(UTC)
FIRST, AFTER = date(2026, 10, 31), date(2026, 11, 2)
LATER = datetime(2026, 12, 31, tzinfo=UTC)

Made = list[tuple[float, int, int, int, int]]
"""Hours after the one before, direction, decision, assurance, doubt."""


def taps_of(made: Made) -> list[CountedTap]:
    """Make taps of two terminals whose clocks never step back."""
    at, taps = BEGIN, []
    for seq, (hours, direction, decision, assurance, doubt) in enumerate(made, 1):
        at += timedelta(hours=hours)
        taps.append(CountedTap(1 + seq % 2, seq, at, direction, decision, assurance, 1, "z", f"j{seq % 2}", doubt))
    return taps


def read(taps: list[CountedTap]) -> list[CountedTap]:
    """Read them as the database is read for the days from `FIRST` until `AFTER`."""
    from_at, until_at = bounds(FIRST, AFTER)

    def since(at: datetime, of: Collection[int] | None) -> dict[int, list[CountedTap]]:
        assert of == [7]
        return {7: [tap for tap in taps if at <= tap.occurred_at < until_at]}

    return with_past(since, of=[7], from_at=from_at, counted=lambda tap: tap)[7]


def cut(taps: list[CountedTap], zone: ZoneInfo) -> list[Day]:
    return [day for day in days_of("site-07", taps, zone=zone, now=LATER) if FIRST <= day.on < AFTER]


def placed(taps: list[CountedTap], zone: ZoneInfo) -> dict[tuple[int, int], date]:
    return {name: on for name, on in dates_of(taps, zone=zone).items() if FIRST <= on < AFTER}


NIGHTS_BY_ONE_READER: Made = [
    ((20.0 if night == 0 and k == 0 else 10.0 if k else 14.0), TAP, ACCEPTED, 3, 0)
    for night in range(11)
    for k in (0, 1)
]
SHIFTS_OF_TWELVE_HOURS: Made = [(12.0, TAP, ACCEPTED, 0, 0)] * 28
DUTY_AT_THE_END: Made = [(24.0 * 13 + 18.5, IN, ACCEPTED, 3, 0), (25.5, OUT, ACCEPTED, 3, 0)]


@settings(max_examples=400)
@example(NIGHTS_BY_ONE_READER)
@example(SHIFTS_OF_TWELVE_HOURS)
@example(DUTY_AT_THE_END)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from([0.01, 3.9, 4.0, 8.0, 9.9, 10.0, 12.0, 13.9, 14.0, 14.1, 24.0, 26.0, 26.1]),
                st.floats(0, 40, allow_nan=False),
            ),
            st.sampled_from([IN, OUT, TAP]),
            st.sampled_from([ACCEPTED, ACCEPTED, ACCEPTED, BARRED, AUTH_FAILED, REPEAT]),
            st.sampled_from([3, 3, 0, 2]),
            st.sampled_from([0, 0, 0, 60]),
        ),
        max_size=60,
    )
)
def test_what_is_read_for_a_month_gives_its_days_as_all_taps_of_all_time_do(made: Made) -> None:
    """Mutants: a month begins with the first tap read; nobody is read from before a night; long duties are cut off."""
    taps = taps_of(made)
    for zone in (SEOUL, HONOLULU):
        assert cut(read(taps), zone) == cut(taps, zone)
        assert placed(read(taps), zone) == placed(taps, zone)


def test_three_nights_by_a_reader_without_a_direction_before_a_month_are_none_of_it() -> None:
    """Mutant: the first tap read is an entry, so that exits are entries and a night is a day."""
    begin = datetime(2026, 10, 29, 20, tzinfo=SEOUL).astimezone(UTC)
    taps = [
        CountedTap(1, 2 * night + k, begin + timedelta(days=night, hours=10 * k), TAP, ACCEPTED, 3, 1, "z", "j")
        for night in range(3)
        for k in (0, 1)
    ]
    from_at, until_at = bounds(date(2026, 11, 1), date(2026, 12, 1))
    found = with_past(
        lambda at, _: {7: [tap for tap in taps if at <= tap.occurred_at < until_at]},
        of=[7],
        from_at=from_at,
        counted=lambda tap: tap,
    )[7]
    assert [day.on for day in days_of("s", found, zone=SEOUL, now=LATER) if day.on >= date(2026, 11, 1)] == []
    whole = days_of("s", taps, zone=SEOUL, now=LATER)
    assert [(day.on.day, day.doubts) for day in whole] == [(29, ()), (30, ()), (31, ())]


@pytest.mark.parametrize(
    ("directions", "assurance", "reads"),
    [((IN, OUT), 3, 1), ((IN, OUT), 0, 2), ((TAP, TAP), 3, 2)],
    ids=["full exits say it", "weak ones need a day off", "so do readers without a direction"],
)
def test_most_are_read_once(directions: tuple[int, int], assurance: int, reads: int) -> None:
    """Mutant: everybody is read from nine weeks back."""
    sunday = datetime(2026, 10, 25, tzinfo=SEOUL).astimezone(UTC)
    taps = [
        CountedTap(
            1, 2 * day + k, sunday + timedelta(days=day, hours=7 + 11 * k), way, ACCEPTED, assurance, 1, "z", "j"
        )
        for day in range(1, 13)
        if day % 7
        for k, way in enumerate(directions)
    ]
    asked = []

    def since(at: datetime, _: Collection[int] | None) -> dict[int, list[CountedTap]]:
        asked.append(at)
        return {7: [tap for tap in taps if tap.occurred_at >= at]}

    from_at = bounds(date(2026, 10, 31), AFTER)[0]
    with_past(since, of=[7], from_at=from_at, counted=lambda tap: tap)
    assert asked == [from_at - back for back in LOOK_BACKS[:reads]]


def test_only_who_cannot_begin_yet_is_read_again() -> None:
    at = bounds(FIRST, AFTER)[0]
    nights = [at - timedelta(hours=10 * n) for n in range(-2, 30)]
    taps = {
        1: [CountedTap(1, n, when, TAP, 0, 3, 1, "z", "j") for n, when in enumerate(sorted(nights), 1)],
        2: [CountedTap(1, 99, at + timedelta(hours=8), IN, 0, 3, 1, "z", "j")],
    }
    asked = []

    def since(back: datetime, of: Collection[int] | None) -> dict[int, list[CountedTap]]:
        asked.append(list(of or ()))
        return {one: [tap for tap in taps[one] if tap.occurred_at >= back] for one in of or ()}

    found = with_past(since, of=[1, 2], from_at=at, counted=lambda tap: tap)
    assert asked == [[1, 2], [1], [1]]
    assert {one: len(mine) for one, mine in found.items()} == {1: 32, 2: 1}
    assert not begins_by(taps[1], since=nights[-1], at=at)
