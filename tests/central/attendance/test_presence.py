from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from central.attendance.headcount import DOUBT_EXIT_MISSING, DOUBT_EXIT_WEAK, DOUBT_NO_ENTRY, INSIDE, OUTSIDE, REFUSED
from central.attendance.presence import (
    ACCEPTED,
    AUTH_FAILED,
    BARRED,
    IN,
    MUSTER,
    OUT,
    REPEAT,
    TAP,
    UNKNOWN_CARD,
    CountedTap,
    State,
    advance,
    counts,
    fold,
    in_order,
    overtaken,
    proof,
    settles,
    stepped,
)

T0 = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def a_tap(seq: int, direction: int = IN, *, minutes: float = 0, journal: int = 1, **more: int) -> CountedTap:
    values = {"decision": ACCEPTED, "assurance": 3} | more
    at = T0 + timedelta(minutes=minutes)
    return CountedTap(
        journal, seq, at, direction, values["decision"], values["assurance"], journal, "gate", f"{9 - journal}"
    )


@st.composite
def tap_sets(draw: st.DrawFn) -> list[CountedTap]:
    taps = []
    for journal in range(1, draw(st.integers(1, 3)) + 1):
        for seq in sorted(draw(st.sets(st.integers(1, 12), max_size=7))):
            taps.append(  # noqa: PERF401 - drawn one by one
                a_tap(
                    seq,
                    draw(st.sampled_from([IN, OUT, TAP, MUSTER])),
                    minutes=draw(st.integers(-30, 30)) * 60,
                    journal=journal,
                    decision=draw(st.sampled_from([ACCEPTED, UNKNOWN_CARD, BARRED, AUTH_FAILED, REPEAT])),
                    assurance=draw(st.integers(0, 3)),
                )
            )
    return taps


def keep_as_ingest_does(arrivals: list[list[CountedTap]]) -> State | None:
    """Take batches in the order they arrive: one step where that is allowed, else the whole set again."""
    held: set[CountedTap] = set()
    received: dict[int, int] = {}
    state: State | None = None
    for batch in arrivals:
        new = sorted(set(batch) - held, key=lambda tap: (tap.journal, tap.seq))
        counted = [tap for tap in new if counts(direction=tap.direction, decision=tap.decision)]
        late = {tap for tap in counted if tap.seq <= received.get(tap.journal, 0)}
        held.update(new)
        after: State | None = None
        if not late or long_settled(state, late, held):
            fresh = [tap for tap in counted if tap not in late]
            after = stepped(state, fresh) if fresh else state
        state = fold(held) if after is None else after
        for tap in new:
            received[tap.journal] = max(received.get(tap.journal, 0), tap.seq)
    return state


def long_settled(state: State | None, late: set[CountedTap], held: set[CountedTap]) -> bool:
    answers = {tap: settles(state, tap) for tap in late}
    if state is None or False in answers.values():
        return False
    counted = [tap for tap in held if counts(direction=tap.direction, decision=tap.decision)]
    doubtful = sorted(
        (tap for tap, answer in answers.items() if answer is None), key=lambda tap: (tap.journal, tap.seq)
    )
    newest = {tap.journal: tap for tap in doubtful}  # as `keeping` asks: once for each journal
    return not any(overtaken(state, tap, counted) for tap in newest.values())


@pytest.mark.promise("DUR-05")
@given(tap_sets(), st.data())
def test_any_arrival_order_split_and_duplication_gives_the_row_that_folding_from_zero_gives(
    taps: list[CountedTap], data: st.DataObject
) -> None:
    """Mutant: presence by arrival order (step on every tap as it comes, never fold again)."""
    again = data.draw(st.lists(st.sampled_from(taps), max_size=5)) if taps else []
    arrival = data.draw(st.permutations(taps + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arrival)), max_size=6)))
    edges = [0, *cuts, len(arrival)]
    batches = [list(arrival[a:b]) for a, b in itertools.pairwise(edges)]
    assert keep_as_ingest_does(batches) == fold(taps)


def full_days(draw: st.DrawFn) -> list[CountedTap]:
    """Mostly what people do, so that much is settled: in, and out with full proof, over one to three gates."""
    taps = []
    numbers = {1: 0, 2: 0, 3: 0}
    for place in range(draw(st.integers(4, 16))):
        journal = draw(st.integers(1, 3))
        numbers[journal] += 1
        usual = draw(st.integers(0, 9)) < 8
        direction = (IN, OUT)[place % 2] if usual else draw(st.sampled_from([IN, OUT, TAP]))
        decision = ACCEPTED if usual else draw(st.sampled_from([ACCEPTED, REPEAT, AUTH_FAILED, BARRED]))
        jump = 0 if usual else draw(st.integers(-300, 300))
        taps.append(
            a_tap(
                numbers[journal],
                direction,
                minutes=place * 60 + jump,
                journal=journal,
                decision=decision,
                assurance=3 if usual else draw(st.integers(0, 3)),
            )
        )
    return taps


@pytest.mark.promise("DUR-05")
@settings(max_examples=300)
@given(st.composite(full_days)(), st.data())
def test_days_that_come_to_light_late_are_passed_over_only_where_they_change_nothing(
    taps: list[CountedTap], data: st.DataObject
) -> None:
    """Mutants: a late tap is passed over though its clock was ahead, or though its journal's clock was set back."""
    arrival = data.draw(st.permutations(taps))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arrival)), max_size=8)))
    batches = [list(arrival[a:b]) for a, b in itertools.pairwise([0, *cuts, len(arrival)])]
    assert keep_as_ingest_does(batches) == fold(taps)


@pytest.mark.promise("DUR-05")
def test_a_late_tap_of_a_clock_that_was_set_back_is_put_behind_what_its_terminal_wrote_before_it() -> None:
    """Mutant: a late tap is judged by its own clock alone."""
    known = [a_tap(1, OUT, minutes=100), a_tap(2, IN, minutes=160)]
    known += [a_tap(1, IN, minutes=200, journal=2), a_tap(3, IN, minutes=210, journal=2)]
    late = a_tap(2, OUT, minutes=50, journal=2)
    assert keep_as_ingest_does([known, [late]]) == fold([*known, late]) != fold(known)


def test_after_a_full_exit_and_an_entry_earlier_days_need_no_reading() -> None:
    settled = fold([a_tap(10, OUT, minutes=100), a_tap(11, IN, minutes=160)])
    assert settles(settled, a_tap(9, OUT, minutes=50)) is True
    assert settles(settled, a_tap(9, IN, minutes=150)) is False, "it would move the exit behind the entry"
    assert settles(settled, a_tap(3, IN, minutes=50, journal=2)) is None
    assert settles(settled, a_tap(3, IN, minutes=120, journal=2)) is False
    weak = fold([a_tap(10, OUT, minutes=100, assurance=2), a_tap(11, IN, minutes=160)])
    assert settles(weak, a_tap(9, OUT, minutes=50)) is False


@pytest.mark.promise("DUR-05")
def test_an_exit_that_arrives_after_the_entry_that_followed_it_takes_nobody_out() -> None:
    """Mutant: presence by arrival order."""
    out = a_tap(1, OUT, minutes=10, journal=2)
    back = a_tap(1, IN, minutes=20, journal=1)
    state = keep_as_ingest_does([[back], [out]])
    assert state == fold([out, back])
    assert state is not None
    assert state.state == INSIDE


@pytest.mark.promise("DUR-05")
@given(tap_sets())
@example([a_tap(1, IN, minutes=60), a_tap(2, OUT)])
def test_inside_a_terminal_the_sequence_is_the_order_whatever_its_clock_says(taps: list[CountedTap]) -> None:
    """Mutant: sorting by the wall clock alone."""
    order = [tap for _, tap in in_order(taps)]
    for journal in {tap.journal for tap in taps}:
        mine = [tap.seq for tap in order if tap.journal == journal]
        assert mine == sorted(mine)


@pytest.mark.promise("INC-01")
@given(tap_sets())
@example([a_tap(1, IN), a_tap(2, OUT, minutes=15 * 60, decision=AUTH_FAILED)])
@example([a_tap(1, IN), a_tap(2, OUT, minutes=15 * 60, assurance=0)])
@example([a_tap(1, IN), a_tap(2, IN, minutes=15 * 60, decision=BARRED)])
def test_nobody_leaves_the_inside_set_without_an_exit_proven_as_well_as_the_entry(taps: list[CountedTap]) -> None:
    """Mutant: time-out removal (a person inside for more than 14 hours is taken for gone)."""
    best = None
    for count, (_, tap) in enumerate(in_order(taps)):
        before = fold(one for _, one in in_order(taps)[:count])
        after = fold(one for _, one in in_order(taps)[: count + 1])
        assert after is not None
        was_inside = before is not None and before.state == INSIDE
        if was_inside and after.state != INSIDE:
            assert best is not None
            assert tap.direction in {OUT, TAP}
            assert tap.decision != AUTH_FAILED
            assert proof(tap) >= best
        entered = {ACCEPTED, UNKNOWN_CARD} if was_inside else {ACCEPTED, UNKNOWN_CARD, REPEAT}
        if after.state == INSIDE and tap.decision in entered and after.last_direction == IN:
            best = max(best, proof(tap)) if was_inside and best is not None else proof(tap)


def test_in_then_out_is_outside_without_doubt() -> None:
    state = fold([a_tap(1, IN), a_tap(2, OUT, minutes=60)])
    assert state is not None
    assert (state.state, state.doubts, state.since_at) == (OUTSIDE, 0, T0 + timedelta(minutes=60))


def test_a_second_entry_keeps_the_person_inside_and_says_that_an_exit_is_missing() -> None:
    state = fold([a_tap(1, IN), a_tap(2, IN, minutes=600)])
    assert state is not None
    assert (state.state, state.doubts, state.since_at) == (INSIDE, DOUBT_EXIT_MISSING, T0 + timedelta(minutes=600))


def test_a_copied_identifier_does_not_lower_the_count_after_an_authenticated_entry() -> None:
    taps = [a_tap(1, IN), a_tap(2, IN, minutes=1, assurance=0), a_tap(3, OUT, minutes=2, assurance=0)]
    state = fold(taps)
    assert state is not None
    assert state.state == INSIDE
    assert state.doubts & DOUBT_EXIT_WEAK


def test_an_exit_without_an_entry_says_so() -> None:
    state = fold([a_tap(1, OUT)])
    assert state is not None
    assert (state.state, state.doubts) == (OUTSIDE, DOUBT_NO_ENTRY)


@pytest.mark.parametrize("decision", [BARRED, AUTH_FAILED])
def test_a_refused_entry_is_not_inside_but_is_remembered(decision: int) -> None:
    state = fold([a_tap(1, IN, decision=decision)])
    assert state is not None
    assert state.state == REFUSED


def test_a_refusal_while_inside_does_not_put_the_person_out() -> None:
    state = fold([a_tap(1, IN), a_tap(2, IN, minutes=60, decision=BARRED)])
    assert state is not None
    assert (state.state, state.since_at) == (INSIDE, T0)


def test_a_reader_without_direction_is_resolved_by_order_and_again_when_a_late_tap_arrives() -> None:
    first, second, third = a_tap(1, TAP), a_tap(2, TAP, minutes=60), a_tap(3, TAP, minutes=120)
    early = fold([first, third])
    late = fold([first, second, third])
    assert early is not None
    assert late is not None
    assert (early.state, late.state) == (OUTSIDE, INSIDE)


def test_a_directionless_tap_after_more_than_a_shift_is_a_new_entry() -> None:
    state = fold([a_tap(1, TAP), a_tap(2, TAP, minutes=15 * 60)])
    assert state is not None
    assert (state.state, state.doubts) == (INSIDE, DOUBT_EXIT_MISSING)


def test_a_clock_that_steps_back_an_hour_does_not_turn_the_day_round() -> None:
    state = fold([a_tap(1, IN, minutes=0), a_tap(2, OUT, minutes=-60)])
    assert state is not None
    assert (state.state, state.last_at) == (OUTSIDE, T0)


def test_musters_and_repeats_without_a_direction_move_nobody() -> None:
    assert fold([a_tap(1, TAP, decision=REPEAT), a_tap(2, MUSTER)]) is None


def what_is_said(state: State | None) -> tuple[int, datetime, int, int] | None:
    return (state.state, state.since_at, state.entry_assurance, state.doubts) if state is not None else None


@given(tap_sets())
def test_a_second_tap_at_the_same_reader_changes_nothing_but_the_last_sighting(taps: list[CountedTap]) -> None:
    once = [structs.replace(tap, seq=tap.seq * 2) for tap in taps if tap.decision in {ACCEPTED, UNKNOWN_CARD}]
    twice = [structs.replace(tap, seq=tap.seq + 1, decision=REPEAT) for tap in once]
    assert what_is_said(fold([*once, *twice])) == what_is_said(fold(once))


@given(tap_sets(), st.sampled_from([IN, OUT]), st.integers(0, 3))
def test_a_repeat_that_contradicts_what_is_known_is_a_tap_like_any_other(
    taps: list[CountedTap], direction: int, assurance: int
) -> None:
    before = fold(taps)
    plain = a_tap(50, direction, minutes=60 * 60, journal=4, assurance=assurance)
    as_repeat, as_tap = fold([*taps, structs.replace(plain, decision=REPEAT)]), fold([*taps, plain])
    assert as_repeat is not None
    assert (as_repeat.last_journal, as_repeat.last_seq, as_repeat.last_direction) == (4, 50, direction)
    agrees = before is not None and before.state == (INSIDE if direction == IN else OUTSIDE)
    assert what_is_said(as_repeat) == what_is_said(before if agrees else as_tap)


@pytest.mark.promise("INC-01")
def test_in_again_at_the_first_gate_after_an_exit_at_another_within_the_minute_is_inside() -> None:
    """Mutant: repeats are left out. The first gate cannot know of the exit, and calls the second entry a repeat."""
    state = fold([a_tap(1, IN), a_tap(1, OUT, minutes=0.3, journal=2), a_tap(2, IN, minutes=0.6, decision=REPEAT)])
    assert state is not None
    assert (state.state, state.doubts, state.since_at) == (INSIDE, 0, T0 + timedelta(minutes=0.6))


@pytest.mark.parametrize(("assurance", "expected"), [(3, (OUTSIDE, 0)), (0, (INSIDE, DOUBT_EXIT_WEAK))])
def test_out_again_after_an_entry_at_another_gate_leaves_if_it_is_proven_as_well(
    assurance: int, expected: tuple[int, int]
) -> None:
    out = a_tap(1, OUT, assurance=assurance)
    again = a_tap(2, OUT, minutes=0.6, decision=REPEAT, assurance=assurance)
    state = fold([out, a_tap(1, IN, minutes=0.3, journal=2), again])
    assert state is not None
    assert (state.state, state.doubts) == expected


def day(*hours: float, missed: tuple[float, ...] = ()) -> State:
    """Fold taps at a reader without a direction; hours count from the first day's 07:00. Missed ones are left out."""
    taps = [a_tap(seq, TAP, minutes=hour * 60) for seq, hour in enumerate(hours, start=1) if hour not in missed]
    state = fold(taps)
    assert state is not None
    return state


@pytest.mark.promise("INC-01")
def test_who_comes_in_the_next_morning_after_a_missed_exit_is_inside() -> None:
    """Mutant: the shift is counted from the last entry, here of the evening before, and the morning's is its exit."""
    day_and_overtime = (0, 11, 12, 14)
    assert day(*day_and_overtime).state == OUTSIDE
    next_morning = day(*day_and_overtime, 23.5, missed=(14,))
    assert (next_morning.state, next_morning.doubts) == (INSIDE, DOUBT_EXIT_MISSING)
    assert day(*day_and_overtime, 23.5, 34, missed=(14,)).state == OUTSIDE, "and leaves in the evening"


@pytest.mark.promise("INC-01")
def test_a_day_longer_than_a_shift_leaves_a_doubt_and_the_next_day_is_right() -> None:
    assert day(0, 11, 13, 15).state == INSIDE, (
        "beyond a shift's length a tap without a direction is no proof of leaving"
    )
    assert day(0, 11, 13, 15, 24).state == INSIDE
    assert day(0, 11, 13, 15, 24, 35).state == OUTSIDE


def test_a_night_shift_ends_in_the_morning_and_begins_again_in_the_evening() -> None:
    assert [day(*hours).state for hours in [(13,), (13, 23), (13, 23, 37), (13, 23, 37, 47)]] == [
        INSIDE, OUTSIDE, INSIDE, OUTSIDE,
    ]  # fmt: skip


def test_a_shift_begins_after_a_rest_and_goes_on_after_a_break() -> None:
    began = [day(*hours).shift_at - T0 for hours in [(0, 5, 6), (0, 10, 18), (0, 10, 17.9)]]
    assert began == [timedelta(0), timedelta(hours=18), timedelta(0)]


@pytest.mark.promise("DUR-05")
def test_one_more_tap_is_taken_alone_only_where_it_surely_comes_last() -> None:
    """Mutants: a tap of the same instant at another gate, or an earlier number of the same, is stepped alone."""
    entry = a_tap(5, IN, minutes=60)
    state = fold([entry])
    assert advance(None, entry) == state, "an unknown past is an empty one"
    assert advance(state, a_tap(5, OUT, minutes=90)) is None, "the same number again"
    assert advance(state, a_tap(4, OUT, minutes=90)) is None, "an earlier number, whatever its clock says"
    assert advance(state, a_tap(1, OUT, minutes=60, journal=2)) is None, (
        "the same instant elsewhere: the journals' names decide"
    )
    assert advance(state, a_tap(1, OUT, minutes=59, journal=2)) is None
    for later in (a_tap(6, OUT, minutes=90), a_tap(6, OUT, minutes=30), a_tap(1, OUT, minutes=61, journal=2)):
        assert advance(state, later) == fold([entry, later]), later
