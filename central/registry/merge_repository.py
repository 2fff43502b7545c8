"""Queries for merging two workers: they look at everything of the two, within the asker's reach or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, func, or_, select, update

from central.registry.confinement import BEYOND_REACH
from central.registry.models import Bar, Card, CardAssignment, Employment, Worker
from central.registry.record_models import LabourContract, WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from central.kit.db import WriteSession

HELD = {
    "employments": Employment,
    "labour_contracts": LabourContract,
    "papers": WorkerPaper,
    "bars": Bar,
    "card_assignments": CardAssignment,
}
"""What a worker holds: every table of the registry that names one. Tests compare the list with the foreign keys."""


def lock_workers(session: WriteSession, ids: Sequence[int]) -> None:
    """Let one merge of these workers at a time go on, and read them anew: the one before may have changed them.

    Whoever was merged into one of them is locked as well, in one order: a merge lets them name another.
    """
    either = or_(col(Worker.id).in_(ids), col(Worker.merged_into_id).in_(ids))
    query = select(Worker).where(either).order_by(col(Worker.id)).with_for_update()
    session.exec(query, execution_options=BEYOND_REACH | {"populate_existing": True}).all()


def entries_of(session: WriteSession, *, worker_id: int) -> list[int]:
    """Return a worker's own entry and those that were merged into it."""
    query = select(Worker.id).where((col(Worker.id) == worker_id) | (col(Worker.merged_into_id) == worker_id))
    return [row_id for row_id in session.exec(query, execution_options=BEYOND_REACH).all() if row_id is not None]


def held_beyond_reach(session: WriteSession, *, worker_id: int) -> bool:
    """Whether the worker was ever employed where the session does not reach."""
    query = select(func.count()).select_from(Employment).where(Employment.worker_id == worker_id)
    return session.exec(query).one() < session.exec(query, execution_options=BEYOND_REACH).one()


def spells(session: WriteSession, *, worker_id: int) -> list[tuple[int, date, date | None]]:
    """Return where and when a worker was employed."""
    query = select(Employment).where(Employment.worker_id == worker_id)
    rows = session.exec(query, execution_options=BEYOND_REACH).all()
    return [(row.site_id, row.from_on, row.until_on) for row in rows]


def tokens_of(session: WriteSession, *, worker_id: int) -> list[str]:
    """Return the tokens of every card that was ever the worker's."""
    query = (
        select(Card.token)
        .join(CardAssignment, col(CardAssignment.card_id) == col(Card.id))
        .where(CardAssignment.worker_id == worker_id)
        .distinct()
    )
    return sorted(session.exec(query, execution_options=BEYOND_REACH).all())


def sites_of(session: WriteSession, *, worker_id: int) -> list[int]:
    """Return the sites on whose roll a worker ever was."""
    query = select(Employment.site_id).where(Employment.worker_id == worker_id).distinct()
    return sorted(session.exec(query, execution_options=BEYOND_REACH).all())


def point_on(session: WriteSession, *, from_id: int, to_id: int) -> list[int]:
    """Let whoever was merged into one worker name another; return their ids."""
    table = Worker.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
    statement = update(table).where(table.c.merged_into_id == from_id).values(merged_into_id=to_id)
    return sorted(session.execute(statement.returning(table.c.id), execution_options=BEYOND_REACH).scalars())


def count_rows(session: WriteSession, *, worker_id: int) -> dict[str, int]:
    """Count what would move, by what it is."""
    found = {}
    for name, model in HELD.items():
        column = model.__table__.c.worker_id  # type: ignore[attr-defined]  # SQLModel types its tables no further
        query = select(func.count()).select_from(model).where(column == worker_id)
        found[name] = session.exec(query, execution_options=BEYOND_REACH).one()
    return found


def note_given(session: WriteSession, assignments: Sequence[int], *, now: datetime) -> None:
    """Note that these cards became the worker's now, whosever they were before."""
    query = update(CardAssignment).where(col(CardAssignment.id).in_(assignments)).values(given_at=now)
    session.exec(query.execution_options(synchronize_session=False, **BEYOND_REACH))


def move_rows(session: WriteSession, *, from_id: int, to_id: int) -> dict[str, list[int]]:
    """Give every row of one worker to another; return the ids that moved, by what they are."""
    moved = {}
    for name, model in HELD.items():
        table = model.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
        statement = update(table).where(table.c.worker_id == from_id).values(worker_id=to_id).returning(table.c.id)
        moved[name] = sorted(session.execute(statement, execution_options=BEYOND_REACH).scalars())
    return moved
