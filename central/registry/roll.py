"""What a roll asks for, row by row, against what is registered already. Pure: nothing here touches the database."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from central.kit.errors import Invalid
from central.registry import rules
from central.registry.refusals import OVERLAPS, NotGivable, NotOnSite, Overlap

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from central.registry.sheet import SheetRow

NAME_CHARS_MAX = 100
LANGUAGE_CHARS_MAX = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that can be read."""

    row: int
    """As the spreadsheet numbers it."""
    name: str
    worker_no: str | None
    language: str
    phone: str | None
    employer_id: int
    trade: str
    from_on: date
    until_on: date | None
    token: str | None


@dataclass(frozen=True, slots=True)
class Spell:
    """An employment on the site; `until_on` is the first day without it."""

    employer_id: int
    trade: str
    from_on: date
    until_on: date | None


@dataclass(slots=True, eq=False)
class Someone:
    """A worker, registered (`id`) or to be registered by this roll (`entry`)."""

    name: str
    id: int | None = None
    entry: Entry | None = None
    spells: list[Spell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Held:
    """A card was somebody's during a period."""

    who: Someone
    from_at: datetime
    until_at: datetime | None


@dataclass(slots=True)
class Known:
    """What is registered of everything that a roll names. A plan adds to it, so that rows see the rows above them."""

    by_number: dict[str, Someone]
    held: dict[str, list[Held]]
    """Every holding of a card, by token."""
    cards: dict[str, int | None]
    """Registered cards by token; None for one that this roll registers."""
    on_site: Mapping[int, list[tuple[date, date | None]]]
    """When each employer works on the site."""
    not_givable: Mapping[str, str] = field(default_factory=dict)
    """Cards that nobody may get, with their state, by token."""


@dataclass(slots=True)
class Plan:
    """What is to be written."""

    workers: list[Someone] = field(default_factory=list)
    employments: list[tuple[Someone, Spell]] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    holdings: list[tuple[str, Held]] = field(default_factory=list)
    already_there: int = 0
    """Rows that change nothing."""


def read_entry(row: SheetRow, *, employers: Mapping[str, int], card_key: bytes | None) -> Entry:
    """Read one row's cells; `employers` are the site's by business number and name. Raises `Invalid`."""
    cells = row.cells
    uid, token = cells.get("card_uid") or None, cells.get("card_token") or None
    entry = Entry(
        row=row.number,
        from_on=_day(cells["from_on"], "from_on"),
        until_on=_day(cells["until_on"], "until_on") if cells.get("until_on") else None,
        employer_id=_employer(cells["employer"], employers),
        trade=rules.trade_code(cells["trade"]),
        token=None if uid is None and token is None else rules.token_of(token=token, uid=uid, card_key=card_key),
        name=_within(cells["name"], "name", NAME_CHARS_MAX),
        worker_no=rules.worker_number(cells["worker_no"]) if cells.get("worker_no") else None,
        language=_within(cells.get("language") or "ko", "language", LANGUAGE_CHARS_MAX),
        phone=rules.phone_number(cells["phone"]) if cells.get("phone") else None,
    )
    if not entry.name:
        raise Invalid("name is empty")
    return entry


def plan_entry(plan: Plan, known: Known, entry: Entry, *, zone: ZoneInfo, now: datetime) -> None:
    """Add what one row brings to the plan, or raise why it cannot be taken and leave both as they were."""
    found = _find(known, entry, now=now)
    who = found or Someone(entry.name, entry=entry)
    spell = _new_spell(known, who, entry)
    held = _new_holding(known, who, entry, zone=zone, now=now)
    if found is None:
        plan.workers.append(who)
        if entry.worker_no:
            known.by_number[entry.worker_no] = who
    if spell is not None:
        who.spells.append(spell)
        plan.employments.append((who, spell))
    if held is not None and entry.token is not None:
        if entry.token not in known.cards:
            known.cards[entry.token] = None
            plan.cards.append(entry.token)
        known.held.setdefault(entry.token, []).append(held)
        plan.holdings.append((entry.token, held))
    plan.already_there += found is not None and spell is None and held is None


def _find(known: Known, entry: Entry, *, now: datetime) -> Someone | None:
    """Find the row's worker by number, else by card; refuse one who goes by another name."""
    worker = known.by_number.get(entry.worker_no) if entry.worker_no else _holder(known, entry.token, now=now)
    if worker is not None and worker.name != entry.name:
        what = "worker number" if entry.worker_no else "card"
        named = (
            f"worker {worker.id}, who is registered" if worker.entry is None else f"row {worker.entry.row}, which is"
        )
        raise Invalid(f"the {what} belongs to {named} under another name: check both")
    return worker


def _holder(known: Known, token: str | None, *, now: datetime) -> Someone | None:
    for held in known.held.get(token or "", []):
        if held.from_at <= now and (held.until_at is None or now < held.until_at):
            return held.who
    return None


def _new_spell(known: Known, who: Someone, entry: Entry) -> Spell | None:
    """Return the employment that the row brings; None when exactly this one is on the roll."""
    spell = Spell(entry.employer_id, entry.trade, entry.from_on, entry.until_on)
    if spell in who.spells:
        return None
    rules.period(spell.from_on, spell.until_on)
    periods = known.on_site.get(spell.employer_id, [])
    if not any(from_on <= spell.from_on and (until is None or spell.from_on < until) for from_on, until in periods):
        raise NotOnSite.of(spell.employer_id, spell.from_on)
    if any(_share(spell.from_on, spell.until_on, other.from_on, other.until_on) for other in who.spells):
        raise Overlap(OVERLAPS["ex_registry_employment_period"])
    return spell


def _new_holding(known: Known, who: Someone, entry: Entry, *, zone: ZoneInfo, now: datetime) -> Held | None:
    """Return the holding that the row brings; None when it names no card, or the card is theirs already."""
    if entry.token is None:
        return None
    holder = _holder(known, entry.token, now=now)
    if holder is who:
        return None
    if holder is not None:
        raise Overlap("the card belongs to another worker now: end that assignment first, or check the card")
    if entry.token in known.not_givable:
        raise NotGivable.of(known.not_givable[entry.token])
    held = Held(who, min(datetime.combine(entry.from_on, time.min, tzinfo=zone), now), None)
    others = known.held.get(entry.token, [])
    if any(_share(held.from_at, None, other.from_at, other.until_at) for other in others):
        raise Overlap(OVERLAPS["ex_registry_card_assignment_period"])
    return held


def _share(a_from: date, a_until: date | None, b_from: date, b_until: date | None) -> bool:
    """Whether two half-open periods share time; instants with instants, days with days."""
    return (b_until is None or a_from < b_until) and (a_until is None or b_from < a_until)


def _employer(word: str, employers: Mapping[str, int]) -> int:
    if not word:
        raise Invalid("employer is empty: give its business number or its name")
    digits = word.replace("-", "").replace(" ", "")
    employer_id = employers.get(digits) or employers.get(word)
    if employer_id is None:
        raise Invalid(f"employer {word!r} does not work on this site: register it there first, or check the name")
    return employer_id


def _day(text: str, column: str) -> date:
    parts = re.split(r"[-./]", re.sub(r"\s", "", text).rstrip("."))
    try:
        year, month, day = (int(part) for part in parts)
        return date(year, month, day)
    except ValueError as error:
        raise Invalid(f"{column} is {text!r}: expected a date like 2026-11-22") from error


def _within(text: str, column: str, chars_max: int) -> str:
    if len(text) > chars_max:
        raise Invalid(f"{column} has {len(text)} characters: at most {chars_max}")
    return text
