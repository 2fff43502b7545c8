"""Lists of organizations, projects, cards and bars: filtered, ordered, cut by the server, in as many queries always.

The list of workers is `listing`: it says more of each row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_
from sqlmodel import col, select

from central.kit.lists import ROWS_A_PAGE, Asked, Order, begins, columns, following, paged
from central.registry import project_rules, rules, whose, wording
from central.registry.models import Bar, Card, CardAssignment, Organization, Project, Site, SiteEmployer, Worker, Zone
from central.registry.record_models import DayPass
from central.registry.record_rules import PASSES_AN_ANSWER_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from sqlalchemy import Row

    from central.kit.db import ReadSession, WriteSession

ROWS_BELOW_MAX = 200
ORGANIZATION_ORDERS = {
    "name": Order(col(Organization.name)),
    "number": Order(col(Organization.business_no), nullable=True),
    "newest": Order(col(Organization.id)),
}
PROJECT_ORDERS = {
    "code": Order(col(Project.code)),
    "name": Order(col(Project.name)),
    "begin": Order(col(Project.begins_on), nullable=True),
}
PROJECT_FILTERS = ("kind", "borough", "state", "client")
PROJECT_STATES = ("running", "completed")
CARD_ORDERS = {"newest": Order(col(Card.id)), "number": Order(col(Card.token))}
NUMBER = re.compile(r"^(?=.*[0-9])[0-9a-f]{2,32}$")
"""The beginning of a card's number: a name has no digit."""
CARD_FILTERS = ("state", "kind")
BAR_ORDERS = {"newest": Order(col(Bar.id))}
BAR_FILTERS = ("site", "state")
BAR_STATES = ("holds", "over")


def organizations(session: ReadSession, asked: Asked, *, rows: int = ROWS_A_PAGE) -> Sequence[Row[Any]]:
    """Read (id, name, business_no, kind) of a page of organizations and one row more. One query."""
    query = columns(Organization.id, Organization.name, Organization.business_no, Organization.kind)
    if kind := asked.filter("kind"):
        query = query.where(Organization.kind == rules.one_of("kind", kind, rules.ORGANIZATION_KINDS))
    digits = asked.q.replace("-", "").replace(" ", "")
    if digits.isdigit():
        query = query.where(begins(col(Organization.business_no), digits))
    elif asked.q:
        query = query.where(begins(col(Organization.name), asked.q))
    found: Sequence[Row[Any]] = session.exec(
        paged(query, asked, ORGANIZATION_ORDERS[asked.sort], col(Organization.id), rows=rows)
    ).all()
    return found


_PROJECTS = columns(
    *(Project.id, Project.code, Project.name, Project.classification, Project.borough, Project.budget_won),
    *(Project.bid_notice_on, Project.begins_on, Project.ends_on, Project.completed_on),
    col(Organization.name).label("client"),
).join(Organization, col(Organization.id) == col(Project.client_id))


def projects(session: ReadSession, asked: Asked, *, today: date, rows: int = ROWS_A_PAGE) -> Sequence[Row[Any]]:
    """Read a page of projects with their clients' names, and one row more. One query."""
    query = _PROJECTS
    if kind := asked.filter("kind"):
        named = rules.one_of("kind of work", kind, project_rules.CLASSIFICATIONS)
        query = query.where(Project.classification == named)
    if borough := asked.filter("borough"):
        query = query.where(Project.borough == borough)
    if state := asked.filter("state"):
        over = col(Project.completed_on) <= today
        running = col(Project.completed_on).is_(None) | (col(Project.completed_on) > today)
        query = query.where(over if rules.one_of("state", state, PROJECT_STATES) == "completed" else running)
    if client := asked.filter("client"):
        query = query.where(begins(col(Organization.name), client))
    if asked.q:
        query = query.where(begins(col(Project.name), asked.q) | begins(col(Project.code), asked.q))
    found: Sequence[Row[Any]] = session.exec(
        paged(query, asked, PROJECT_ORDERS[asked.sort], col(Project.id), rows=rows)
    ).all()
    return found


@dataclass(frozen=True, slots=True)
class Held:
    """A card with who holds it now."""

    id: int
    token: str
    kind: str
    state: str
    from_at: datetime | None
    """Since when somebody within reach holds it; None: nobody does."""
    worker_id: int | None
    holder: str = ""
    holder_no: str | None = None


def cards(
    session: ReadSession, asked: Asked, *, now: datetime, names: bool, rows: int = ROWS_A_PAGE
) -> tuple[list[Held], str]:
    """Read a page of cards with their holders, and what follows, in one query. `names`: whether they may be seen.

    The text searched for is the beginning of a card's number or, with `names`, of its holder's name.
    """
    held_now = and_(col(CardAssignment.card_id) == col(Card.id), *_lasting(CardAssignment, now))
    facts = (Card.id, Card.token, Card.kind, Card.state, CardAssignment.from_at, CardAssignment.worker_id)
    query = columns(*facts).select_from(Card).join(CardAssignment, held_now, isouter=True)
    if names:
        query = query.join(Worker, col(Worker.id) == col(CardAssignment.worker_id), isouter=True)
        query = query.add_columns(col(Worker.name), col(Worker.worker_no))
    if state := asked.filter("state"):
        query = query.where(Card.state == rules.one_of("state", state, tuple(wording.CARD_STATES)))
    if kind := asked.filter("kind"):
        query = query.where(Card.kind == rules.one_of("kind", kind, rules.CARD_KINDS))
    if asked.q:
        query = query.where(_card_sought(asked.q, now=now, names=names))
    found = session.exec(paged(query, asked, CARD_ORDERS[asked.sort], col(Card.id), rows=rows)).all()
    held = [Held(*one) for one in found[:rows]]
    whose.also(session, {one.worker_id for one in held if one.worker_id is not None})
    return held, following(found, CARD_ORDERS[asked.sort], limit=rows)


def _card_sought(text: str, *, now: datetime, names: bool) -> ColumnElement[bool]:
    if not names or NUMBER.match(text.lower()):
        return begins(col(Card.token), text.lower())
    of_name = (
        select(CardAssignment.card_id)
        .join(Worker, col(Worker.id) == col(CardAssignment.worker_id))
        .where(begins(col(Worker.name), text), *_lasting(CardAssignment, now))
    )
    return col(Card.id).in_(of_name)


def _lasting(model: type[CardAssignment | Bar], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (col(model.from_at) <= now, col(model.until_at).is_(None) | (col(model.until_at) > now))


def bars(
    session: ReadSession, asked: Asked, *, now: datetime, rows: int = ROWS_A_PAGE
) -> tuple[Sequence[tuple[Bar, Worker, str | None]], str]:
    """Read a page of bars with the worker and the site's name (None: every site), and what follows. One query."""
    query = (
        select(Bar, Worker, Site.name)
        .join(Worker, col(Worker.id) == col(Bar.worker_id))
        .join(Site, col(Site.id) == col(Bar.site_id), isouter=True)
    )
    if state := asked.filter("state"):
        over = col(Bar.until_at) <= now
        query = query.where(
            over if rules.one_of("state", state, BAR_STATES) == "over" else col(Bar.until_at).is_(None) | ~over
        )
    if site := asked.filter("site"):
        query = query.where((col(Site.code) == site) | col(Bar.site_id).is_(None))
    if asked.q:
        query = query.where(begins(col(Worker.name), asked.q))
    found = session.exec(paged(query, asked, BAR_ORDERS[asked.sort], col(Bar.id), rows=rows)).all()
    return found[:rows], following([one[0] for one in found], BAR_ORDERS[asked.sort], limit=rows)


def projects_ordered(session: ReadSession, *, organization_id: int) -> Sequence[Project]:
    """Return the projects that an organization ordered, within reach, by code; so many at most."""
    query = select(Project).where(Project.client_id == organization_id).order_by(col(Project.code))
    return session.exec(query.limit(ROWS_BELOW_MAX)).all()


def sites_worked_on(session: ReadSession, *, organization_id: int) -> Sequence[tuple[SiteEmployer, Site]]:
    """Return the sites that an organization works or worked on, within reach, newest first; so many at most."""
    query = (
        select(SiteEmployer, Site)
        .join(Site, col(Site.id) == col(SiteEmployer.site_id))
        .where(SiteEmployer.organization_id == organization_id)
        .order_by(col(SiteEmployer.from_on).desc(), col(SiteEmployer.id))
    )
    return session.exec(query.limit(ROWS_BELOW_MAX)).all()


def sites_of_project(session: ReadSession, *, project_id: int) -> Sequence[Site]:
    """Return a project's sites within reach, by code; so many at most."""
    query = select(Site).where(Site.project_id == project_id).order_by(col(Site.code))
    return session.exec(query.limit(ROWS_BELOW_MAX)).all()


def holders(session: ReadSession, *, card_id: int) -> Sequence[tuple[CardAssignment, Worker]]:
    """Return whose card it was, within reach, newest first; so many at most."""
    query = (
        select(CardAssignment, Worker)
        .join(Worker, col(Worker.id) == col(CardAssignment.worker_id))
        .where(CardAssignment.card_id == card_id)
        .order_by(col(CardAssignment.from_at).desc())
    )
    return session.exec(query.limit(ROWS_BELOW_MAX)).all()


def project_of_site(session: ReadSession, site: Site) -> Project | None:
    """Return a site's project, when it is within reach."""
    return session.get(Project, site.project_id)


def employers_on(session: ReadSession, *, site_id: int, on: date) -> Sequence[tuple[SiteEmployer, Organization]]:
    """Return who works on a site on a day, within reach, by tier and name; so many at most."""
    query = (
        select(SiteEmployer, Organization)
        .join(Organization, col(Organization.id) == col(SiteEmployer.organization_id))
        .where(
            SiteEmployer.site_id == site_id,
            col(SiteEmployer.from_on) <= on,
            col(SiteEmployer.until_on).is_(None) | (col(SiteEmployer.until_on) > on),
        )
        .order_by(col(SiteEmployer.tier), col(Organization.name))
    )
    return session.exec(query.limit(ROWS_BELOW_MAX)).all()


def zones(session: ReadSession, *, site_id: int) -> Sequence[Zone]:
    """Return a site's zones and gates, by code; so many at most."""
    query = select(Zone).where(Zone.site_id == site_id).order_by(col(Zone.code))
    return session.exec(query.limit(ROWS_BELOW_MAX)).all()


def passes(session: ReadSession | WriteSession, *, site_id: int, on: date) -> Sequence[DayPass]:
    """Return who came on a day, and whoever came before and has not left; newest first, so many at most."""
    query = select(DayPass).where(
        DayPass.site_id == site_id,
        (col(DayPass.on_day) == on) | (col(DayPass.left_at).is_(None) & (col(DayPass.on_day) < on)),
    )
    return session.exec(query.order_by(col(DayPass.entered_at).desc()).limit(PASSES_AN_ANSWER_MAX)).all()
