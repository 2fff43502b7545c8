from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.attendance.days import Day, days_of
from central.attendance.diary import month_bounds
from central.attendance.presence import (
    ACCEPTED,
    AUTH_FAILED,
    BARRED,
    IN,
    OUT,
    REPEAT,
    TAP,
    UNKNOWN_CARD,
    CountedTap,
    counts,
)
from central.kit.errors import Invalid

SEOUL = ZoneInfo("Asia/Seoul")
LATER = datetime(2026, 12, 31, tzinfo=UTC)


def tap(local: str, direction: int, *, seq: int = 0, decision: int = ACCEPTED, assurance: int = 3) -> CountedTap:
    """Make a tap at a time in Seoul; `seq` follows the time unless given."""
    at = datetime.fromisoformat(local).replace(tzinfo=SEOUL).astimezone(UTC)
    return CountedTap(1, seq or int(at.timestamp()), at, direction, decision, assurance, 1, "z", "j")


def days(*taps: CountedTap, now: datetime = LATER) -> list[Day]:
    return days_of("site-07", taps, zone=SEOUL, now=now)


def local(at: datetime | None) -> str:
    return at.astimezone(SEOUL).strftime("%d %H:%M") if at else "-"


def told(found: list[Day]) -> list[tuple[int, str, str, tuple[str, ...]]]:
    return [(day.on.day, local(day.first_in_at), local(day.last_out_at), day.doubts) for day in found]


def test_a_day_goes_from_the_first_entry_to_the_last_exit() -> None:
    found = days(
        tap("2026-11-20 06:58", IN),
        tap("2026-11-20 12:01", OUT),
        tap("2026-11-20 12:55", IN),
        tap("2026-11-20 17:04", OUT),
    )
    assert told(found) == [(20, "20 06:58", "20 17:04", ())]
    assert found[0].taps == 4


def test_a_night_shift_is_one_day_that_of_its_entry() -> None:
    """Mutant: an exit belongs to the day on which it happened."""
    found = days(tap("2026-11-20 22:00", IN), tap("2026-11-21 06:00", OUT), tap("2026-11-21 22:00", IN))
    assert told(found) == [(20, "20 22:00", "21 06:00", ()), (21, "21 22:00", "-", ("missing_exit",))]


def nights(first: int, count: int, *times: tuple[int, str, int]) -> list[CountedTap]:
    """Make the same taps, (0 that date or 1 the next, clock, direction), for each of some nights of November."""
    return [
        tap(f"2026-11-{first + night + plus:02} {clock}", direction)
        for night in range(count)
        for plus, clock, direction in times
    ]


@pytest.mark.parametrize("last", ["05:30", "09:59"])
def test_a_break_after_midnight_begins_no_day(last: str) -> None:
    """Mutant: every entry belongs to the day on which it happened."""
    taps = nights(2, 6, (0, "20:00", IN), (1, "00:05", OUT), (1, "00:55", IN), (1, last, OUT))
    assert told(days(*taps)) == [(on, f"{on:02} 20:00", f"{on + 1:02} {last}", ()) for on in range(2, 8)]
    assert {day.taps for day in days(*taps)} == {4}


@pytest.mark.parametrize(
    ("back", "expected"),
    [
        ("2026-11-03 03:59", [(2, "02 20:00", "03 05:30", ())]),
        ("2026-11-03 04:00", [(2, "02 20:00", "03 00:00", ()), (3, "03 04:00", "03 05:30", ())]),
    ],
)
def test_four_hours_outside_are_no_break(back: str, expected: object) -> None:
    taps = tap("2026-11-02 20:00", IN), tap("2026-11-03 00:00", OUT), tap(back, IN), tap("2026-11-03 05:30", OUT)
    assert told(days(*taps)) == expected


def test_an_entry_more_than_a_shift_after_the_first_begins_a_day() -> None:
    """Mutant: a break goes on with a shift that is over."""
    night = tap("2026-11-02 20:00", IN), tap("2026-11-03 08:30", OUT)
    taps = tap("2026-11-03 10:01", IN), tap("2026-11-03 18:00", OUT)
    assert told(days(*night, *taps)) == [(2, "02 20:00", "03 08:30", ()), (3, "03 10:01", "03 18:00", ())]


def test_a_duty_of_a_day_and_a_night_is_one_day_and_a_long_one_is_said() -> None:
    """Mutant: an exit later than a shift's length after its entry is a day without an entry."""
    duties = [
        one for on in (2, 4, 6) for one in (tap(f"2026-11-{on:02} 08:00", IN), tap(f"2026-11-{on + 1:02} 08:00", OUT))
    ]
    assert told(days(*duties)) == [(on, f"{on:02} 08:00", f"{on + 1:02} 08:00", ("long_stay",)) for on in (2, 4, 6)]
    long_nights = nights(2, 3, (0, "19:00", IN), (1, "09:30", OUT))
    assert told(days(*long_nights)) == [
        (on, f"{on:02} 19:00", f"{on + 1:02} 09:30", ("long_stay",)) for on in (2, 3, 4)
    ]


def test_an_exit_two_days_after_the_entry_is_another_days() -> None:
    assert told(days(tap("2026-11-02 07:00", IN), tap("2026-11-03 17:00", OUT))) == [
        (2, "02 07:00", "-", ("missing_exit",)),
        (3, "-", "03 17:00", ("missing_entry",)),
    ]


def test_a_card_held_twice_on_the_way_out_is_no_day() -> None:
    """Mutant: a repeat belongs to the day on which it happened."""
    taps = nights(2, 6, (0, "20:00", IN), (1, "06:00", OUT))
    again = [tap(f"2026-11-{on:02} 06:00:20", OUT, decision=REPEAT) for on in range(3, 9)]
    assert told(days(*taps, *again)) == [(on, f"{on:02} 20:00", f"{on + 1:02} 06:00", ()) for on in range(2, 8)]
    assert [day.taps for day in days(*taps, *again)] == [3] * 6
    duty = tap("2026-11-02 08:00", IN), tap("2026-11-03 08:00", OUT), tap("2026-11-03 08:00:20", OUT, decision=REPEAT)
    assert told(days(*duty)) == [(2, "02 08:00", "03 08:00", ("long_stay",))]


def test_an_evening_whose_entry_is_missing_goes_on_after_midnight() -> None:
    taps = tap("2026-11-02 23:50", OUT), tap("2026-11-03 00:40", IN), tap("2026-11-03 05:30", OUT)
    assert told(days(*taps)) == [(2, "03 00:40", "03 05:30", ("missing_entry",))]


def test_an_exit_missed_last_week_does_not_make_this_one_weak() -> None:
    """Mutant: the day's fold never forgets, so that it depends on how far back it is read."""
    taps = (
        tap("2026-11-02 07:00", IN),
        tap("2026-11-04 07:00", IN, assurance=0),
        tap("2026-11-04 17:00", OUT, assurance=0),
    )
    assert told(days(*taps)) == [(2, "02 07:00", "-", ("missing_exit",)), (4, "04 07:00", "04 17:00", ())]


def test_a_day_is_the_sites_not_utcs() -> None:
    """Mutant: the day in UTC, in which seven in the morning in Seoul is yesterday."""
    assert [day.on for day in days(tap("2026-11-20 07:00", IN), tap("2026-11-20 17:00", OUT))] == [date(2026, 11, 20)]


def test_what_is_missing_is_said_and_not_filled_in() -> None:
    found = days(
        tap("2026-11-19 17:00", OUT),
        tap("2026-11-20 07:00", IN),
        tap("2026-11-21 07:00", IN),
        tap("2026-11-21 17:00", OUT, assurance=0),
    )
    assert told(found) == [
        (19, "-", "19 17:00", ("missing_entry",)),
        (20, "20 07:00", "-", ("missing_exit",)),
        (21, "21 07:00", "-", ("missing_exit", "weak_exit")),
    ]


def test_who_is_still_inside_has_not_yet_gone_out() -> None:
    taps = tap("2026-11-20 07:00", IN)
    assert days(taps, now=taps.occurred_at + timedelta(hours=5))[0].doubts == ("not_yet_out",)
    assert days(taps, now=taps.occurred_at + timedelta(hours=15))[0].doubts == ("missing_exit",)


def test_a_second_entry_without_an_exit_between_is_a_doubt_and_a_repeat_is_none() -> None:
    twice = days(tap("2026-11-20 07:00", IN), tap("2026-11-20 09:00", IN), tap("2026-11-20 17:00", OUT))
    again = days(
        tap("2026-11-20 07:00", IN), tap("2026-11-20 07:01", IN, decision=REPEAT), tap("2026-11-20 17:00", OUT)
    )
    assert told(twice) == [(20, "20 07:00", "20 17:00", ("missing_exit",))]
    assert told(again) == [(20, "20 07:00", "20 17:00", ())]


@pytest.mark.parametrize("decision", [BARRED, AUTH_FAILED])
def test_a_refused_card_is_counted_and_is_no_entry(decision: int) -> None:
    found = days(tap("2026-11-20 07:00", IN, decision=decision))
    assert (told(found), found[0].refused) == ([(20, "-", "-", ())], 1)


def test_a_reader_without_a_direction_gives_days_too() -> None:
    assert told(days(tap("2026-11-20 07:00", TAP), tap("2026-11-20 17:00", TAP))) == [(20, "20 07:00", "20 17:00", ())]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * 24 * 60),
            st.sampled_from([IN, OUT, TAP]),
            st.sampled_from([ACCEPTED, UNKNOWN_CARD, BARRED, AUTH_FAILED, REPEAT]),
            st.integers(0, 3),
        ),
        max_size=14,
    ),
    st.integers(0, 2**32),
)
def test_days_do_not_depend_on_the_order_of_arrival_and_count_every_tap_once(
    made: list[tuple[int, int, int, int]], seed: int
) -> None:
    begin = datetime(2026, 11, 18, tzinfo=SEOUL).astimezone(UTC)
    taps = [
        CountedTap(
            1 + seq % 2, seq, begin + timedelta(minutes=minute), direction, decision, level, 1, "z", f"j{seq % 2}"
        )
        for seq, (minute, direction, decision, level) in enumerate(made, 1)
    ]
    shuffled = list(taps)
    random.Random(seed).shuffle(shuffled)
    found = days(*taps)
    assert days(*shuffled) == found
    assert sum(day.taps for day in found) == sum(counts(direction=one.direction, decision=one.decision) for one in taps)
    assert [day.on for day in found] == sorted({day.on for day in found})
    for day in found:
        alone = day.first_in_at is None or "missing_entry" in day.doubts
        assert alone or day.first_in_at.astimezone(SEOUL).date() == day.on


def test_a_month_is_written_one_way() -> None:
    assert month_bounds("2026-12") == (date(2026, 12, 1), date(2027, 1, 1))
    for wrong in ("2026-13", "2026-1", "26-11", "2026-11-01", "1999-01", ""):
        with pytest.raises(Invalid, match="write it like 2026-11"):
            month_bounds(wrong)
