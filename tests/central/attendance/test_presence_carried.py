"""Presence behind what is no longer kept, and exits whose time is in doubt: nobody comes in or leaves by a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.attendance.headcount import DOUBT_EXIT_TIME, INSIDE, OUTSIDE
from central.attendance.presence import ACCEPTED, IN, OUT, TAP, CountedTap, fold
from central.attendance.timekeeping import UNCOMPARED, UNKNOWN

T0 = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def a_tap(seq: int, direction: int, *, minutes: float, journal: int = 1, doubt: int = 0) -> CountedTap:
    return CountedTap(
        journal=journal,
        seq=seq,
        occurred_at=T0 + timedelta(minutes=minutes),
        direction=direction,
        decision=ACCEPTED,
        assurance=3,
        terminal_id=journal,
        zone="gate",
        journal_id=f"{journal}",
        doubt=doubt,
    )


@pytest.mark.promise("INC-01")
@given(st.lists(st.sampled_from([IN, OUT, TAP]), min_size=1, max_size=12), st.data())
def test_folding_behind_what_was_let_go_of_ends_as_folding_everything(
    directions: list[int], data: st.DataObject
) -> None:
    """Mutant: the fold of what is kept begins from nothing, and an entry goes with its month."""
    taps = [a_tap(seq, direction, minutes=90 * seq) for seq, direction in enumerate(directions, 1)]
    cut = data.draw(st.integers(1, len(taps)))
    assert fold(taps[cut:], after=fold(taps[:cut])) == fold(taps)


@pytest.mark.promise("INC-01")
def test_a_tap_that_turns_up_from_before_what_was_let_go_of_comes_behind_it() -> None:
    """Mutant: its own time counts, and since when somebody is inside lies before the state it came to."""
    carried = fold([a_tap(1, IN, minutes=0), a_tap(2, OUT, minutes=600)])
    assert carried is not None
    state = fold([a_tap(1, IN, minutes=300, journal=2)], after=carried)
    assert state is not None
    assert (state.state, state.since_at, state.last_at) == (INSIDE, carried.last_at, carried.last_at)


@pytest.mark.promise("INC-01")
@pytest.mark.promise("TIM-01")
@pytest.mark.parametrize(
    ("minutes", "doubt", "journal", "left"),
    [
        (60, 0, 2, True),
        (60, 60, 2, True),
        (60, 61, 2, False),
        (60, UNKNOWN, 2, False),
        (60, UNCOMPARED, 2, True),
        (60, 61, 1, True),
        (60, UNKNOWN, 1, True),
    ],
)
def test_an_exit_counts_when_it_is_later_for_certain_by_its_time_or_by_its_number(
    minutes: int,
    doubt: int,
    journal: int,
    left: bool,  # noqa: FBT001 - a table
) -> None:
    """Mutants: any time is enough (`tim-01-exit-at-receipt`); a time of which nothing is known is enough."""
    state = fold([a_tap(1, IN, minutes=0), a_tap(2, OUT, minutes=minutes, journal=journal, doubt=doubt)])
    assert state is not None
    assert (state.state, state.doubts) == ((OUTSIDE, 0) if left else (INSIDE, DOUBT_EXIT_TIME))
