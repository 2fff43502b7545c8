"""The fleet: what is wrong with each terminal, worst first. Pure.

Only a terminal that serves, or should, is troubled: one that is still being installed waits, one removed is left out.
One under repair does both: it waits, and until it is heard again nobody knows who passed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from central.attendance.headcount import Freshness, freshness
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROWS_A_PAGE = 50
FREE_BYTES_LOW = 500_000_000
"""Less free disk than this is told: a full one refuses taps (DUR-07)."""
CLOCK_OFF_MAX = timedelta(minutes=1)
BEHIND_RECORDS_MAX = 100
"""More records on their way than this is told; fewer are a terminal at work."""

TROUBLES = ("silent", "reader_lost", "faulty", "stale", "disk_low", "clock_off", "behind", "waiting")
"""Worst first. `silent`: nobody knows who passed. `reader_lost`: no card is read. `waiting`: not yet in service."""
FINE = "fine"
STATES = ("registered", "installed", "tested", "in_service", "faulty", "removed")
SORTS = ("worst", "site", "behind", "heard", "version")
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One terminal: where it is, and what it last said of itself."""

    terminal_id: int
    site: str
    """Code of its site."""
    site_name: str
    timezone: str
    code: str
    name: str
    state: str
    in_service: bool
    """Whether its silence matters."""
    online: bool
    heard_at: datetime | None
    behind: int
    """Records it is known to hold that the database does not."""
    clock_state: str
    clock_offset_ms: int | None
    """Terminal time minus central time at its last heartbeat."""
    free_bytes: int | None
    readers: int
    """Readers that it reports."""
    readers_lost: int
    version: str
    """Of its agent; empty when it never said."""
    last_tap_at: datetime | None

    @property
    def label(self) -> str:
        """How people call it."""
        return self.name or self.code


@dataclass(frozen=True, slots=True)
class Judged:
    """A terminal with what is wrong with it, worst first."""

    row: FleetRow
    freshness: Freshness
    troubles: tuple[str, ...]

    @property
    def worst(self) -> str:
        """The worst trouble, or `fine`."""
        return self.troubles[0] if self.troubles else FINE


def judge(row: FleetRow, *, as_of: datetime) -> Judged:
    """Say what is wrong with a terminal."""
    fresh = freshness(online=row.online, heard_at=row.heard_at, as_of=as_of)
    silent = fresh in {"offline", "never"}
    found = {"faulty": row.state == "faulty", "waiting": row.state in {"registered", "installed", "tested"}}
    if row.in_service:
        found |= {
            "silent": silent,
            "stale": fresh == "stale",
            "behind": row.behind > BEHIND_RECORDS_MAX,
            # What it said of itself before it fell silent is no news.
            "reader_lost": not silent and row.readers_lost > 0,
            "disk_low": not silent and row.free_bytes is not None and row.free_bytes < FREE_BYTES_LOW,
            "clock_off": not silent and _clock_off(row),
        }
    return Judged(row, fresh, tuple(name for name in TROUBLES if found.get(name)))


def _clock_off(row: FleetRow) -> bool:
    offset = timedelta(milliseconds=abs(row.clock_offset_ms or 0))
    return row.clock_state == "unset" or offset > CLOCK_OFF_MAX


@dataclass(frozen=True, slots=True)
class FleetAsked:
    """What somebody asked the fleet for; everything empty shows all but the removed, worst first."""

    q: str = ""
    """Part of a site's or a terminal's name or code."""
    state: str = ""
    trouble: str = ""
    sort: str = "worst"
    start: int = 0
    """How many rows were shown on the pages before."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("state", self.state, STATES),
            ("trouble", self.trouble, (*TROUBLES, FINE)),
            ("order", self.sort, SORTS),
        ):
            if value and value not in known:
                raise Invalid(f"there is no {name} {value!r} of terminals: choose one of {', '.join(known)}")

    @property
    def filtered(self) -> bool:
        """Whether not all are asked for."""
        return bool(self.q or self.state or self.trouble)

    def query(self, **changed: object) -> str:
        """Write the address's query, with changes; another filter or order begins at the first page."""
        facts: dict[str, object] = {"q": self.q, "state": self.state, "trouble": self.trouble}
        if self.sort != SORTS[0]:
            facts["sort"] = self.sort
        return urlencode({name: value for name, value in (facts | changed).items() if value not in {"", 0}})


@dataclass(frozen=True, slots=True)
class Fleet:
    """A page of the fleet. `tallies`: how many of those that fit `q` and `state` have which trouble as their worst."""

    rows: Sequence[Judged]
    total: int
    tallies: dict[str, int]
    following: int
    """Where the next page starts; 0 at the end."""


def look_over(
    rows: Iterable[FleetRow], asked: FleetAsked, *, as_of: datetime, rows_max: int | None = ROWS_A_PAGE
) -> Fleet:
    """Judge, filter and sort the fleet, and cut a page (None: all of it)."""
    needle = asked.q.strip().casefold()
    fitting = [
        judge(row, as_of=as_of)
        for row in rows
        if (row.state == asked.state if asked.state else row.state != "removed")
        and (not needle or needle in f"{row.site}\n{row.site_name}\n{row.code}\n{row.name}".casefold())
    ]
    chosen = [
        one for one in fitting if not asked.trouble or one.worst == asked.trouble or asked.trouble in one.troubles
    ]
    chosen.sort(key=_KEYS[asked.sort])
    end = len(chosen) if rows_max is None else asked.start + rows_max
    counts = Counter(one.worst for one in fitting)
    tallies = {name: counts[name] for name in (*TROUBLES, FINE) if counts[name]}
    return Fleet(chosen[asked.start : end], len(chosen), tallies, end if end < len(chosen) else 0)


def _place(one: Judged) -> tuple[str, str]:
    return one.row.site, one.row.code


_RANK = {name: rank for rank, name in enumerate((*TROUBLES, FINE))}
_KEYS: dict[str, Callable[[Judged], tuple[object, ...]]] = {
    "worst": lambda one: (
        _RANK[one.worst],
        -len(one.troubles),
        one.row.heard_at or _EARLIEST,
        *_place(one),
    ),
    "site": _place,
    "behind": lambda one: (-one.row.behind, *_place(one)),
    "heard": lambda one: (one.row.heard_at or _EARLIEST, *_place(one)),
    "version": lambda one: (one.row.version, *_place(one)),
}
