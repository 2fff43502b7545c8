"""Who was employed on a site during a period, as far as the asker's session reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from sqlmodel import col, select

from central.registry.models import Employment, Organization, Worker

if TYPE_CHECKING:
    from central.kit.db import ReadSession


@dataclass(frozen=True, slots=True)
class Spell:
    """A worker's employment on a site; half-open, None while it lasts."""

    worker_id: int
    worker_no: str | None
    name: str
    employer_id: int
    employer: str
    trade: str
    from_on: date
    until_on: date | None

    def holds(self, on: date) -> bool:
        """Whether it holds on a day."""
        return self.from_on <= on and (self.until_on is None or on < self.until_on)


def employed(session: ReadSession, *, site_id: int, from_on: date, until_on: date) -> list[Spell]:
    """List the employments that touch [from_on, until_on) on a site, by worker and time; no test workers."""
    rows = session.exec(
        select(Employment, Worker, Organization.name)
        .join(Worker, col(Worker.id) == col(Employment.worker_id))
        .join(Organization, col(Organization.id) == col(Employment.employer_id))
        .where(
            Employment.site_id == site_id,
            col(Employment.from_on) < until_on,
            col(Employment.until_on).is_(None) | (col(Employment.until_on) > from_on),
            ~col(Worker.is_test),
        )
        .order_by(col(Employment.worker_id), col(Employment.from_on))
    ).all()
    return [
        Spell(
            worker_id=one.worker_id,
            worker_no=worker.worker_no,
            name=worker.name,
            employer_id=one.employer_id,
            employer=employer,
            trade=one.trade,
            from_on=one.from_on,
            until_on=one.until_on,
        )
        for one, worker, employer in rows
    ]
