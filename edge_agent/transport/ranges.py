"""Sets of sequence numbers as sorted, disjoint ranges, both ends included."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Ranges:
    """A set of whole numbers that holds long runs cheaply."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Put `first` … `last` into the set; an empty range (`last < first`) changes nothing."""
        if last < first:
            return
        low = bisect_left(self._last, first - 1)
        high = bisect_right(self._first, last + 1)
        if low < high:
            first = min(first, self._first[low])
            last = max(last, self._last[high - 1])
        self._first[low:high] = [first]
        self._last[low:high] = [last]

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self._last, number)
        return place < len(self._last) and self._first[place] <= number

    def covers(self, first: int, last: int) -> bool:
        """Whether every number of `first` … `last` is in the set."""
        place = bisect_left(self._last, first)
        return place < len(self._last) and self._first[place] <= first and last <= self._last[place]

    def lowest_gap(self, first: int, last: int) -> tuple[int, int] | None:
        """Return the lowest run inside `first` … `last` that is not in the set, or None when all is."""
        place = bisect_left(self._last, first)
        if place < len(self._last) and self._first[place] <= first:
            first = self._last[place] + 1
            place += 1
        if first > last:
            return None
        until = self._first[place] - 1 if place < len(self._first) else last
        return first, min(until, last)

    def highest_gap(self, first: int, last: int) -> tuple[int, int] | None:
        """Return the highest run inside `first` … `last` that is not in the set, or None when all is."""
        place = bisect_right(self._first, last) - 1
        if place >= 0 and self._last[place] >= last:
            last = self._first[place] - 1
            place -= 1
        if first > last:
            return None
        since = self._last[place] + 1 if place >= 0 else first
        return max(since, first), last

    def as_list(self) -> list[tuple[int, int]]:
        """Return the ranges in order."""
        return list(zip(self._first, self._last, strict=True))
