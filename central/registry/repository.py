"""Queries of the registry: lists by cursor, and who or what something was at an instant.

A session of a request is cut to the asker's reach (`confinement`), so no query here filters by who is asking.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import insert, text
from sqlmodel import SQLModel, col, select, update

from central.registry.confinement import BEYOND_REACH
from central.registry.models import (
    Bar,
    Card,
    CardAssignment,
    Employment,
    Organization,
    Project,
    Site,
    SiteEmployer,
    Terminal,
    Worker,
)
from central.registry.record_models import CardEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from sqlalchemy import Row as SqlRow
    from sqlmodel.sql.expression import SelectOfScalar

    from central.kit.db import ReadSession, WriteSession

Row = TypeVar("Row")
SAME_PERSON_MAX = 20


def notify(session: WriteSession, channel: str, payload: str) -> None:
    """Send a notice when the transaction commits."""
    session.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})


def project_by_code(session: ReadSession | WriteSession, code: str) -> Project | None:
    """Find a project."""
    return session.exec(select(Project).where(Project.code == code)).one_or_none()


def site_by_code(session: ReadSession | WriteSession, code: str) -> Site | None:
    """Find a site."""
    return session.exec(select(Site).where(Site.code == code)).one_or_none()


def terminal_by_code(session: ReadSession | WriteSession, *, site_id: int, code: str) -> Terminal | None:
    """Find a site's terminal."""
    return session.exec(select(Terminal).where(Terminal.site_id == site_id, Terminal.code == code)).one_or_none()


def sites_employing(session: WriteSession, *, organization_id: int) -> list[int]:
    """Return the sites on whose roll an employer ever was, within reach or not: they are to be told."""
    query = select(Employment.site_id).where(Employment.employer_id == organization_id).distinct()
    return list(session.exec(query, execution_options=BEYOND_REACH).all())


def sites_of_worker(session: ReadSession | WriteSession, *, worker_id: int) -> list[int]:
    """Return the sites on whose roll a worker ever was, within reach or not: they are to be told."""
    query = select(Employment.site_id).where(Employment.worker_id == worker_id).distinct()
    return list(session.exec(query, execution_options=BEYOND_REACH).all())


def employer_on_site(session: WriteSession, *, site_id: int, organization_id: int, on: date) -> bool:
    """Whether an organization works on a site on a date."""
    query = select(SiteEmployer.id).where(
        SiteEmployer.site_id == site_id,
        SiteEmployer.organization_id == organization_id,
        col(SiteEmployer.from_on) <= on,
        col(SiteEmployer.until_on).is_(None) | (col(SiteEmployer.until_on) > on),
    )
    return session.exec(query.limit(1)).first() is not None


def site_closed_on(session: WriteSession, site_id: int) -> date | None:
    """Return the first day on which nothing begins on a site any more; None while it is open."""
    query = select(col(Site.closed_on)).where(Site.id == site_id)
    return session.exec(query, execution_options=BEYOND_REACH).one()


def worker_by_id(session: ReadSession | WriteSession, worker_id: int) -> Worker | None:
    """Find a worker within the session's reach."""
    return session.get(Worker, worker_id)


def worker_by_number(session: ReadSession | WriteSession, worker_no: str) -> Worker | None:
    """Find a worker by the association's number, within reach or not: whoever employs somebody names the number."""
    query = select(Worker).where(Worker.worker_no == worker_no)
    return session.exec(query, execution_options=BEYOND_REACH).one_or_none()


def card_by_id(session: ReadSession | WriteSession, card_id: int) -> Card | None:
    """Find a card within the session's reach."""
    return session.get(Card, card_id)


def move_card(session: WriteSession, *, card_id: int, from_state: str, to_state: str) -> bool:
    """Set a card's state if it is still what the decision was made on; true when this caller did it."""
    done = session.exec(
        update(Card)
        .where(col(Card.id) == card_id, col(Card.state) == from_state)
        .values(state=to_state)
        .execution_options(synchronize_session=False, **BEYOND_REACH)
    )
    return done.rowcount == 1


def holders_between(
    session: ReadSession | WriteSession, *, card_id: int, other_than: int, from_at: datetime, until_at: datetime
) -> list[int]:
    """Return the other workers who held a card at any time between, within reach or not."""
    query = (
        select(CardAssignment.worker_id)
        .where(
            CardAssignment.card_id == card_id,
            CardAssignment.worker_id != other_than,
            col(CardAssignment.from_at) < until_at,
            col(CardAssignment.until_at).is_(None) | (col(CardAssignment.until_at) > from_at),
        )
        .distinct()
    )
    return sorted(session.exec(query, execution_options=BEYOND_REACH).all())


def same_name_and_birth(session: ReadSession | WriteSession, worker: Worker) -> list[int]:
    """Return the other workers within reach with this name and date of birth: the same person, perhaps."""
    query = select(Worker.id).where(
        Worker.name == worker.name,
        Worker.birth_on == worker.birth_on,
        Worker.id != worker.id,
        col(Worker.merged_into_id).is_(None),
    )
    return sorted(row_id for row_id in session.exec(query.limit(SAME_PERSON_MAX)).all() if row_id is not None)


def list_rows(session: ReadSession, query: SelectOfScalar[Row], *, after: int, limit: int) -> Sequence[Row]:
    """Return up to `limit` + 1 rows of one entity with ids above `after`, in order of id: one query."""
    entity = query.column_descriptions[0]["entity"]
    return session.exec(query.where(entity.id > after).order_by(entity.id).limit(limit + 1)).all()


def organizations_query(*, kind: str | None) -> SelectOfScalar[Organization]:
    """Select organizations, of one kind when given."""
    return select(Organization).where(*([Organization.kind == kind] if kind else []))


def projects_query() -> SelectOfScalar[Project]:
    """Select projects."""
    return select(Project)


def site_employers_query(*, site_id: int) -> SelectOfScalar[SiteEmployer]:
    """Select the employers of a site."""
    return select(SiteEmployer).where(SiteEmployer.site_id == site_id)


def terminals_query(*, site_id: int) -> SelectOfScalar[Terminal]:
    """Select the terminals of a site."""
    return select(Terminal).where(Terminal.site_id == site_id)


def assignments_query(*, card_id: int) -> SelectOfScalar[CardAssignment]:
    """Select whose card it was."""
    return select(CardAssignment).where(CardAssignment.card_id == card_id)


def bars_query(*, worker_id: int) -> SelectOfScalar[Bar]:
    """Select a worker's bars."""
    return select(Bar).where(Bar.worker_id == worker_id)


def sites_query() -> SelectOfScalar[Site]:
    """Select sites."""
    return select(Site)


def workers_query(*, worker_no: str | None) -> SelectOfScalar[Worker]:
    """Select workers, by worker number when given; those merged into others are left out."""
    found = select(Worker).where(col(Worker.merged_into_id).is_(None))
    return found.where(Worker.worker_no == worker_no) if worker_no else found


def employments_query(*, site_id: int, on: date | None) -> SelectOfScalar[Employment]:
    """Select a site's roll: all periods, or those that hold on a date."""
    found = select(Employment).where(Employment.site_id == site_id)
    if on is None:
        return found
    return found.where(
        col(Employment.from_on) <= on, col(Employment.until_on).is_(None) | (col(Employment.until_on) > on)
    )


def card_events_query(*, card_id: int) -> SelectOfScalar[CardEvent]:
    """Select the steps of a card's life."""
    return select(CardEvent).where(CardEvent.card_id == card_id)


def cards_query(*, token: str | None) -> SelectOfScalar[Card]:
    """Select cards, by token when given."""
    found = select(Card)
    return found.where(Card.token == token) if token else found


def card_in_hand(session: WriteSession, token: str) -> Card | None:
    """Find a card by its token, within reach or not."""
    return session.exec(select(Card).where(Card.token == token), execution_options=BEYOND_REACH).one_or_none()


def current_holders(
    session: ReadSession | WriteSession, *, cards: Sequence[int], now: datetime
) -> dict[int, CardAssignment]:
    """Return who holds these cards at `now`, in one query."""
    if not cards:
        return {}
    rows = session.exec(
        select(CardAssignment).where(
            col(CardAssignment.card_id).in_(cards),
            col(CardAssignment.from_at) <= now,
            col(CardAssignment.until_at).is_(None) | (col(CardAssignment.until_at) > now),
        )
    ).all()
    return {row.card_id: row for row in rows}


def employers_by_word(session: WriteSession, *, site_id: int) -> dict[str, int]:
    """Return the organizations that ever worked on a site by business number and by name; a shared name is left out."""
    rows = session.exec(
        select(Organization.id, Organization.business_no, Organization.name)
        .join(SiteEmployer, col(SiteEmployer.organization_id) == col(Organization.id))
        .where(SiteEmployer.site_id == site_id)
        .distinct()
    ).all()
    names = Counter(name for _, _, name in rows)
    by_name = {name: row_id for row_id, _, name in rows if row_id is not None and names[name] == 1}
    return by_name | {number: row_id for row_id, number, _ in rows if row_id is not None and number}


def workers_numbered(session: WriteSession, numbers: Sequence[str]) -> Sequence[tuple[int, str, str]]:
    """Return (id, worker_no, name) of the workers with these numbers."""
    query = text("SELECT id, worker_no, name FROM registry_worker WHERE worker_no = ANY(:numbers)")
    return [(row[0], row[1], row[2]) for row in session.execute(query, {"numbers": list(numbers)})]


def cards_by_token(session: WriteSession, tokens: Sequence[str]) -> dict[str, int]:
    """Return the ids of these cards, as far as they are registered."""
    query = text("SELECT token, id FROM registry_card WHERE token = ANY(:tokens)")
    return {row[0]: row[1] for row in session.execute(query, {"tokens": list(tokens)})}


def cards_not_givable(session: WriteSession, tokens: Sequence[str]) -> dict[str, str]:
    """Return token and state of those cards that nobody may get."""
    query = text(
        "SELECT token, state FROM registry_card WHERE token = ANY(:tokens) AND state NOT IN ('stock', 'issued')"
    )
    return {row[0]: row[1] for row in session.execute(query, {"tokens": list(tokens)})}


def issue_cards(session: WriteSession, tokens: Sequence[str], *, actor: str, now: datetime) -> None:
    """Note that these cards became somebody's."""
    query = text("""
WITH moved AS (
    UPDATE registry_card SET state = 'issued' WHERE token = ANY(:tokens) AND state = 'stock' RETURNING id
)
INSERT INTO registry_card_event (card_id, event, from_state, to_state, at, recorded_at, recorded_by, note)
SELECT id, 'issue', 'stock', 'issued', :now, :now, :actor, '' FROM moved
""")
    session.execute(query, {"tokens": list(tokens), "now": now, "actor": actor})


def holdings_named(session: WriteSession, tokens: Sequence[str]) -> Sequence[SqlRow[Any]]:
    """Return (token, worker_id, name, from_at, until_at) of every assignment of these cards."""
    query = text("""
SELECT c.token, w.id AS worker_id, w.name, a.from_at, a.until_at
FROM registry_card_assignment a JOIN registry_card c ON c.id = a.card_id JOIN registry_worker w ON w.id = a.worker_id
WHERE c.token = ANY(:tokens)
""")
    return session.execute(query, {"tokens": list(tokens)}).all()


def employments_on(session: WriteSession, *, site_id: int, workers: Sequence[int]) -> Sequence[SqlRow[Any]]:
    """Return (worker_id, employer_id, trade, from_on, until_on) of these workers on a site."""
    query = text("""
SELECT worker_id, employer_id, trade, from_on, until_on FROM registry_employment
WHERE site_id = :site_id AND worker_id = ANY(:workers)
""")
    return session.execute(query, {"site_id": site_id, "workers": list(workers)}).all()


def employer_periods(session: WriteSession, *, site_id: int) -> Sequence[tuple[int, date, date | None]]:
    """Return (organization_id, from_on, until_on) of every employer of a site."""
    query = text("SELECT organization_id, from_on, until_on FROM registry_site_employer WHERE site_id = :site_id")
    return [(row[0], row[1], row[2]) for row in session.execute(query, {"site_id": site_id})]


def sites_of_workers(session: WriteSession, workers: Sequence[int]) -> list[int]:
    """Return the sites on whose roll any of these workers ever was."""
    query = text("SELECT DISTINCT site_id FROM registry_employment WHERE worker_id = ANY(:workers)")
    return [row[0] for row in session.execute(query, {"workers": list(workers)})]


def insert_all(session: WriteSession, table: type[SQLModel], rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert rows of one table and return their ids, in the order given."""
    if not rows:
        return []
    made = insert(table).returning(table.__table__.c.id, sort_by_parameter_order=True)  # type: ignore[attr-defined]  # SQLModel types its tables no further
    return list(session.execute(made, rows).scalars())


def spells_of(session: ReadSession, *, worker_id: int, rows_max: int) -> Sequence[tuple[Employment, str, str]]:
    """Return a worker's employments with the employer's and the site's name, newest first."""
    query = (
        select(Employment, Organization.name, Site.name)
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .join(Site, col(Site.id) == col(Employment.site_id))
        .where(Employment.worker_id == worker_id)
        .order_by(col(Employment.from_on).desc())
    )
    return session.exec(query.limit(rows_max)).all()


def cards_of(session: ReadSession, *, worker_id: int, rows_max: int) -> Sequence[tuple[Card, CardAssignment]]:
    """Return the cards that were a worker's, newest first."""
    query = (
        select(Card, CardAssignment)
        .join(CardAssignment, col(CardAssignment.card_id) == col(Card.id))
        .where(CardAssignment.worker_id == worker_id)
        .order_by(col(CardAssignment.from_at).desc())
    )
    return session.exec(query.limit(rows_max)).all()
