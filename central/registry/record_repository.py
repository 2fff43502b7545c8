"""Queries on papers, labour contracts, day passes, zones and the lives of terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmodel import col, distinct, func, select, text, update

from central.registry.confinement import BEYOND_REACH
from central.registry.models import Employment, Organization, Site, SiteEmployer, Terminal, Zone
from central.registry.record_models import DayPass, LabourContract, TerminalEvent, WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from sqlmodel.sql.expression import SelectOfScalar

    from central.kit.db import ReadSession, WriteSession

EVENTS_SHOWN_MAX = 200


class StillThere(NamedTuple):
    """What a site would still have on the day that it closes, as counts."""

    people: int
    firms: int
    terminals: int


def still_there(session: WriteSession, *, site_id: int, on: date) -> StillThere:
    """Count who is employed on a site and which firms work there beyond a day, and its terminals in service."""
    people = select(func.count(distinct(col(Employment.worker_id)))).where(
        Employment.site_id == site_id, col(Employment.until_on).is_(None) | (col(Employment.until_on) > on)
    )
    firms = select(func.count(distinct(col(SiteEmployer.organization_id)))).where(
        SiteEmployer.site_id == site_id, col(SiteEmployer.until_on).is_(None) | (col(SiteEmployer.until_on) > on)
    )
    terminals = select(func.count(col(Terminal.id))).where(Terminal.site_id == site_id, Terminal.in_service)
    return StillThere(*(session.exec(query).one() for query in (people, firms, terminals)))


def papers_query(*, worker_id: int) -> SelectOfScalar[WorkerPaper]:
    """Select a worker's papers, withdrawn ones too."""
    return select(WorkerPaper).where(WorkerPaper.worker_id == worker_id)


def labour_contracts_query(*, worker_id: int) -> SelectOfScalar[LabourContract]:
    """Select a worker's labour contracts."""
    return select(LabourContract).where(LabourContract.worker_id == worker_id)


def labour_contracts_named(
    session: ReadSession, *, worker_id: int, rows_max: int
) -> Sequence[tuple[LabourContract, str, str]]:
    """Return a worker's labour contracts with the employer's and the site's name, newest first."""
    query = (
        select(LabourContract, Organization.name, Site.name)
        .join(Organization, col(Organization.id) == col(LabourContract.employer_id))
        .join(Site, col(Site.id) == col(LabourContract.site_id))
        .where(LabourContract.worker_id == worker_id)
        .order_by(col(LabourContract.from_on).desc())
    )
    return session.exec(query.limit(rows_max)).all()


def day_passes_query(*, site_id: int, on: date) -> SelectOfScalar[DayPass]:
    """Select a site's day passes of a day."""
    return select(DayPass).where(DayPass.site_id == site_id, DayPass.on_day == on)


def zones_query(*, site_id: int) -> SelectOfScalar[Zone]:
    """Select a site's zones and gates."""
    return select(Zone).where(Zone.site_id == site_id)


def terminal_events_query(*, terminal_id: int) -> SelectOfScalar[TerminalEvent]:
    """Select the steps of a terminal's life."""
    return select(TerminalEvent).where(TerminalEvent.terminal_id == terminal_id)


def last_terminal_events(session: ReadSession | WriteSession, *, terminal_id: int) -> Sequence[TerminalEvent]:
    """Return the last steps of a terminal's life, newest first."""
    query = terminal_events_query(terminal_id=terminal_id).order_by(col(TerminalEvent.id).desc())
    return session.exec(query.limit(EVENTS_SHOWN_MAX)).all()


def move_terminal(session: WriteSession, *, terminal_id: int, from_state: str, to_state: str, in_service: bool) -> bool:
    """Set a terminal's state if it is still what the decision was made on; true when this caller did it."""
    done = session.exec(
        update(Terminal)
        .where(col(Terminal.id) == terminal_id, col(Terminal.state) == from_state)
        .values(state=to_state, in_service=in_service)
        .execution_options(synchronize_session=False, **BEYOND_REACH)
    )
    return done.rowcount == 1


_CHANGED_CARDS = text(
    "INSERT INTO registry_changed_card (token, changed_at)"
    " SELECT t, clock_timestamp() FROM unnest(CAST(:tokens AS text[])) t"
)


def note_changed_cards(session: WriteSession, tokens: Collection[str]) -> None:
    """Write down that the taps of these cards are to be resolved again; a row each, so that nobody waits for a row."""
    session.execute(_CHANGED_CARDS, {"tokens": sorted(tokens)})
