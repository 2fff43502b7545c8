"""Taking a whole roll into a site: all rows or none, faults by row number; taking it twice changes nothing.

What is registered is read in a few queries, every row is then judged in memory (`roll`), and what is new is written
in bulk: the time is a row's own, however long the roll.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import AppError
from central.registry import notices, places, repository
from central.registry.models import Card, CardAssignment, Employment, Worker
from central.registry.refusals import saying_why
from central.registry.roll import Entry, Held, Known, Plan, Someone, Spell, plan_entry, read_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from central.kit.db import WriteSession
    from central.registry.models import Site
    from central.registry.sheet import SheetRow

FAULTS_MAX = 50
IDS_AN_AUDIT_ROW_MAX = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row."""

    row: int
    message: str


@dataclass(slots=True)
class Taken:
    """What a roll brought, or would bring."""

    rows: int = 0
    workers: int = 0
    employments: int = 0
    cards: int = 0
    already_there: int = 0
    """Rows that changed nothing."""
    faults: list[Fault] = field(default_factory=list)


class NothingTaken(AppError):
    """The transaction is to be rolled back: rows were wrong, or it was a dry run. `taken` says what would have been."""

    status = 422
    code = "import_refused"

    def __init__(self, message: str, taken: Taken) -> None:
        super().__init__(message, faults=[{"row": fault.row, "message": fault.message} for fault in taken.faults])
        self.taken = taken


def take_roll(  # noqa: PLR0913 - what a run is given
    session: WriteSession,
    rows: Sequence[SheetRow],
    *,
    site_code: str,
    file: str,
    card_key: bytes | None,
    actor: str,
    now: datetime,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Taken:
    """Register workers, employments and cards of a roll; raise `NothingTaken` unless every row is right.

    One run names the faults of many rows (at most 50). A dry run writes as well, so that the database has its say,
    and is rolled back.
    """
    site = places.site_by_code(session, code=site_code)
    taken = Taken()
    entries = _read(session, rows, site=site, card_key=card_key)
    plan = _plan(session, entries, site=site, now=now, taken=taken, progress=progress)
    taken.workers, taken.employments, taken.cards = len(plan.workers), len(plan.employments), len(plan.holdings)
    taken.already_there = plan.already_there
    if taken.faults:
        raise NothingTaken(
            f"{len(taken.faults)} rows are wrong, so nothing was taken: correct them and import again", taken
        )
    _Writing(session, site_id=site.id or 0, file=file, actor=actor, now=now).write(plan)
    if dry_run:
        raise NothingTaken("a dry run: every row is right, and nothing was taken", taken)
    detail = {"file": file, "rows": taken.rows, "workers": taken.workers, "cards": taken.cards}
    audit.record(session, actor=actor, tag=Tag.IMPORT_RUN, subject=f"site:{site.id}", detail=detail, now=now)
    return taken


def _read(
    session: WriteSession, rows: Sequence[SheetRow], *, site: Site, card_key: bytes | None
) -> list[Entry | Fault]:
    """Read every row, noting what cannot be read in its place."""
    employers = repository.employers_by_word(session, site_id=site.id or 0)
    read: list[Entry | Fault] = []
    faults = 0
    for row in rows:
        try:
            read.append(read_entry(row, employers=employers, card_key=card_key))
        except AppError as error:
            read.append(Fault(row.number, error.message))
            faults += 1
            if faults >= FAULTS_MAX:
                break
    return read


def _plan(
    session: WriteSession,
    entries: Sequence[Entry | Fault],
    *,
    site: Site,
    now: datetime,
    taken: Taken,
    progress: Callable[[int], None],
) -> Plan:
    """Judge every row that can be read against what is registered and the rows above it."""
    readable = [entry for entry in entries if isinstance(entry, Entry)]
    known = _known(session, readable, site_id=site.id or 0)
    zone, plan = ZoneInfo(site.timezone), Plan()
    for done, entry in enumerate(entries, 1):
        taken.rows = done
        if isinstance(entry, Fault):
            taken.faults.append(entry)
        else:
            try:
                plan_entry(plan, known, entry, zone=zone, now=now)
            except AppError as error:
                taken.faults.append(Fault(entry.row, error.message))
        progress(done)
        if len(taken.faults) >= FAULTS_MAX:
            break
    return plan


def _known(session: WriteSession, entries: Sequence[Entry], *, site_id: int) -> Known:
    """Read what is registered of everything that the entries name, in a handful of queries."""
    tokens = sorted({entry.token for entry in entries if entry.token})
    numbers = sorted({entry.worker_no for entry in entries if entry.worker_no})
    people: dict[int, Someone] = {}
    known = Known({}, {}, dict(repository.cards_by_token(session, tokens)), defaultdict(list))
    for worker_id, number, name in repository.workers_numbered(session, numbers):
        known.by_number[number] = people.setdefault(worker_id, Someone(name, worker_id))
    for row in repository.holdings_named(session, tokens):
        who = people.setdefault(row.worker_id, Someone(row.name, row.worker_id))
        known.held.setdefault(row.token, []).append(Held(who, row.from_at, row.until_at))
    for row in repository.employments_on(session, site_id=site_id, workers=sorted(people)):
        people[row.worker_id].spells.append(Spell(row.employer_id, row.trade, row.from_on, row.until_on))
    periods: defaultdict[int, list[tuple[date, date | None]]] = defaultdict(list)
    for organization_id, from_on, until_on in repository.employer_periods(session, site_id=site_id):
        periods[organization_id].append((from_on, until_on))
    known.on_site = periods
    known.not_givable = repository.cards_not_givable(session, tokens)
    return known


class _Writing:
    """Writes a plan, a table at a time, and tells the audit trail which rows it made."""

    def __init__(self, session: WriteSession, *, site_id: int, file: str, actor: str, now: datetime) -> None:
        self._session = session
        self._site_id = site_id
        self._file = file
        self._actor = actor
        self._now = now

    def write(self, plan: Plan) -> None:
        """Insert what the plan holds. Raises a refusal when somebody else registered the same at this moment."""
        with saying_why():
            self._workers(plan)
            self._employments(plan)
            self._cards(plan)
        touched = [held.who.id or 0 for _, held in plan.holdings]
        sites = {*repository.sites_of_workers(self._session, touched), self._site_id} if _changes(plan) else set()
        notices.tell(self._session, tokens=[token for token, _ in plan.holdings], sites=sites)

    def _workers(self, plan: Plan) -> None:
        entries = [who.entry for who in plan.workers if who.entry is not None]
        rows = [
            {
                "name": entry.name,
                "worker_no": entry.worker_no,
                "language": entry.language,
                "phone": entry.phone,
                "is_test": False,
                "created_at": self._now,
            }
            for entry in entries
        ]
        ids = repository.insert_all(self._session, Worker, rows)
        for who, worker_id in zip(plan.workers, ids, strict=True):
            who.id = worker_id
        self._note(Tag.WORKER_CREATE, "workers", ids)

    def _employments(self, plan: Plan) -> None:
        rows = [
            {
                "worker_id": who.id,
                "site_id": self._site_id,
                "employer_id": spell.employer_id,
                "trade": spell.trade,
                "from_on": spell.from_on,
                "until_on": spell.until_on,
            }
            for who, spell in plan.employments
        ]
        self._note(Tag.EMPLOYMENT_CREATE, "employments", repository.insert_all(self._session, Employment, rows))

    def _cards(self, plan: Plan) -> None:
        cards = [{"token": token, "kind": "card", "state": "stock", "created_at": self._now} for token in plan.cards]
        self._note(Tag.CARD_CREATE, "cards", repository.insert_all(self._session, Card, cards))
        ids = repository.cards_by_token(self._session, [token for token, _ in plan.holdings])
        rows = [
            {"card_id": ids[token], "worker_id": held.who.id, "from_at": held.from_at, "until_at": held.until_at}
            for token, held in plan.holdings
        ]
        self._note(Tag.CARD_ASSIGN, "assignments", repository.insert_all(self._session, CardAssignment, rows))
        repository.issue_cards(self._session, [token for token, _ in plan.holdings], actor=self._actor, now=self._now)

    def _note(self, tag: Tag, what: str, ids: Sequence[int]) -> None:
        """Name the rows made, many to an audit row: the chain is locked for a moment, not for a row's time each."""
        parts = [ids[start : start + IDS_AN_AUDIT_ROW_MAX] for start in range(0, len(ids), IDS_AN_AUDIT_ROW_MAX)]
        details: list[dict[str, Any]] = [{"file": self._file, what: list(part)} for part in parts]
        acts = [audit.Act(tag, f"site:{self._site_id}", detail) for detail in details]
        audit.record_many(self._session, actor=self._actor, acts=acts, now=self._now)


def _changes(plan: Plan) -> bool:
    return bool(plan.workers or plan.employments or plan.holdings)
