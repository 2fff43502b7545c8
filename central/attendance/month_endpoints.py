"""The JSON API for a contractor's month: the days and the taps of its workers at a site."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from central.attendance.agreed import recorded_among
from central.attendance.month import Stretch, month_of_site
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.permissions import Permission
from central.kit.db import ReadSession
from central.kit.paging import Cursor, decode_cursor, encode_cursor
from central.registry.sessions import confined_reading

if TYPE_CHECKING:
    from central.attendance.agreed import AgreedDay
    from central.attendance.days import Day
    from central.attendance.month import DatedTap, Employed

WORKERS_A_PAGE_MAX = 200
WORKERS_A_PAGE = 50

router = APIRouter(prefix="/api/v1", tags=["a contractor's month"])

WorkersSite = Annotated[SiteRef, Depends(site_guard(Permission.ATTENDANCE_WORKER_READ, partly=True))]
WorkersReading = Annotated[ReadSession, Depends(confined_reading(Permission.ATTENDANCE_WORKER_READ))]
AskedMonth = Annotated[str, Query(description="A calendar month of the site, like 2026-11.", examples=["2026-11"])]
Workers = Annotated[int, Query(ge=1, le=WORKERS_A_PAGE_MAX, description="Workers a page, each with all of theirs.")]

_WHO = {"worker_id": 17, "worker_no": "C-20417", "name": "김철수", "employer": "두레철근"}
DAY_EXAMPLE = _WHO | {
    "site": "site-07",
    "on": "2026-11-20",
    "first_in_at": "2026-11-19T21:58:12Z",
    "last_out_at": "2026-11-20T08:04:40Z",
    "taps": 2,
    "refused": 0,
    "doubts": [],
}
AGREED_EXAMPLE = {"on": "2026-11-23", "first_in": "07:30", "last_out": "17:00", "recorded": False}
TAP_EXAMPLE = _WHO | {
    "journal_id": "01931f3e-8d2a-7c41-9b5e-3f6a2d90c1e7",
    "seq": 12345,
    "site": "site-07",
    "terminal": "gate-01",
    "on": "2026-11-20",
    "occurred_at": "2026-11-19T21:58:12Z",
    "time_basis": "measured",
    "time_error_ms": 5,
    "received_at": "2026-11-19T21:58:12.341Z",
    "direction": "in",
    "decision": "accepted",
    "assurance": 3,
    "hash": "6f1c0d9be2a44b10c0f5d1a8de2f3b7a6f1c0d9be2a44b10c0f5d1a8de2f3b7a",
}


class Whose(BaseModel):
    """A worker, and the employer for whom they were there; empty for who stands on no roll of the site."""

    worker_id: int
    worker_no: str | None
    name: str
    employer: str


class WorkersDay(Whose):
    """One worker's day at the site. What is missing is null and named in `doubts`, never filled in."""

    site: str
    on: date
    first_in_at: datetime | None
    last_out_at: datetime | None
    taps: int
    refused: int
    doubts: list[str]


class WorkersTapView(Whose):
    """One stored tap; `journal_id` and `seq` name it for ever. `on` is the day it counts for, null for none."""

    journal_id: UUID
    seq: int
    site: str
    terminal: str
    on: date | None
    occurred_at: datetime
    time_basis: str
    time_error_ms: int | None
    received_at: datetime
    direction: str
    decision: str
    assurance: int | None
    hash: str


class AgreedDayView(Whose):
    """A day that the worker objected to and the employer or the client agreed on, in the site's own time.

    It stands beside `items` and is counted in none of them. `recorded`: whether a terminal recorded an entry or an exit
    on that day too.
    """

    site: str
    on: date
    first_in: str | None
    last_out: str | None
    recorded: bool


class DaysPage(BaseModel):
    """A part of the month's days, by worker; `next_cursor` is null at the end."""

    month: str
    as_of: datetime
    items: list[WorkersDay]
    agreed: list[AgreedDayView]
    next_cursor: str | None


class TapsPage(BaseModel):
    """A part of the month's taps, by worker and time; `next_cursor` is null at the end."""

    month: str
    as_of: datetime
    items: list[WorkersTapView]
    next_cursor: str | None


def _example(item: dict[str, Any], **beside: Any) -> dict[int | str, dict[str, Any]]:  # noqa: ANN401 - JSON
    body = {"month": "2026-11", "as_of": "2026-12-01T00:10:00Z", "items": [item], **beside, "next_cursor": None}
    return {200: {"content": {"application/json": {"example": body}}}}


class Part(NamedTuple):
    """A page of a site's month: the workers on it, and the cursor of the next one."""

    stretch: Stretch
    workers: Sequence[int]
    following: str | None
    as_of: datetime
    after: int
    """Workers up to this one were on the pages before."""

    def holds(self, worker_id: int) -> bool:
        """Whether what is known of a worker belongs to this page, be they among its workers or between them."""
        return self.after < worker_id and (self.following is None or worker_id <= self.workers[-1])


def _part(  # noqa: PLR0917 - one parameter for each part of the query
    request: Request,
    site: WorkersSite,
    session: WorkersReading,
    actor: CurrentActor,
    month: AskedMonth,
    limit: Workers = WORKERS_A_PAGE,
    cursor: Cursor = None,
) -> Part:
    now = request.app.state.clock.now()
    stretch = month_of_site(session, site, month=month, reach=actor.reach(Permission.ATTENDANCE_WORKER_READ), now=now)
    after = decode_cursor(cursor)
    rest = [worker_id for worker_id in stretch.workers if worker_id > after]
    following = encode_cursor(rest[limit - 1]) if len(rest) > limit else None
    return Part(stretch, rest[:limit], following, now, after)


AskedPart = Annotated[Part, Depends(_part)]


@router.get(
    "/sites/{code}/days",
    responses=_example(DAY_EXAMPLE, agreed=[_WHO | {"site": "site-07"} | AGREED_EXAMPLE]),
)
def month_days(site: WorkersSite, month: AskedMonth, part: AskedPart) -> DaysPage:
    """Every worker's days of a month at a site, for each employer: yours, or all where you see the whole site.

    What was agreed after an objection stands beside them in `agreed`.
    """
    rows = part.stretch.of(part.workers)
    recorded = recorded_among((row.who.worker_id, day) for row in rows for day in row.days)
    return DaysPage(
        month=month,
        as_of=part.as_of,
        items=[day_view(site.code, row.who, day) for row in rows for day in row.days],
        agreed=[_agreed_view(who, day, recorded) for who, day in part.stretch.agreed() if part.holds(who.worker_id)],
        next_cursor=part.following,
    )


@router.get("/sites/{code}/worker-taps", responses=_example(TAP_EXAMPLE))
def month_taps(site: WorkersSite, month: AskedMonth, part: AskedPart) -> TapsPage:
    """Every tap behind those days, with the hash of the terminal's own bytes: a figure goes back to its evidence."""
    items = [tap_view(site.code, one) for one in part.stretch.taps_of(part.workers)]
    return TapsPage(month=month, as_of=part.as_of, items=items, next_cursor=part.following)


def day_view(site: str, who: Employed, day: Day) -> WorkersDay:
    """Lay a day out for the API."""
    return WorkersDay(
        **_facts(who),
        site=site,
        on=day.on,
        first_in_at=day.first_in_at,
        last_out_at=day.last_out_at,
        taps=day.taps,
        refused=day.refused,
        doubts=list(day.doubts),
    )


def _agreed_view(who: Employed, day: AgreedDay, recorded: set[tuple[int, str, date]]) -> AgreedDayView:
    return AgreedDayView(
        **_facts(who),
        site=day.site,
        on=day.on,
        first_in=day.first_in or None,
        last_out=day.last_out or None,
        recorded=(day.worker_id, day.site, day.on) in recorded,
    )


def tap_view(site: str, one: DatedTap) -> WorkersTapView:
    """Lay a tap out for the API."""
    tap = one.tap
    return WorkersTapView(
        **_facts(one.who),
        journal_id=tap.journal_id,
        seq=tap.seq,
        site=site,
        terminal=tap.terminal,
        on=one.on,
        occurred_at=tap.occurred_at,
        time_basis=tap.time_basis,
        time_error_ms=tap.time_error_ms,
        received_at=tap.received_at,
        direction=tap.direction,
        decision=tap.decision,
        assurance=tap.assurance,
        hash=tap.hash,
    )


def _facts(who: Employed) -> dict[str, Any]:
    return {
        "worker_id": who.worker_id,
        "worker_no": who.worker_no,
        "name": who.name,
        "employer": who.employer,
    }
