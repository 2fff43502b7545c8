"""A feed's cursor, purely: whatever a journal holds and however it grows, each record is given once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.attendance.feed import BadFeedCursor, Ranges, read_cursor, together, up_to, without, write_cursor

numbers = st.sets(st.integers(1, 40))


def ranges(held: set[int]) -> Ranges:
    return together(*[((seq, seq),) for seq in sorted(held)])


def members(held: Ranges) -> set[int]:
    return {seq for first, last in held for seq in range(first, last + 1)}


@given(numbers, numbers, st.integers(0, 41))
def test_ranges_are_sets(held: set[int], taken: set[int], seq: int) -> None:
    """Mutant: two ranges with a number missing between them are joined."""
    assert members(ranges(held)) == held
    assert members(without(ranges(held), ranges(taken))) == held - taken
    assert members(up_to(ranges(held), seq)) == {one for one in held if one <= seq}
    assert members(together(ranges(held), ranges(taken))) == held | taken


@given(st.dictionaries(st.integers(1, 2**40), numbers.filter(bool), max_size=5))
def test_a_cursor_reads_back_as_it_was_written(held: dict[int, set[int]]) -> None:
    given = {journal: ranges(some) for journal, some in held.items()}
    assert read_cursor(write_cursor(given)) == given


@pytest.mark.parametrize(
    "text", ["x", "3", "3.", "3.5-1", "3.1-2.2", "3.1-", "3.1-2-3", "3.1_", "_", "3.99999999999999999999"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadFeedCursor, match="pass on the last one"):
        read_cursor(text)
