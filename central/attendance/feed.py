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
    from collections.abc import Iterable, Mapping

    import psycopg

    from central.attendance.month_repository import WorkersTap

    Connection = psycopg.Connection[Any]

NOW = "now"
"""In place of a cursor: nothing of what is stored already."""
CURSOR_CHARS_MAX = 6_000
"""It travels in a URL or a header, of which common proxies take 8,000 characters."""
AHEAD_CHARS_MAX = 5_000
"""A cursor longer than this takes nothing more from beyond a gap, so that there is room for what comes in order."""
RANGE_CHARS_MAX = 38
"""Two numbers, a hyphen and a dot: as much longer is a cursor that ends inside what was to be given."""
JOURNALS_MAX = 400
_JOURNAL = re.compile(r"(\d{1,18})((?:\.\d{1,18}(?:-\d{1,18})?)+)")

Ranges = tuple[tuple[int, int], ...]
"""Sorted, apart, both ends included."""
Piece = tuple[int, int, int]
"""A journal, and the first and last of its numbers that somebody lacks."""


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
    return "_".join(_part(journal, ranges) for journal, ranges in sorted(held.items()) if ranges) or "0.0"


def _part(journal: int, ranges: Ranges) -> str:
    return f"{journal}." + ".".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


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


def common(held: Ranges, taken: Ranges) -> Ranges:
    """Return what of `held` is in `taken`."""
    return without(held, without(held, taken))


def together(*some: Ranges) -> Ranges:
    """Join ranges; those that touch become one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(one for ranges in some for one in ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def sayable(held: Mapping[int, Ranges], taken: Mapping[int, Ranges]) -> list[Piece]:
    """Choose what of `held` and not of `taken` can be given: what a cursor can say beside `taken`, in order.

    What cannot waits, and is not lost: each gap that closes makes the cursor shorter. However much of what was chosen
    is given, from its beginning, `read_cursor` takes what says so.
    """
    due = [(journal, a, b) for journal, ranges in held.items() for a, b in without(ranges, taken.get(journal, ()))]
    chosen: list[Piece] = []
    said, chars = dict(taken), len(write_cursor(taken))
    for ahead, journal, a, b in sorted((a > held[journal][0][1], journal, a, b) for journal, a, b in due):
        before = said.get(journal, ())
        after = together(before, ((a, b),))
        longer = len(_part(journal, after)) - (len(_part(journal, before)) if before else -len("_"))
        chars_max = AHEAD_CHARS_MAX if ahead else CURSOR_CHARS_MAX - RANGE_CHARS_MAX
        if (longer <= 0 or chars + longer <= chars_max) and (before or len(said) < JOURNALS_MAX):
            chosen.append((journal, a, b))
            said[journal] = after
            chars += max(longer, 0)
    return sorted(chosen)


def having(taken: Mapping[int, Ranges], pieces: Iterable[Piece]) -> dict[int, Ranges]:
    """Say what somebody has who had `taken` and was given these."""
    held = dict(taken)
    for journal, a, b in pieces:
        held[journal] = together(held.get(journal, ()), ((a, b),))
    return held


def through(pieces: Iterable[Piece], journal: int, seq: int) -> list[Piece]:
    """Return what of sorted pieces comes no later than a record."""
    return [(one, a, min(b, seq) if one == journal else b) for one, a, b in pieces if (one, a) <= (journal, seq)]


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
    said = {} if cursor == NOW else read_cursor(cursor)
    both = {journal: common(ranges, said[journal]) for journal, ranges in held.items() if journal in said}
    taken = {journal: ranges for journal, ranges in both.items() if ranges}
    due = sayable(held, taken)
    after = write_cursor(having(taken, due))
    if cursor == NOW or not due:
        return News((), after, more=False)
    journals, firsts, lasts = (list(column) for column in zip(*due, strict=True))
    asked = {"site": site_id, "journals": journals, "firsts": firsts, "lasts": lasts, "rows": rows_max + 1}
    found = list(read_taps(connection.execute(_NEW, asked)))
    if len(found) <= rows_max:
        return News(tuple(found), after, more=False)
    shown = found[:rows_max]
    last = shown[-1].counted
    return News(tuple(shown), write_cursor(having(taken, through(due, last.journal, last.seq))), more=True)
