"""Rules of the worker's own view, pure: codes and their limits, a card held as asked, days per employer, deadlines."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from central.kit.errors import Invalid
from central.kit.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=10)
DESK_LIFE = timedelta(hours=1)
DESK_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""No two marks of it look alike."""
DESK_CHARS = 8
TYPED_CHARS_MAX = 40

CODES_A_NUMBER_MAX = 6
CODES_FROM_ONE_PLACE_MAX = 3
"""Asked for one number from one address: a stranger elsewhere cannot use them up for its owner."""
CODES_AN_ADDRESS_MAX = 40
"""A whole crew may share one address."""
TEXTS_A_DAY_MAX = 12
"""To one telephone, whoever asks: beyond it the desk and the card still open."""
DAY = timedelta(days=1)
TRIES_A_TICKET_MAX = 5
TRIES_A_NUMBER_MAX = 20
"""All within `throttle.WINDOW`."""

HOLDS_MIN, HOLDS_MAX = 4, 6
"""How often a card is held when it is to open a session: nobody does so by passing a gate."""
HOLDS_WITHIN = timedelta(minutes=1)
HOLD_PAUSE = timedelta(seconds=20)
HOLD_ASSURANCE_MIN = 2
"""A copied card number must not open somebody's days (CRD-01)."""
CLOCK_SLACK = timedelta(seconds=10)

_NUMBER = re.compile(r"[A-Z0-9-]{1,20}")
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
ZONE = ZoneInfo("Asia/Seoul")


def worker_number(typed: str) -> str:
    """Return a number as it is registered. Raises `Invalid`."""
    number = "".join(typed[:TYPED_CHARS_MAX].split()).upper()
    if _NUMBER.fullmatch(number) is None:
        raise Invalid(sentence("Enter your worker number: letters, digits and hyphens."))
    return number


def plain_code(typed: str) -> str:
    """Return a code without what people type between its marks."""
    return "".join(mark for mark in typed[:TYPED_CHARS_MAX].upper() if mark.isascii() and mark.isalnum())


def code_mark(secret: str, code: str) -> str:
    """Return what is kept of a code: without the browser's ticket, trying all million of them tells nothing."""
    return hashlib.sha256(f"{secret}\n{code}".encode()).hexdigest()


class Hold(NamedTuple):
    """A card that was read, as far as it proves who holds it."""

    terminal_id: int
    occurred_at: datetime
    received_at: datetime
    assurance: int
    authentic: bool
    """Accepted, read again, or barred: the card was the worker's own, whatever the gate said to it."""


def held_as_asked(holds: Iterable[Hold], *, times: int, since: datetime) -> bool:
    """Whether a card was held exactly so often in a row at one terminal, within a minute, after it was asked for."""
    at: dict[int, list[datetime]] = {}
    for one in holds:
        fresh = one.received_at >= since and one.occurred_at >= since - CLOCK_SLACK
        if fresh and one.authentic and one.assurance >= HOLD_ASSURANCE_MIN:
            at.setdefault(one.terminal_id, []).append(one.occurred_at)
    bursts = (burst for mine in at.values() for burst in _bursts(sorted(mine)))
    return any(len(burst) == times and burst[-1] - burst[0] <= HOLDS_WITHIN for burst in bursts)


def _bursts(instants: Sequence[datetime]) -> list[list[datetime]]:
    """Split instants where a longer pause lies between them: whoever passed the gate before has begun anew."""
    found: list[list[datetime]] = []
    for at in instants:
        if not found or at - found[-1][-1] > HOLD_PAUSE:
            found.append([])
        found[-1].append(at)
    return found


# -- days


class OwnDay(NamedTuple):
    """One day at one site, with who employed the worker there that day."""

    on: date
    site: str
    site_name: str
    timezone: str
    employer: str
    """Empty: nobody on record."""
    first_in_at: datetime | None
    last_out_at: datetime | None
    worked: bool
    """As `attendance.days` says it, which is how the contractor's month counts, too."""
    taps: int
    doubts: tuple[str, ...]


class Spell(NamedTuple):
    """An employment, as far as it tells whose day a day was."""

    site: str
    employer_id: int
    employer: str
    from_on: date
    until_on: date | None


def employer_on(spells: Sequence[Spell], *, site: str, on: date) -> Spell | None:
    """Return the employment that held at a site on a day."""
    for one in spells:
        if one.site == site and one.from_on <= on and (one.until_on is None or on < one.until_on):
            return one
    return None


def totals(days: Iterable[OwnDay]) -> list[tuple[str, int]]:
    """Count days worked per employer, most first: a day at two sites of one employer is one day."""
    found: dict[str, set[date]] = {}
    for day in days:
        if day.worked:
            found.setdefault(day.employer, set()).add(day.on)
    return sorted(((name, len(mine)) for name, mine in found.items()), key=lambda one: (-one[1], one[0]))


# -- objections


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each side of an objection has, in days, from a date on."""

    answer_days: int
    insist_days: int
    decide_days: int
    remind_days: int
    years_back: int


@cache
def _dated_deadlines() -> list[tuple[date, Deadlines]]:
    rows = json.loads((Path(__file__).parent / "deadlines.json").read_text())
    return sorted(
        (
            date.fromisoformat(row["valid_from"]),
            Deadlines(**{name: row[name] for name in Deadlines.__dataclass_fields__}),
        )
        for row in rows
    )


def deadlines(on: date) -> Deadlines:
    """Return the deadlines that hold on a day."""
    return [rule for since, rule in _dated_deadlines() if since <= on][-1]


def due(days: int, *, today: date) -> datetime:
    """Return when an answer is late that is due within so many days: at the end of the last one in Korea."""
    return datetime.combine(today + timedelta(days=days + 1), time(), tzinfo=ZONE)


def days_for(state: str, rule: Deadlines) -> int | None:
    """Return how many days somebody has for the next step from a state; None where nobody has to do anything."""
    return {"open": rule.answer_days, "refused": rule.insist_days, "insisted": rule.decide_days}.get(state)


def check_objection(*, on_day: date, words: str, first_in: str, last_out: str, today: date) -> None:
    """Pass when a day may be objected to so, or raise `Invalid`."""
    if not (words or first_in or last_out):
        raise Invalid(sentence("Write what is wrong, or when you came or left."))
    if any(one and CLOCK.fullmatch(one) is None for one in (first_in, last_out)):
        raise Invalid(sentence("Write a time like 07:30."))
    if not may_object_to(on_day, today=today):
        raise Invalid(sentence("This day is too long ago, or still to come."))


def may_object_to(day: date, *, today: date) -> bool:
    """Whether a day is neither too long ago nor still to come."""
    earliest = today.replace(year=today.year - deadlines(today).years_back, day=min(today.day, 28))
    return earliest <= day <= today
