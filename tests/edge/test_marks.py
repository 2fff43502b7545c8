"""Since when central holds what it acknowledged: marks ripen by a clock that is certain, and only then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from edge_agent.clock import Reading
from edge_agent.journal.marks import MARKS_A_WINDOW, Mark, has_passed, marked, ripe

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEEP = timedelta(days=35)
NS_A_SECOND = 10**9
THEN = Reading(NOON, 100 * NS_A_SECOND, "boot-1", "synced", 20, 1)


def later(span: timedelta, *, boot: str = "boot-1", state: str = "synced", error_ms: int = 20) -> Reading:
    """The clock `span` after `THEN`."""
    boottime_ns = THEN.boottime_ns + int(span / timedelta(seconds=1)) * NS_A_SECOND
    return replace(THEN, at=NOON + span, boottime_ns=boottime_ns, boot_id=boot, state=state, error_ms=error_ms)


@pytest.mark.promise("DUR-03")
@pytest.mark.parametrize(
    ("now", "passed"),
    [
        (later(KEEP), True),
        (later(KEEP - timedelta(seconds=1)), False),
        (replace(later(timedelta(0)), at=NOON + 9 * KEEP), False),
        (later(KEEP, boot="boot-2"), False),
        (later(KEEP + timedelta(milliseconds=40), boot="boot-2"), True),
        (later(KEEP + timedelta(milliseconds=39), boot="boot-2"), False),
        (later(KEEP * 2, boot="boot-2", state="rtc"), False),
        (later(KEEP * 2, boot="boot-2", state="unset"), False),
        (later(KEEP * 2, boot="boot-2", state="holdover"), True),
    ],
)
def test_a_window_has_passed_only_when_it_certainly_has(now: Reading, passed: bool) -> None:  # noqa: FBT001 - a table
    """Mutants: the wall clock is believed inside a boot; the errors of two clocks are not added; any clock will do."""
    assert has_passed(THEN, now, KEEP) is passed


def test_a_clock_that_was_never_compared_proves_nothing_at_either_end() -> None:
    assert not has_passed(replace(THEN, state="rtc"), later(KEEP * 2, boot="boot-2"), KEEP)


@pytest.mark.promise("DUR-03")
def test_what_is_ripe_is_the_last_number_held_for_a_whole_window() -> None:
    """Mutant: the newest mark counts, although central has held it for a moment."""
    marks = [Mark(3, THEN), Mark(9, later(KEEP / 2))]
    assert ripe(marks, later(KEEP / 2), keep=KEEP) == 0
    assert ripe(marks, later(KEEP), keep=KEEP) == 3
    assert ripe(marks, later(KEEP * 1.5), keep=KEEP) == 9


def test_a_mark_is_made_for_something_new_and_not_more_often_than_so_many_times_a_window() -> None:
    assert marked([], THEN, durable=0, keep=KEEP) == []
    first = marked([], THEN, durable=5, keep=KEEP)
    assert first == [Mark(5, THEN)]
    assert marked(first, later(KEEP), durable=5, keep=KEEP) == [], "what is ripe needs no mark any more"
    eighth = KEEP / MARKS_A_WINDOW
    assert marked(first, later(eighth - timedelta(seconds=1)), durable=7, keep=KEEP) == first
    assert marked(first, later(eighth), durable=5, keep=KEEP) == first, "nothing new is held"
    assert marked(first, later(eighth), durable=7, keep=KEEP) == [*first, Mark(7, later(eighth))]


@pytest.mark.promise("DUR-03")
def test_a_mark_beyond_what_is_acknowledged_is_void() -> None:
    """Mutant: a mark outlives the acknowledgement it rests on."""
    assert marked([Mark(9, THEN)], later(timedelta(1)), durable=4, keep=KEEP) == [Mark(4, later(timedelta(1)))]


@pytest.mark.promise("DUR-03")
def test_a_mark_of_an_earlier_boot_whose_clock_nobody_compared_counts_from_now() -> None:
    """Mutant: it stays as it is and never ripens, so that nothing is ever deleted; or it ripens by that clock."""
    adrift = Mark(5, replace(THEN, state="unset"))
    now = later(timedelta(hours=1), boot="boot-2")
    assert marked([adrift], now, durable=5, keep=KEEP) == [Mark(5, now)]
    assert marked([adrift], later(timedelta(hours=1)), durable=5, keep=KEEP) == [adrift], "its own boot's clock tells"
