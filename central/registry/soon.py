"""What falls due soon, within the session's reach: workers' papers that end, projects that began or end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import exists, func
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from central.registry.models import Employment, Project, Worker
from central.registry.record_models import WorkerPaper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from central.kit.db import ReadSession

SOON = timedelta(days=30)
LATELY = timedelta(days=14)
"""A project's relationship is reported within so many days of its beginning (DOMAIN §2.1, Act Art. 10-4)."""
PAPERS_OVER_MAX = timedelta(days=60)
"""Papers that ended longer ago are no news of the day."""


def papers(session: ReadSession, *, today: date, rows_max: int) -> tuple[int, Sequence[tuple[WorkerPaper, Worker]]]:
    """Count the papers, of people who are employed today, that ended lately or end soon; return the first ones."""
    later = aliased(WorkerPaper)
    renewed = exists().where(
        col(later.worker_id) == col(WorkerPaper.worker_id),
        col(later.kind) == col(WorkerPaper.kind),
        col(later.withdrawn_at).is_(None),
        col(later.from_on) > col(WorkerPaper.from_on),
    )
    employed = exists().where(
        col(Employment.worker_id) == col(WorkerPaper.worker_id),
        col(Employment.from_on) <= today,
        col(Employment.until_on).is_(None) | (col(Employment.until_on) > today),
    )
    due: tuple[ColumnElement[bool], ...] = (
        col(WorkerPaper.withdrawn_at).is_(None),
        col(WorkerPaper.until_on).between(today - PAPERS_OVER_MAX, today + SOON),
        ~renewed,
        employed,
        col(Worker.is_test).is_(False),
    )
    join = col(Worker.id) == col(WorkerPaper.worker_id)
    total = session.exec(select(func.count()).select_from(WorkerPaper).join(Worker, join).where(*due)).one()
    query = select(WorkerPaper, Worker).join(Worker, join).where(*due)
    rows = session.exec(query.order_by(col(WorkerPaper.until_on), col(WorkerPaper.id)).limit(rows_max)).all()
    return total, rows


@dataclass(frozen=True, slots=True)
class Due:
    """Projects that something is due of: how many, and code, name and day of the first ones."""

    total: int
    projects: tuple[tuple[str, str, date | None], ...]


def ending(session: ReadSession, *, today: date, rows_max: int) -> Due:
    """Count the projects that run today, and return those that are to end soon or should have."""
    runs = (
        col(Project.completed_on).is_(None),
        (col(Project.begins_on) <= today) | col(Project.begins_on).is_(None),
    )
    total = session.exec(select(func.count()).select_from(Project).where(*runs)).one()
    query = select(Project).where(*runs, col(Project.ends_on) <= today + SOON)
    rows = session.exec(query.order_by(col(Project.ends_on), col(Project.id)).limit(rows_max)).all()
    return Due(total, tuple((one.code, one.name, one.ends_on) for one in rows))


def begun(session: ReadSession, *, today: date, rows_max: int) -> Due:
    """Count and return the projects that began lately, the newest first."""
    lately = col(Project.begins_on).between(today - LATELY, today)
    total = session.exec(select(func.count()).select_from(Project).where(lately)).one()
    query = select(Project).where(lately).order_by(col(Project.begins_on).desc(), col(Project.id))
    rows = session.exec(query.limit(rows_max)).all()
    return Due(total, tuple((one.code, one.name, one.begins_on) for one in rows))
