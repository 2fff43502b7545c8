"""What a roll asks for, row by row, against what is registered already. Pure: nothing here touches the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, NamedTuple

from central.kit.errors import Invalid
from central.kit.sentences import sentence
from central.registry import rules
from central.registry.entries import Entry, Facts, Labour, Paper
from central.registry.refusals import OVERLAPS, NotGivable, NotOnSite, Overlap, open_site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

UNSAID = Facts()
"""Of whom nothing more is known."""


class WrongName(Invalid):
    """The row's number or card is somebody's of another name."""


class WrongNameBeyond(WrongName):
    """And of that one the asker may know nothing."""


class Spell(NamedTuple):
    """An employment on the site; `until_on` is the first day without it."""

    employer_id: int
    trade: str
    from_on: date
    until_on: date | None


@dataclass(slots=True, eq=False)
class Someone:
    """A worker, registered (`id`) or to be registered by this roll (`entry`), with what is on record of them here."""

    name: str
    id: int | None = None
    entry: Entry | None = None
    facts: Facts = UNSAID
    spells: list[Spell] = field(default_factory=list)
    papers: set[Paper] = field(default_factory=set)
    labours: list[Labour] = field(default_factory=list)
    beyond: bool = False
    """Whether the asker, who must name them rightly, may see nothing else of them."""


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
    born: dict[tuple[str, date], list[Someone]] = field(default_factory=dict)
    """Workers by name and date of birth, as far as the asker may see them."""
    names_beyond: bool = False
    """Whether anybody named is beyond the asker's reach."""
    closed_on: date | None = None
    """The site's closing day: nothing begins there from then on."""


@dataclass(slots=True)
class Brought:
    """What one row brings; everything empty when it changes nothing."""

    row: int
    who: Someone
    is_new: bool = False
    spell: Spell | None = None
    card: str | None = None
    """A card to register."""
    held: tuple[str, Held] | None = None
    papers: tuple[Paper, ...] = ()
    labour: Labour | None = None

    def __bool__(self) -> bool:
        """Whether the row changes anything."""
        return bool(self.is_new or self.spell or self.held or self.papers or self.labour)


def plan_entry(known: Known, entry: Entry, *, zone: ZoneInfo, now: datetime) -> Brought:
    """Return what one row brings, and let the rows below see it; or raise why it cannot be taken."""
    found = _find(known, entry, now=now)
    who = found or Someone(entry.name, entry=entry, facts=entry.facts)
    spell = _new_spell(known, who, entry)
    held = _new_holding(known, who, entry, zone=zone, now=now)
    labour = _new_labour(known, who, entry)
    papers = tuple(paper for paper in entry.papers if paper not in who.papers)
    brought = Brought(entry.row, who, found is None, spell, papers=papers, labour=labour)
    if held is not None and entry.token is not None:
        brought.held = (entry.token, held)
        brought.card = None if entry.token in known.cards else entry.token
    _remember(known, brought, entry)
    return brought


def _remember(known: Known, brought: Brought, entry: Entry) -> None:
    who = brought.who
    if brought.is_new:
        if entry.worker_no:
            known.by_number[entry.worker_no] = who
        if entry.facts.birth_on:
            known.born.setdefault((entry.name, entry.facts.birth_on), []).append(who)
    if brought.spell is not None:
        who.spells.append(brought.spell)
    if brought.labour is not None:
        who.labours.append(brought.labour)
    who.papers.update(brought.papers)
    if brought.held is not None:
        token, held = brought.held
        known.cards.setdefault(token, None)
        known.held.setdefault(token, []).append(held)


def notices(known: Known, entry: Entry, brought: Brought) -> list[str]:
    """Say what is to be looked at in a row that was taken: perhaps the same person again, or facts that differ."""
    told: list[str] = []
    if brought.is_new and entry.facts.birth_on:
        others = [one for one in known.born.get((entry.name, entry.facts.birth_on), ()) if one is not brought.who]
        told += [
            sentence(
                "%(other)s has the same name and date of birth: if it is one person, give the worker number",
                other=_named(one),
            )
            for one in others[:3]
        ]
    if not brought.is_new and brought.who.entry is None and not brought.who.beyond:
        differ = [
            name for name in ("birth_on", "nationality", "phone") if _differs(entry.facts, brought.who.facts, name)
        ]
        if differ:
            told.append(
                sentence(
                    "the worker is registered with another %(columns)s: the sheet's is not taken, change it on the"
                    " worker's own page",
                    columns=", ".join(differ),
                )
            )
    return told


def _differs(given: Facts, registered: Facts, name: str) -> bool:
    value = getattr(given, name)
    return value is not None and value != getattr(registered, name)


def _named(who: Someone) -> str:
    if who.entry is not None:
        return sentence("row %(row)s", row=who.entry.row)
    return sentence("worker %(id)s", id=who.id or 0)


def _find(known: Known, entry: Entry, *, now: datetime) -> Someone | None:
    """Find the row's worker by number, else by card; refuse one who goes by another name."""
    worker = known.by_number.get(entry.worker_no) if entry.worker_no else _holder(known, entry.token, now=now)
    if worker is not None and worker.name != entry.name:
        what = sentence("the worker number") if entry.worker_no else sentence("the card")
        if worker.entry is None:
            kind = WrongNameBeyond if worker.beyond else WrongName
            raise kind(
                sentence("%(what)s belongs to somebody who is registered under another name: check both", what=what)
            )
        raise WrongName(
            sentence(
                "%(what)s belongs to row %(row)s, which is under another name: check both",
                what=what,
                row=worker.entry.row,
            )
        )
    return worker


def _holder(known: Known, token: str | None, *, now: datetime) -> Someone | None:
    for held in known.held.get(token or "", ()):
        if held.from_at <= now and (held.until_at is None or now < held.until_at):
            return held.who
    return None


def _new_spell(known: Known, who: Someone, entry: Entry) -> Spell | None:
    """Return the employment that the row brings; None when exactly this one is on the roll."""
    spell = Spell(entry.employer_id, entry.trade, entry.from_on, entry.until_on)
    if spell in who.spells:
        return None
    rules.period(spell.from_on, spell.until_on)
    open_site(known.closed_on, spell.from_on)
    periods = known.on_site.get(spell.employer_id, ())
    if not any(from_on <= spell.from_on and (until is None or spell.from_on < until) for from_on, until in periods):
        raise NotOnSite.of(spell.employer_id, spell.from_on)
    if any(_share(spell.from_on, spell.until_on, other.from_on, other.until_on) for other in who.spells):
        raise Overlap(OVERLAPS["ex_registry_employment_period"])
    return spell


def _new_labour(known: Known, who: Someone, entry: Entry) -> Labour | None:
    """Return the labour contract that the row brings; None when it names none, or exactly this one is on record."""
    terms = entry.labour
    if terms is None or terms in who.labours:
        return None
    open_site(known.closed_on, terms.from_on)
    for other in who.labours:
        if other.employer_id == terms.employer_id and _share(
            terms.from_on, terms.until_on, other.from_on, other.until_on
        ):
            raise Overlap(OVERLAPS["ex_registry_labour_contract_period"])
    return terms


def _new_holding(known: Known, who: Someone, entry: Entry, *, zone: ZoneInfo, now: datetime) -> Held | None:
    """Return the holding that the row brings; None when it names no card, or the card is theirs already."""
    if entry.token is None:
        return None
    holder = _holder(known, entry.token, now=now)
    if holder is who:
        return None
    if holder is not None:
        raise Overlap(sentence("the card belongs to another worker now: end that assignment first, or check the card"))
    if entry.token in known.not_givable:
        raise NotGivable.of(known.not_givable[entry.token])
    held = Held(who, min(datetime.combine(entry.from_on, time.min, tzinfo=zone), now), None)
    others = known.held.get(entry.token, ())
    if any(_share(held.from_at, None, other.from_at, other.until_at) for other in others):
        raise Overlap(OVERLAPS["ex_registry_card_assignment_period"])
    return held


def _share(a_from: date, a_until: date | None, b_from: date, b_until: date | None) -> bool:
    """Whether two half-open periods share time; instants with instants, days with days."""
    return (b_until is None or a_from < b_until) and (a_until is None or b_from < a_until)
