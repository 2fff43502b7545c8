"""A feed's cursor, purely: whatever a journal holds and however it grows, each record is given once."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.attendance.feed import (
    AHEAD_CHARS_MAX,
    CURSOR_CHARS_MAX,
    JOURNALS_MAX,
    BadFeedCursor,
    Ranges,
    common,
    having,
    read_cursor,
    sayable,
    through,
    together,
    without,
    write_cursor,
)

numbers = st.sets(st.integers(1, 40))


def ranges(held: set[int]) -> Ranges:
    return together(*[((seq, seq),) for seq in sorted(held)])


def members(held: Ranges) -> set[int]:
    return {seq for first, last in held for seq in range(first, last + 1)}


@given(numbers, numbers)
def test_ranges_are_sets(held: set[int], taken: set[int]) -> None:
    """Mutant: two ranges with a number missing between them are joined."""
    assert members(ranges(held)) == held
    assert members(without(ranges(held), ranges(taken))) == held - taken
    assert members(common(ranges(held), ranges(taken))) == held & taken
    assert members(together(ranges(held), ranges(taken))) == held | taken


@given(st.dictionaries(st.integers(1, 2**40), numbers.filter(bool), max_size=5))
def test_a_cursor_reads_back_as_it_was_written(held: dict[int, set[int]]) -> None:
    written = {journal: ranges(some) for journal, some in held.items()}
    assert read_cursor(write_cursor(written)) == written


def fits(cursor: str) -> bool:
    return len(cursor) <= CURSOR_CHARS_MAX and read_cursor(cursor) is not None


@given(st.lists(st.dictionaries(st.integers(1, 9), numbers.filter(bool), max_size=5), max_size=5))
def test_whoever_goes_on_with_the_cursor_gets_each_record_once(days: list[dict[int, set[int]]]) -> None:
    """Mutant: what was not given is in the cursor."""
    held: dict[int, Ranges] = {}
    taken: dict[int, Ranges] = {}
    seen: list[tuple[int, int]] = []
    for day in days:
        held = {one: together(held.get(one, ()), ranges(day.get(one, set()))) for one in {*held, *day}}
        pieces = sayable(held, taken)
        seen += [(journal, seq) for journal, a, b in pieces for seq in range(a, b + 1)]
        taken = read_cursor(write_cursor(having(taken, pieces)))
    assert sorted(seen) == sorted((one, seq) for one, some in held.items() for seq in members(some))


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.sampled_from([1, 40, 395]), st.integers(1, 17))
def test_however_torn_the_journals_are_the_next_question_is_understood(some: Random, count: int, digits: int) -> None:
    """Mutant: everything held is given, whatever a cursor can say."""
    names = [some.randrange(1, 10**digits) for _ in range(count)]
    held = {name: ranges({some.randrange(1, 10**digits) for _ in range(600 // count)}) for name in names}
    taken = {name: common(mine, ranges({some.randrange(1, 10**digits)})) for name, mine in held.items()}
    taken = {name: mine for name, mine in taken.items() if mine}
    pieces = sayable(held, taken)
    for journal, a, b in some.sample(pieces, min(len(pieces), 12)):
        for seq in {a, (a + b) // 2, b}:
            assert fits(write_cursor(having(taken, through(pieces, journal, seq))))
    closed = {name: ((1, mine[-1][1]),) for name, mine in held.items()}
    after = having(taken, pieces)
    rest = sayable(closed, after)
    assert fits(write_cursor(having(after, rest)))
    if count < JOURNALS_MAX // 2 or digits < 6:
        assert having(after, rest) == closed, "what waited comes when the gaps have closed"


def test_a_page_may_end_inside_a_piece_that_makes_a_full_cursor_shorter() -> None:
    """Mutant: an unfinished piece has no room left."""
    far, last = 10**17, 10**6
    held = {name: ((1, 10**9 if name < 1_330 else 1),) for name in range(1_000, 1_390)} | {last: ((1, far + 5),)}
    taken = {last: ((1, 5), (far, far + 5))}
    pieces = sayable(held, taken)
    assert pieces[-1] == (last, 6, far - 1)
    assert fits(write_cursor(having(taken, through(pieces, last, far - 2))))


def test_a_cursor_names_no_more_journals_than_are_read() -> None:
    """Mutant: as many as there are."""
    pieces = sayable(dict.fromkeys(range(1, 2 * JOURNALS_MAX), ((1, 1),)), {})
    assert len(pieces) == JOURNALS_MAX
    assert fits(write_cursor(having({}, pieces)))


def test_what_comes_in_order_has_room_however_much_lies_beyond_gaps() -> None:
    """Mutant: what lies beyond a gap may fill the cursor, and the terminal's next tap is never given."""
    torn = {3: together(((1, 999),), *[((10**6 + 10 * n, 10**6 + 10 * n + 4),) for n in range(500)])}
    taken = having({}, sayable(torn, {}))
    assert AHEAD_CHARS_MAX - 40 <= len(write_cursor(taken)) <= AHEAD_CHARS_MAX
    later = {3: together(torn[3], ((1000, 1000),)), 4: ((1, 1),)}
    assert {(3, 1000, 1000), (4, 1, 1)} <= set(sayable(later, taken))


@pytest.mark.parametrize(
    "text", ["x", "3", "3.", "3.5-1", "3.1-2.2", "3.1-", "3.1-2-3", "3.1_", "_", "3.99999999999999999999"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadFeedCursor, match="pass on the last one"):
        read_cursor(text)
