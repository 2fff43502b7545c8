"""Ranges of sequence numbers behave as the set of numbers that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.transport.ranges import Ranges

pairs = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1] - 1)))


@given(ranges=pairs, first=st.integers(1, 80), length=st.integers(0, 30))
def test_ranges_behave_like_a_set_of_numbers(ranges: list[tuple[int, int]], first: int, length: int) -> None:
    held = Ranges(ranges)
    model = {number for low, high in ranges for number in range(low, high + 1)}
    last = first + length
    window = range(first, last + 1)
    gaps = [number for number in window if number not in model]
    assert {number for number in range(1, 90) if number in held} == model
    assert held.covers(first, last) == (not gaps)
    low, high = held.lowest_gap(first, last), held.highest_gap(first, last)
    if not gaps:
        assert low is None
        assert high is None
        return
    assert low is not None
    assert high is not None
    assert low[0] == gaps[0]
    assert high[1] == gaps[-1]
    assert all(number in gaps for number in (*range(low[0], low[1] + 1), *range(high[0], high[1] + 1)))
    assert low[1] == last or low[1] + 1 in model
    assert high[0] == first or high[0] - 1 in model
    listed = held.as_list()
    assert all(listed[number][1] + 1 < listed[number + 1][0] for number in range(len(listed) - 1))
