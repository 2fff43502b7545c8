"""The JSON API for a worker's days."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel

from central.attendance.agreed import agreed_days, recorded_among
from central.attendance.diary import month_bounds, worker_days
from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.kit.db import ReadSession
from central.registry import workers
from central.registry.sessions import confined_reading

router = APIRouter(prefix="/api/v1", tags=["attendance"])

RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
PeopleReading = Annotated[ReadSession, Depends(confined_reading(Permission.SITE_PEOPLE_READ))]
Month = Annotated[str, Query(description="A calendar month of the sites, like 2026-11.", examples=["2026-11"])]


def person(worker_id: RowId, session: PeopleReading) -> int:
    """Find the worker of the path, or 404, before anything else is looked at."""
    return workers.worker(session, worker_id=worker_id).id or 0


Person = Annotated[int, Depends(person)]


class DayView(BaseModel):
    """One day at one site. What is missing is null and named in `doubts`, never filled in."""

    site: str
    on: date
    first_in_at: datetime | None
    last_out_at: datetime | None
    taps: int
    refused: int
    doubts: list[str]


class AgreedView(BaseModel):
    """A day that was agreed on after an objection, in the site's own time; `recorded`: a terminal knows of it too."""

    site: str
    on: date
    first_in: str | None
    last_out: str | None
    recorded: bool


class WorkerDays(BaseModel):
    """A worker's month. Days without a tap are not listed, but where they were agreed on: beside, in `agreed`."""

    worker_id: int
    month: str
    as_of: datetime
    days: list[DayView]
    agreed: list[AgreedView]


_EXAMPLE = {
    "worker_id": 17,
    "month": "2026-11",
    "as_of": "2026-11-22T00:41:04.120Z",
    "days": [
        {
            "site": "site-07",
            "on": "2026-11-21",
            "first_in_at": "2026-11-20T21:58:12Z",
            "last_out_at": "2026-11-21T08:04:40Z",
            "taps": 4,
            "refused": 0,
            "doubts": [],
        }
    ],
    "agreed": [{"site": "site-07", "on": "2026-11-20", "first_in": "07:30", "last_out": "17:00", "recorded": False}],
}


@router.get("/workers/{worker_id}/days", responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}})
def days(request: Request, worker_id: Person, month: Month, session: PeopleReading, actor: CurrentActor) -> WorkerDays:
    """First entry and last exit of each day, site by site, on the sites where you may see people. Looks are audited.

    A day is the site's; a shift belongs to the day it began on. A day with an entry counts as worked.
    """
    sites = actor.reach(Permission.SITE_PEOPLE_READ).whole_sites
    now = request.app.state.clock.now()
    found = worker_days(session, worker_id=worker_id, month=month, sites=sites, now=now)
    listed = [DayView.model_validate(day, from_attributes=True) for day in found]
    first, after = month_bounds(month)
    recorded = recorded_among((worker_id, day) for day in found)
    agreed = [
        AgreedView(
            site=one.site,
            on=one.on,
            first_in=one.first_in or None,
            last_out=one.last_out or None,
            recorded=(worker_id, one.site, one.on) in recorded,
        )
        for one in agreed_days(session, first=first, after=after, worker_id=worker_id)
    ]
    return WorkerDays(worker_id=worker_id, month=month, as_of=now, days=listed, agreed=agreed)
