"""Taking a whole roll into a site: all rows or none, faults by row number; taking it twice changes nothing.

What is registered is read in a few queries, every row is then judged in memory (`roll`), and what is new is written
in bulk: the time is a row's own, however long the roll.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import AppError
from central.kit.sentences import sentence
from central.registry import import_repository as repository
from central.registry.entries import Entry, Facts, Labour, Paper, read_entry
from central.registry.guesses import TooManyGuesses
from central.registry.repository import employers_by_word
from central.registry.roll import Held, Known, Someone, Spell, WrongNameBeyond, notices, plan_entry
from central.registry.roll_writing import Made, Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from central.kit.db import WriteSession
    from central.registry.guesses import Guesses
    from central.registry.models import Site
    from central.registry.roll import Brought
    from central.registry.sheet import SheetRow

FAULTS_MAX = 200
NOTICES_MAX = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row, or to be looked at in it."""

    row: int
    message: str


@dataclass(slots=True)
class Taken:
    """What a sheet brought, or would bring."""

    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """How many of each kind: `workers`, `employments`, `cards`, `papers`, `labour_contracts`; `contracts`, …"""
    already_there: int = 0
    """Rows that changed nothing."""
    faults: list[Fault] = field(default_factory=list)
    """At most 200."""
    faulty_rows: int = 0
    """How many rows are wrong in all."""
    notices: list[Fault] = field(default_factory=list)
    made: Made = field(default_factory=dict)
    stopped_by: str = ""
    """Why the rows after the last fault were not looked at."""

    def refuse(self, row: int, message: str) -> None:
        """Note that a row is wrong."""
        self.faulty_rows += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(row, message))

    def notice(self, row: int, message: str) -> None:
        """Note that a row is to be looked at."""
        if len(self.notices) < NOTICES_MAX:
            self.notices.append(Fault(row, message))


class NothingTaken(AppError):
    """The transaction is to be rolled back: rows were wrong, or it was a dry run. `taken` says what would have been."""

    status = 422
    code = "import_refused"

    def __init__(self, message: str, taken: Taken) -> None:
        super().__init__(message, faults=[{"row": fault.row, "message": fault.message} for fault in taken.faults])
        self.taken = taken

    @classmethod
    def because_of(cls, taken: Taken) -> NothingTaken:
        """Say how many rows are wrong."""
        return cls(
            sentence(
                "%(rows)s rows are wrong, so nothing was taken: correct them and import again", rows=taken.faulty_rows
            ),
            taken,
        )


def take_roll(  # noqa: PLR0913 - what a run is given
    session: WriteSession,
    rows: Sequence[SheetRow],
    *,
    site: Site,
    employer_id: int | None = None,
    file: str,
    card_key: bytes | None,
    actor: str,
    guesses: Guesses,
    now: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> Taken:
    """Write a roll's workers, employments, cards, papers and labour contracts; raise `NothingTaken` if a row is wrong.

    `employer_id`: only this employer's rows may be written. Whoever wants a dry run rolls back. `guesses` counts the
    wrong names for people beyond the session's reach, and ends it after too many.
    """
    taken = Taken()
    entries = _read(session, rows, site=site, employer_id=employer_id, card_key=card_key, now=now, taken=taken)
    known = _known(session, entries, site_id=site.id or 0)
    known.closed_on = site.closed_on
    taken.rows = len(rows)
    zone = ZoneInfo(site.timezone)
    try:
        plan = _plan(known, entries, zone=zone, guesses=guesses, now=now, taken=taken, progress=progress)
    except TooManyGuesses as stop:
        taken.stopped_by = stop.message
        taken.faults.sort(key=lambda fault: fault.row)
        raise NothingTaken(stop.message, taken) from stop
    if taken.faulty_rows:
        taken.faults.sort(key=lambda fault: fault.row)
        raise NothingTaken.because_of(taken)
    taken.counts = _counted(plan)
    writing = Writing(session, site_id=site.id or 0, file=file, actor=actor, now=now)
    taken.made = writing.write([one for one in plan if one], known.cards)
    detail = {"file": file, "rows": taken.rows} | dict(taken.counts)
    audit.record(session, actor=actor, tag=Tag.IMPORT_RUN, subject=f"site:{site.id}", detail=detail, now=now)
    return taken


def _read(
    session: WriteSession,
    rows: Sequence[SheetRow],
    *,
    site: Site,
    employer_id: int | None,
    card_key: bytes | None,
    now: datetime,
    taken: Taken,
) -> list[Entry]:
    """Read every row, noting what cannot be read."""
    employers = employers_by_word(session, site_id=site.id or 0)
    if employer_id is not None:
        employers = {word: one for word, one in employers.items() if one == employer_id}
    read = []
    for row in rows:
        try:
            read.append(read_entry(row, employers=employers, card_key=card_key, now=now))
        except AppError as error:
            taken.refuse(row.number, error.message)
    return read


def _plan(
    known: Known,
    entries: Sequence[Entry],
    *,
    zone: ZoneInfo,
    guesses: Guesses,
    now: datetime,
    taken: Taken,
    progress: Callable[[int], None],
) -> list[Brought]:
    """Judge every row against what is registered and the rows above it."""
    plan = []
    if known.names_beyond:
        guesses.check()
    for done, entry in enumerate(entries, 1):
        try:
            brought = plan_entry(known, entry, zone=zone, now=now)
        except WrongNameBeyond as error:
            guesses.wrong()
            taken.refuse(entry.row, error.message)
        except AppError as error:
            taken.refuse(entry.row, error.message)
        else:
            plan.append(brought)
            taken.already_there += not brought
            for message in notices(known, entry, brought):
                taken.notice(entry.row, message)
        progress(done)
    return plan


def _counted(plan: Sequence[Brought]) -> Counter[str]:
    found = Counter(
        workers=sum(one.is_new for one in plan),
        employments=sum(one.spell is not None for one in plan),
        cards=sum(one.held is not None for one in plan),
        papers=sum(len(one.papers) for one in plan),
        labour_contracts=sum(one.labour is not None for one in plan),
    )
    return +found


def _known(session: WriteSession, entries: Sequence[Entry], *, site_id: int) -> Known:
    """Read what is registered of everything that the entries name, in a handful of queries."""
    tokens = sorted({entry.token for entry in entries if entry.token})
    numbers = sorted({entry.worker_no for entry in entries if entry.worker_no})
    people: dict[int, Someone] = {}
    known = Known({}, {}, {}, defaultdict(list))
    for row in repository.rows_of(session, _NUMBERED, numbers=numbers):
        known.by_number[row.worker_no] = people.setdefault(row.id, _someone(row))
    for row in repository.rows_of(session, _HOLDINGS, tokens=tokens):
        who = people.setdefault(row.id, _someone(row))
        known.held.setdefault(row.token, []).append(Held(who, row.from_at, row.until_at))
    cards = repository.rows_of(session, _CARDS, tokens=tokens)
    known.cards = {row.token: row.id for row in cards}
    known.not_givable = {row.token: row.state for row in cards if row.state not in {"stock", "issued"}}
    within = repository.workers_within(session, list(people))
    for who_id, who in people.items():
        who.beyond = who_id not in within
    known.names_beyond = len(within) < len(people)
    _read_records(session, people, site_id=site_id)
    periods: defaultdict[int, list[tuple[date, date | None]]] = defaultdict(list)
    for row in repository.rows_of(session, _EMPLOYERS, site_id=site_id):
        periods[row.organization_id].append((row.from_on, row.until_on))
    known.on_site = periods
    pairs = sorted({(entry.name, entry.facts.birth_on) for entry in entries if entry.facts.birth_on})
    for worker_id, name, birth_on in repository.workers_born(session, pairs) if pairs else ():
        known.born.setdefault((name, birth_on), []).append(people.get(worker_id) or Someone(name, worker_id))
    return known


def _someone(row: object) -> Someone:
    facts = Facts(row.birth_on, row.nationality, row.phone, row.language)  # type: ignore[attr-defined]  # a row of the query
    return Someone(row.name, row.id, facts=facts)  # type: ignore[attr-defined]  # as above


def _read_records(session: WriteSession, people: dict[int, Someone], *, site_id: int) -> None:
    """Fill in what is on record of workers who are registered: spells and terms on this site, papers anywhere."""
    given = {"site_id": site_id, "workers": sorted(people)}
    if not people:
        return
    for row in repository.rows_of(session, _SPELLS, **given):
        people[row.worker_id].spells.append(Spell(row.employer_id, row.trade, row.from_on, row.until_on))
    for row in repository.rows_of(session, _PAPERS, workers=given["workers"]):
        people[row.worker_id].papers.add(Paper._make(row[1:]))
    for row in repository.rows_of(session, _LABOUR, **given):
        people[row.worker_id].labours.append(Labour._make(row[1:]))


_FACTS = "w.id, w.name, w.birth_on, w.nationality, w.phone, w.language"
_NUMBERED = f"SELECT {_FACTS}, w.worker_no FROM registry_worker w WHERE w.worker_no = ANY(:numbers)"  # noqa: S608 - our own words
_HOLDINGS = f"""
SELECT {_FACTS}, c.token, a.from_at, a.until_at
FROM registry_card_assignment a JOIN registry_card c ON c.id = a.card_id JOIN registry_worker w ON w.id = a.worker_id
WHERE c.token = ANY(:tokens)
"""  # noqa: S608 - our own words
_CARDS = "SELECT id, token, state FROM registry_card WHERE token = ANY(:tokens)"
_SPELLS = """
SELECT worker_id, employer_id, trade, from_on, until_on FROM registry_employment
WHERE site_id = :site_id AND worker_id = ANY(:workers)
"""
_PAPERS = """
SELECT worker_id, kind, value, trade, number, from_on, until_on FROM registry_worker_paper
WHERE worker_id = ANY(:workers) AND withdrawn_at IS NULL
"""
_LABOUR = """
SELECT worker_id, employer_id, kind, wage_won, wage_per, minutes_a_day, signed_on, from_on, until_on
FROM registry_labour_contract WHERE site_id = :site_id AND worker_id = ANY(:workers)
"""
_EMPLOYERS = "SELECT organization_id, from_on, until_on FROM registry_site_employer WHERE site_id = :site_id"
