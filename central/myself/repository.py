"""Queries of the worker's own view. In a request they are cut to what the asker reaches, like the registry's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.orm import aliased
from sqlmodel import col, func, select, update

import central.myself.confining  # noqa: F401 - guards the tables that are read here
from central.attendance.agreed import AgreedDay, agreed_from
from central.myself.hands import Changed
from central.myself.models import Objection, ObjectionEvent, ReceiptKey
from central.myself.rules import Spell
from central.myself.states import WAITING
from central.registry.confinement import BEYOND_REACH, own_entries
from central.registry.models import CardAssignment, Employment, Organization, Project, Site, SiteEmployer, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from central.kit.db import ReadSession, WriteSession

ROWS_MAX = 200
AGREED_ROWS_MAX = 10_000
"""Of a month at a site, as many as it may have workers."""


def worker_by_number(session: WriteSession, number: str) -> Worker | None:
    """Find who has a number of the association, test workers included."""
    return session.exec(select(Worker).where(Worker.worker_no == number)).one_or_none()


def worker_of(session: ReadSession | WriteSession, worker_id: int) -> Worker:
    """Return the worker who is signed in."""
    return session.exec(select(Worker).where(Worker.id == worker_id)).one()


def site_names(session: ReadSession | WriteSession, codes: Sequence[str]) -> list[tuple[str, str]]:
    """Return code and name of sites within reach, in the order of the codes."""
    names = dict(session.exec(select(Site.code, Site.name).where(col(Site.code).in_(codes))).all())
    return [(code, names[code]) for code in codes if code in names]


def spells(session: ReadSession | WriteSession, *, worker_id: int) -> list[Spell]:
    """Return a worker's employments, newest first."""
    rows = session.exec(
        select(Employment, Organization.name, Site.code)
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .join(Site, col(Site.id) == col(Employment.site_id))
        .where(Employment.worker_id == worker_id)
        .order_by(col(Employment.from_on).desc())
        .limit(ROWS_MAX)
    ).all()
    return [Spell(site, one.employer_id, name, one.from_on, one.until_on) for one, name, site in rows]


def site_by_code(session: ReadSession | WriteSession, code: str) -> Site | None:
    """Find a site within reach."""
    return session.exec(select(Site).where(Site.code == code)).one_or_none()


def site_name(session: ReadSession | WriteSession, site_id: int) -> tuple[str, str, str]:
    """Return code, name and time zone of a site that a row within reach names."""
    row = session.exec(select(Site).where(Site.id == site_id)).one_or_none()
    return (row.code, row.name, row.timezone) if row is not None else ("", "", "Asia/Seoul")


def prime_on(session: WriteSession, *, site_id: int, on: date) -> int | None:
    """Return a site's prime contractor of a day. Asked beyond the worker's reach: they may not list employers."""
    holds = (col(SiteEmployer.from_on) <= on) & (
        col(SiteEmployer.until_on).is_(None) | (col(SiteEmployer.until_on) > on)
    )
    query = select(SiteEmployer.organization_id).where(SiteEmployer.site_id == site_id, SiteEmployer.tier == "prime")
    found = session.exec(
        query.where(holds).order_by(col(SiteEmployer.id)).limit(1),
        execution_options=BEYOND_REACH,
    )
    return found.first()


def business_no(session: ReadSession, organization_id: int) -> str:
    """Return an organization's business number; empty when it has none."""
    query = select(Organization.business_no).where(Organization.id == organization_id)
    return session.exec(query).one_or_none() or ""


def organization_name(session: ReadSession | WriteSession, organization_id: int) -> str:
    """Return an organization's name."""
    return session.exec(select(Organization.name).where(Organization.id == organization_id)).one_or_none() or ""


def client_of_site(session: WriteSession, site_id: int) -> int:
    """Return who ordered a site's project."""
    query = select(Project.client_id).join(Site, col(Site.project_id) == col(Project.id)).where(Site.id == site_id)
    return session.exec(query).one()


def phone_of(session: WriteSession, worker_id: int) -> str | None:
    """Return where a worker's text messages go; of a merged entry, of the one that is kept."""
    row = session.exec(select(Worker).where(Worker.id == worker_id)).one_or_none()
    if row is not None and row.merged_into_id is not None:
        row = session.exec(select(Worker).where(Worker.id == row.merged_into_id)).one_or_none()
    return row.phone if row is not None else None


def changed_ways_in(session: WriteSession, worker_id: int, *, now: datetime) -> Changed:
    """Return when an office last changed what opens a worker's own view; of a merged entry, of the one that is kept."""
    row = session.exec(select(Worker).where(Worker.id == worker_id)).one()
    kept = row.merged_into_id or row.id
    phone = select(func.max(col(Worker.phone_changed_at))).where(col(Worker.id).in_([worker_id, kept]))
    card = select(func.max(col(CardAssignment.given_at))).where(
        col(CardAssignment.worker_id).in_([worker_id, kept]),
        col(CardAssignment.until_at).is_(None) | (col(CardAssignment.until_at) > now),
    )
    return Changed(
        session.exec(phone, execution_options=BEYOND_REACH).one(),
        session.exec(card, execution_options=BEYOND_REACH).one(),
    )


# -- receipt keys


def signing_key(session: ReadSession | WriteSession) -> ReceiptKey | None:
    """Return the key that signs now."""
    return session.exec(select(ReceiptKey).where(col(ReceiptKey.retired_at).is_(None))).one_or_none()


def receipt_key(session: ReadSession | WriteSession, key_id: int) -> ReceiptKey | None:
    """Find a key, whatever became of it."""
    return session.get(ReceiptKey, key_id)


def receipt_keys(session: ReadSession) -> Sequence[ReceiptKey]:
    """Return every key, newest first."""
    return session.exec(select(ReceiptKey).order_by(col(ReceiptKey.id).desc())).all()


# -- objections


def worker_who_objected(session: ReadSession | WriteSession, row: Objection) -> Worker:
    """Return whose objection it is that was found within reach: the entry that stands for the person today.

    Whoever answers for a site may know its workers by the objection alone: one who was sent there stands on no roll.
    """
    return _objectors(session, [row])[row.worker_id]


def _objectors(session: ReadSession | WriteSession, rows: Sequence[Objection]) -> dict[int, Worker]:
    entry = aliased(Worker)
    query = (
        select(entry.id, Worker)
        .join(Worker, col(Worker.id) == func.coalesce(entry.merged_into_id, entry.id))
        .where(col(entry.id).in_({row.worker_id for row in rows}))
    )
    return {entry_id or 0: worker for entry_id, worker in session.exec(query, execution_options=BEYOND_REACH).all()}


class Shown(NamedTuple):
    """An objection with the names that a list shows."""

    row: Objection
    worker: str
    employer: str
    site: str
    timezone: str


def objection(session: ReadSession | WriteSession, objection_id: int) -> Objection | None:
    """Find an objection within reach."""
    return session.exec(select(Objection).where(Objection.id == objection_id)).one_or_none()


def objections(session: ReadSession, *, waiting: bool, after: int, rows_max: int) -> list[Shown]:
    """Return objections within reach: those that wait for an answer by when it is due, or the ended, newest first."""
    is_waiting = col(Objection.state).in_(WAITING)
    query = (
        select(Objection, Organization.name, Site)
        .join(Organization, col(Organization.id) == col(Objection.employer_id))
        .join(Site, col(Site.id) == col(Objection.site_id))
    )
    if waiting:
        query = query.where(is_waiting).order_by(col(Objection.due_at), col(Objection.id)).offset(after)
    else:
        query = query.where(~is_waiting).order_by(col(Objection.id).desc())
        query = query.where(col(Objection.id) < after) if after else query
    rows = session.exec(query.limit(rows_max)).all()
    people = _objectors(session, [row for row, _, _ in rows])
    return [Shown(row, people[row.worker_id].name, employer, site.name, site.timezone) for row, employer, site in rows]


def objections_of_day(session: ReadSession, *, from_on: date, until_on: date) -> Sequence[Objection]:
    """Return the objections within reach against days in [from_on, until_on), newest last."""
    return session.exec(
        select(Objection)
        .where(col(Objection.on_day) >= from_on, col(Objection.on_day) < until_on)
        .order_by(col(Objection.id))
        .limit(ROWS_MAX)
    ).all()


def agreed_days(
    session: ReadSession, *, first: date, after: date, site_id: int | None, worker_id: int | None
) -> list[AgreedDay]:
    """Return what was agreed of days in [first, after) within reach: of each day what was agreed last."""
    query = (
        select(Objection, ObjectionEvent, Site)
        .join(ObjectionEvent, col(ObjectionEvent.objection_id) == col(Objection.id))
        .join(Site, col(Site.id) == col(Objection.site_id))
        .where(Objection.state == "upheld", ObjectionEvent.event == "uphold")
        .where(col(Objection.on_day) >= first, col(Objection.on_day) < after)
    )
    if site_id is not None:
        query = query.where(Objection.site_id == site_id)
    if worker_id is not None:
        query = query.where(col(Objection.worker_id).in_(own_entries(worker_id)))
    rows = session.exec(query.order_by(col(ObjectionEvent.id)).limit(AGREED_ROWS_MAX)).all()
    people = _objectors(session, [row for row, _, _ in rows])
    found = {}
    for row, step, site in rows:
        who = people[row.worker_id]
        said = (step.agreed.get("first_in", ""), step.agreed.get("last_out", ""))
        day = AgreedDay(who.id or 0, who.worker_no, who.name, site.code, site.name, row.on_day, *said)
        found[day.worker_id, day.site, day.on] = day
    return sorted(found.values(), key=lambda day: (day.on, day.site, day.worker_id))


agreed_from(agreed_days)


def own_objections(session: ReadSession) -> Sequence[Objection]:
    """Return the newest objections within a worker's own reach."""
    return session.exec(select(Objection).order_by(col(Objection.id).desc()).limit(ROWS_MAX)).all()


def steps(session: ReadSession | WriteSession, objection_id: int) -> Sequence[ObjectionEvent]:
    """Return what happened to an objection, oldest first."""
    query = select(ObjectionEvent).where(ObjectionEvent.objection_id == objection_id)
    return session.exec(query.order_by(col(ObjectionEvent.id))).all()


def move(
    session: WriteSession, *, objection_id: int, from_state: str, to_state: str, due_at: datetime, now: datetime
) -> bool:
    """Take an objection from one state to the next; true for the one caller that did."""
    done = session.exec(
        update(Objection)
        .where(col(Objection.id) == objection_id, col(Objection.state) == from_state)
        .values(state=to_state, due_at=due_at, changed_at=now, reminded_at=None)
        .returning(col(Objection.id))
    )
    return done.first() is not None


def to_remind(session: WriteSession, *, due_before: datetime, now: datetime, rows_max: int) -> list[Objection]:
    """Take objections whose answer is due soon or late and of which nobody was told since; mark them as told."""
    told_before = col(Objection.reminded_at).is_(None) | (
        (col(Objection.due_at) < now) & (col(Objection.reminded_at) < col(Objection.due_at))
    )
    due = (
        select(Objection.id)
        .where(col(Objection.state).in_(WAITING), col(Objection.due_at) < due_before, told_before)
        .order_by(col(Objection.due_at))
        .limit(rows_max)
        .with_for_update(skip_locked=True)
    )
    ids = [row_id for row_id in session.exec(due).all() if row_id is not None]
    session.exec(update(Objection).where(col(Objection.id).in_(ids)).values(reminded_at=now))
    return list(session.exec(select(Objection).where(col(Objection.id).in_(ids))).all())
