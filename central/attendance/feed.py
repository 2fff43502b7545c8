"""News of a site's workers for programs outside: what was stored since they last asked, each tap once.

A cursor says what its holder has, as a terminal's `ack` does: for each journal the number without a gap below it, and
the ranges beyond. So nothing is asked of the hot path, a late tap is never behind the cursor, and nothing comes twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from central.attendance.month_repository import COLUMNS, read_taps
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg

    from central.attendance.month_repository import WorkersTap

    Connection = psycopg.Connection[Any]

NOW = "now"
"""In place of a cursor: nothing of what is stored already."""
CURSOR_CHARS_MAX = 4_000
JOURNALS_MAX = 400
_JOURNAL = re.compile(r"(\d{1,18})((?:\.\d{1,18}(?:-\d{1,18})?)+)")

Ranges = tuple[tuple[int, int], ...]
"""Sorted, apart, both ends included."""


class BadFeedCursor(Invalid):
    """The cursor was not made by this server."""

    code = "bad_cursor"


@dataclass(frozen=True, slots=True)
class News:
    """What was stored since the cursor; `cursor` goes on after it. More follows when `more`."""

    taps: tuple[WorkersTap, ...]
    cursor: str
    more: bool


def write_cursor(held: Mapping[int, Ranges]) -> str:
    """Write ranges by journal: `3.1-500_4.1-20.22-40`. Nothing held at all is `0.0`."""
    parts = [
        f"{journal}." + ".".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
        for journal, ranges in sorted(held.items())
        if ranges
    ]
    return "_".join(parts) or "0.0"


def read_cursor(text: str) -> dict[int, Ranges]:
    """Read what `write_cursor` wrote; raise `BadFeedCursor`."""
    held: dict[int, Ranges] = {}
    for part in text.split("_") if text else ():
        found = _JOURNAL.fullmatch(part)
        if found is None or len(held) >= JOURNALS_MAX or len(text) > CURSOR_CHARS_MAX:
            raise BadFeedCursor("the cursor cannot be used: pass on the last one that you were given, as it is")
        ends = [tuple(int(end) for end in one.split("-")) for one in found[2].split(".")[1:]]
        ranges = tuple((pair[0], pair[-1]) for pair in ends)
        if any(a > b for a, b in ranges) or any(b >= c for (_, b), (c, _) in pairwise(ranges)):
            raise BadFeedCursor("the cursor cannot be used: pass on the last one that you were given, as it is")
        held[int(found[1])] = ranges
    held.pop(0, None)
    return held


def without(held: Ranges, taken: Ranges) -> Ranges:
    """Return what of `held` is not in `taken`."""
    left: list[tuple[int, int]] = []
    for first, last in held:
        at = first
        for a, b in taken:
            if b < at or a > last:
                continue
            if a > at:
                left.append((at, a - 1))
            at = max(at, b + 1)
        if at <= last:
            left.append((at, last))
    return tuple(left)


def up_to(held: Ranges, seq: int) -> Ranges:
    """Return what of `held` is not above `seq`."""
    return tuple((a, min(b, seq)) for a, b in held if a <= seq)


def together(*some: Ranges) -> Ranges:
    """Join ranges; those that touch become one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(one for ranges in some for one in ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


_HELD = """
SELECT j.id, j.durable, j.ahead FROM attendance_journal j JOIN registry_terminal t ON t.id = j.terminal_id
WHERE t.site_id = %s ORDER BY j.id
"""
_NEW = f"""
SELECT {COLUMNS}
FROM unnest(%(journals)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[]) r (journal, first, last)
JOIN attendance_event e ON e.journal = r.journal AND e.seq BETWEEN r.first AND r.last
JOIN attendance_journal j ON j.id = e.journal JOIN registry_terminal t ON t.id = e.terminal_id
WHERE e.site_id = %(site)s AND e.direction IS NOT NULL AND e.worker_id IS NOT NULL
ORDER BY e.journal, e.seq LIMIT %(rows)s
"""  # noqa: S608 - constants only


def held_now(connection: Connection, *, site_id: int) -> dict[int, Ranges]:
    """Read what the database holds of each journal of a site."""
    held: dict[int, Ranges] = {}
    for journal, durable, ahead in connection.execute(_HELD, (site_id,)):
        beyond = tuple(zip(ahead[::2], ahead[1::2], strict=True))
        held[journal] = together(((1, durable),) if durable else (), beyond)
    return held


def news(connection: Connection, *, site_id: int, cursor: str, rows_max: int) -> News:
    """Read what was stored at a site since the cursor, journal by journal, in one snapshot; an empty one is the start.

    The whole site's: whose taps somebody may have is for the caller to choose.
    """
    held = held_now(connection, site_id=site_id)
    if cursor == NOW:
        return News((), write_cursor(held), more=False)
    taken = {journal: ranges for journal, ranges in read_cursor(cursor).items() if journal in held}
    due = [(journal, a, b) for journal, ranges in held.items() for a, b in without(ranges, taken.get(journal, ()))]
    if not due:
        return News((), write_cursor(held), more=False)
    journals, firsts, lasts = (list(column) for column in zip(*due, strict=True))
    given = {"site": site_id, "journals": journals, "firsts": firsts, "lasts": lasts, "rows": rows_max + 1}
    found = list(read_taps(connection.execute(_NEW, given)))
    if len(found) <= rows_max:
        return News(tuple(found), write_cursor(held), more=False)
    shown = found[:rows_max]
    return News(tuple(shown), write_cursor(_after(held, taken, shown)), more=True)


def _after(held: Mapping[int, Ranges], taken: Mapping[int, Ranges], shown: Sequence[WorkersTap]) -> dict[int, Ranges]:
    """Say what somebody has who had `taken` and was given these: journals before the last one wholly."""
    last = shown[-1].counted
    reached = _reached(held, last.journal, last.seq)
    return {journal: together(taken.get(journal, ()), reached.get(journal, ())) for journal in held}


def _reached(held: Mapping[int, Ranges], journal: int, seq: int) -> dict[int, Ranges]:
    whole: Iterable[int] = (one for one in held if one < journal)
    return {one: held[one] for one in whole} | {journal: up_to(held[journal], seq)}
