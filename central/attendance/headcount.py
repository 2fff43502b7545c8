"""Who is inside, how sure that is, and what could still be missing: pure, from presence and what terminals said.

Nobody is dropped for age (INC-01): age and silence lower the confidence, never the count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

from central.attendance.timekeeping import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

Confidence = Literal["certain", "probable", "unknown"]
Freshness = Literal["fresh", "stale", "offline", "never", "out_of_service", "not_recorded"]
"""`out_of_service`: nobody passes it, only what it still holds counts. `not_recorded`: a look back at what was known;
what terminals had said by then is not kept."""
TROUBLED: frozenset[Freshness] = frozenset({"stale", "offline", "never"})
"""Somebody may have passed without the count knowing."""
Standing = Literal["inside", "visitor", "unknown_card", "refused"]

STAY_MAX = timedelta(hours=14)
"""Longer than a shift: an exit was probably missed."""
STALE_AFTER = timedelta(minutes=2)
OFFLINE_AFTER = timedelta(minutes=15)

OUTSIDE, INSIDE, REFUSED = 0, 1, 2
DOUBT_EXIT_MISSING, DOUBT_EXIT_WEAK, DOUBT_NO_ENTRY, DOUBT_EXIT_TIME = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Person:
    """One person who counts. `reasons` are codes that say why the confidence is not `certain`.

    Codes: over_14_hours, exit_terminal_silent, exit_terminal_stale, exit_terminal_backlog, no_exit_terminal,
    freshness_not_recorded, exit_missing_before_entry, exit_weaker_than_entry, exit_time_uncertain,
    entry_time_uncertain, card_has_no_holder, refused_at_gate.
    """

    person: str
    """`worker:{id}`, `card:{token}`, or `pass:{id}` for a visitor or driver."""
    worker_id: int | None
    name: str
    employer: str
    trade: str
    confidence: Confidence
    reasons: tuple[str, ...]
    since_at: datetime
    last_at: datetime
    last_zone: str
    last_terminal: str
    """Code of the terminal of the last tap."""
    assurance: int
    """How well the entry was proven: 0 to 3; -1 when the card failed authentication."""
    standing: Standing = "inside"
    since_error_min: int | None = 0
    """How many minutes `since_at` may be off: 0 less than one, None when nobody can say (TIM-01)."""
    last_error_min: int | None = 0
    """The same of `last_at`."""
    employer_id: int | None = None
    """The organization that employs them on the site on that day."""


@dataclass(frozen=True, slots=True)
class TerminalView:
    """A terminal of the site as the headcount sees it."""

    code: str
    name: str
    zone: str
    freshness: Freshness
    heard_at: datetime | None
    not_received_at_most: int | None
    """Records it is known to hold that the database does not; None when it is silent too long to say."""
    records_exits: bool


@dataclass(frozen=True, slots=True)
class Headcount:
    """The answer of `site_headcount`. `inside` = `certain` + `probable` + `unknown`, test cards excluded.

    It counts workers by their taps, and visitors and drivers by their day passes.

    `at_most` adds unknown cards inside, people refused at the gate, and records known to be on their way (none in a
    look back at what was known: how many there were then is not recorded). It is a bound only while `at_most_holds`.
    `people`: workers inside by name, then visitors, unknown cards, the refused; `standing` tells them apart.
    """

    site: str
    """Site code."""
    as_of: datetime
    inside: int
    certain: int
    probable: int
    unknown: int
    unknown_cards: int
    refused: int
    at_most: int
    terminals: tuple[TerminalView, ...]
    people: tuple[Person, ...]
    visitors: int = 0
    """How many of `inside` are visitors and drivers."""

    @property
    def unsaid(self) -> tuple[TerminalView, ...]:
        """The terminals of which it cannot be said what they hold."""
        return tuple(terminal for terminal in self.terminals if terminal.not_received_at_most is None)

    @property
    def at_most_holds(self) -> bool:
        """Whether nobody can be inside beyond `at_most`; else whoever passed an `unsaid` terminal is on top of it."""
        return not self.unsaid

    @property
    def not_received(self) -> int:
        """Records that terminals last said they hold and the database does not: part of `at_most`."""
        return self.at_most - len(self.people)


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor or driver who came in by a day pass and of whom nobody recorded that they left."""

    pass_id: int
    name: str
    company: str
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class PresenceView:
    """A presence row that is not `outside`, with who it is."""

    person: str
    worker_id: int | None
    state: int
    since_at: datetime
    entry_assurance: int
    doubts: int
    last_at: datetime
    last_terminal_id: int
    last_zone: str
    name: str = ""
    employer: str = ""
    trade: str = ""
    is_test: bool = False
    since_doubt: int = 0
    """As `presence.CountedTap.doubt`."""
    last_doubt: int = 0
    employer_id: int | None = None


@dataclass(frozen=True, slots=True)
class TerminalFacts:
    """What is known of one terminal that counts: in service, or holding records that the database does not."""

    terminal_id: int
    code: str
    name: str
    zone: str
    records_exits: bool
    online: bool
    heard_at: datetime | None
    outstanding: int
    """Records it said it holds that the database does not, at the last word from it."""
    recorded: bool = True
    """Whether this holds for the instant that is asked for."""
    in_service: bool = True
    """Whether its silence matters: people may pass it."""


def forgotten(terminal: TerminalFacts) -> TerminalFacts:
    """Take away what was said after the instant that is asked for: today's words say nothing of what was known then."""
    return replace(terminal, online=False, heard_at=None, outstanding=0, recorded=False)


def freshness_of(terminal: TerminalFacts, *, as_of: datetime) -> Freshness:
    """Say how recent a terminal's last word is. One that said it is offline is stale at once."""
    if not terminal.recorded:
        return "not_recorded"
    if not terminal.in_service:
        return "out_of_service"
    return freshness(online=terminal.online, heard_at=terminal.heard_at, as_of=as_of)


def freshness(*, online: bool, heard_at: datetime | None, as_of: datetime) -> Freshness:
    """Say how recent a last word is."""
    if heard_at is None:
        return "never"
    silent = as_of - heard_at
    if silent > OFFLINE_AFTER:
        return "offline"
    return "fresh" if online and silent <= STALE_AFTER else "stale"


def terminal_view(terminal: TerminalFacts, *, as_of: datetime) -> TerminalView:
    """Describe a terminal as of an instant."""
    freshness = freshness_of(terminal, as_of=as_of)
    known = freshness in {"fresh", "stale", "out_of_service"}
    return TerminalView(
        code=terminal.code,
        name=terminal.name,
        zone=terminal.zone,
        freshness=freshness,
        heard_at=terminal.heard_at,
        not_received_at_most=terminal.outstanding if known else None,
        records_exits=terminal.records_exits,
    )


SITE_REASONS = (
    "exit_terminal_silent",
    "exit_terminal_stale",
    "exit_terminal_backlog",
    "no_exit_terminal",
    "freshness_not_recorded",
)
"""Reasons that hold for everybody on the site alike; the others are a person's own."""


def exit_doubts(terminals: Iterable[TerminalFacts], *, as_of: datetime) -> tuple[str, ...]:
    """List why an exit could have happened that the database does not know of; the same for everyone on the site."""
    exits = [terminal for terminal in terminals if terminal.records_exits]
    kinds = {freshness_of(terminal, as_of=as_of) for terminal in exits if terminal.in_service}
    reasons = []
    if not kinds:
        reasons.append("no_exit_terminal")
    if kinds & {"offline", "never"}:
        reasons.append("exit_terminal_silent")
    if "stale" in kinds:
        reasons.append("exit_terminal_stale")
    if any(terminal.outstanding > 0 for terminal in exits):
        reasons.append("exit_terminal_backlog")
    return tuple(reasons)


_MAKES_UNKNOWN = frozenset({"over_14_hours", "exit_terminal_silent", "card_has_no_holder", "refused_at_gate"})


def judge(row: PresenceView, *, as_of: datetime, site_reasons: tuple[str, ...]) -> tuple[Confidence, tuple[str, ...]]:
    """Say how sure one person's presence is, and why not surer."""
    reasons = list(site_reasons)
    if as_of - row.since_at > STAY_MAX:
        reasons.append("over_14_hours")
    if row.doubts & DOUBT_EXIT_MISSING:
        reasons.append("exit_missing_before_entry")
    if row.doubts & DOUBT_EXIT_WEAK:
        reasons.append("exit_weaker_than_entry")
    if row.doubts & DOUBT_EXIT_TIME:
        reasons.append("exit_time_uncertain")
    if row.since_doubt > 0 or row.since_doubt == UNKNOWN:
        reasons.append("entry_time_uncertain")
    if row.worker_id is None:
        reasons.append("card_has_no_holder")
    if row.state == REFUSED:
        reasons.append("refused_at_gate")
    if _MAKES_UNKNOWN.intersection(reasons):
        return "unknown", tuple(reasons)
    return ("probable" if reasons else "certain"), tuple(reasons)


def _standing(row: PresenceView) -> Standing:
    if row.state == REFUSED:
        return "refused"
    return "inside" if row.worker_id is not None else "unknown_card"


COUNTED: frozenset[Standing] = frozenset({"inside", "visitor"})
"""Who `inside` counts."""
_STANDINGS: tuple[Standing, ...] = ("inside", "visitor", "unknown_card", "refused")


def _person(row: PresenceView, *, as_of: datetime, site_reasons: tuple[str, ...], codes: Mapping[int, str]) -> Person:
    confidence, reasons = judge(row, as_of=as_of, site_reasons=site_reasons)
    return Person(
        person=row.person,
        worker_id=row.worker_id,
        name=row.name,
        employer=row.employer,
        trade=row.trade,
        confidence=confidence,
        reasons=reasons,
        since_at=row.since_at,
        last_at=row.last_at,
        last_zone=row.last_zone,
        last_terminal=codes.get(row.last_terminal_id, ""),
        assurance=row.entry_assurance,
        standing=_standing(row),
        since_error_min=row.since_doubt if row.since_doubt >= 0 else None,
        last_error_min=row.last_doubt if row.last_doubt >= 0 else None,
        employer_id=row.employer_id,
    )


def visitor(visit: Visit, *, as_of: datetime) -> Person:
    """Count somebody who came in by a day pass: a person let them in, and nobody drops them for age (INC-01)."""
    reasons = ("over_14_hours",) if as_of - visit.entered_at > STAY_MAX else ()
    return Person(
        person=f"pass:{visit.pass_id}",
        worker_id=None,
        name=visit.name,
        employer=visit.company,
        trade="",
        confidence="unknown" if reasons else "certain",
        reasons=reasons,
        since_at=visit.entered_at,
        last_at=visit.entered_at,
        last_zone="",
        last_terminal="",
        assurance=0,
        standing="visitor",
    )


def assemble(
    *,
    site: str,
    as_of: datetime,
    rows: Iterable[PresenceView],
    terminals: tuple[TerminalFacts, ...],
    codes: Mapping[int, str],
    more_reasons: tuple[str, ...] = (),
    visits: Iterable[Visit] = (),
) -> Headcount:
    """Put a headcount together. `codes` names every terminal, also those out of service."""
    site_reasons = exit_doubts(terminals, as_of=as_of) + more_reasons
    people = [
        _person(row, as_of=as_of, site_reasons=site_reasons, codes=codes)
        for row in rows
        if row.state != OUTSIDE and not row.is_test
    ]
    people += [visitor(one, as_of=as_of) for one in visits]
    people.sort(key=lambda one: (_STANDINGS.index(one.standing), one.name, one.person))
    return Headcount(
        site=site,
        as_of=as_of,
        at_most=len(people) + sum(terminal.outstanding for terminal in terminals),
        terminals=tuple(terminal_view(terminal, as_of=as_of) for terminal in terminals),
        people=tuple(people),
        **_figures(people),
    )


class Figures(TypedDict):
    """The counts of a headcount that follow from its people alone."""

    inside: int
    certain: int
    probable: int
    unknown: int
    unknown_cards: int
    refused: int
    visitors: int


def _figures(people: Collection[Person]) -> Figures:
    inside = [one for one in people if one.standing in COUNTED]
    unknown_cards = sum(1 for one in people if one.standing == "unknown_card")
    sure = Counter(one.confidence for one in inside)
    return {
        "inside": len(inside),
        "certain": sure["certain"],
        "probable": sure["probable"],
        "unknown": sure["unknown"],
        "unknown_cards": unknown_cards,
        "refused": len(people) - len(inside) - unknown_cards,
        "visitors": sum(1 for one in inside if one.standing == "visitor"),
    }


def only(found: Headcount, employers: Collection[int]) -> Headcount:
    """Cut a headcount to these employers' own people: nobody else's, no visitor, no card that nobody holds.

    What is on its way may be theirs, so `at_most` still holds it.
    """
    people = tuple(one for one in found.people if one.employer_id in employers)
    at_most = found.at_most - len(found.people) + len(people)
    return replace(found, people=people, at_most=at_most, **_figures(people))
