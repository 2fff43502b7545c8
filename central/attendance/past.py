"""So much of what lies before a time as a fold of days from then on needs, and no more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from central.attendance.days import begins_by

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from central.attendance.presence import CountedTap

Tap = TypeVar("Tap")

LOOK_BACKS = (timedelta(days=2), timedelta(days=9), timedelta(days=63))
"""A night, for most; a week with its day off, for readers without a direction; nine weeks, for who had none."""


def with_past(
    read: Callable[[datetime, Collection[int] | None], dict[int, list[Tap]]],
    *,
    of: Collection[int] | None,
    from_at: datetime,
    counted: Callable[[Tap], CountedTap],
) -> dict[int, list[Tap]]:
    """Read taps so that what a fold says from `from_at` on is what it would say of all taps of all time.

    `read` gives the taps since a time by worker or by site, of some of these (None: all). Only those whose fold cannot
    begin yet are read again, from further back. The terminals' clocks may not have been set back by hours just there.
    """
    found: dict[int, list[Tap]] = {}
    for back in LOOK_BACKS:
        since = from_at - back
        found |= read(since, of)
        of = [
            key
            for key in (found if of is None else of)
            if not begins_by(map(counted, found.get(key, ())), since=since, at=from_at)
        ]
        if not of:
            break
    return found
