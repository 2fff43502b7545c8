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
        assert day.first_in_at is None or day.first_in_at.astimezone(SEOUL).date() == day.on


def test_a_month_is_written_one_way() -> None:
    assert month_bounds("2026-12") == (date(2026, 12, 1), date(2027, 1, 1))
    for wrong in ("2026-13", "2026-1", "26-11", "2026-11-01", "1999-01", ""):
        with pytest.raises(Invalid, match="write it like 2026-11"):
            month_bounds(wrong)
