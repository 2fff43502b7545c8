"""The page of a month at a site, and its files."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from central.attendance.agreed import AgreedDay, recorded_among
from central.attendance.endpoints import looks_of
from central.attendance.month import Employed, Stretch, WorkersMonth, month_of_site, totals
from central.attendance.month_endpoints import WorkersReading, WorkersSite
from central.audit.tags import Tag
from central.identity.guards import CurrentActor, SiteRef
from central.identity.permissions import Permission
from central.kit import tables
from central.kit.errors import Invalid
from central.kit.web import page, translate
from central.registry import whose

if TYPE_CHECKING:
    from datetime import date, datetime

ROWS_SHOWN_MAX = 300
WORKERS_MAX = 10_000
"""In one month at one site."""

router = APIRouter(include_in_schema=False)

AskedMonth = Annotated[str, Query(max_length=7)]
Text = Annotated[str, Query(max_length=200)]


def say(message: str) -> str:
    """Mark a sentence for translation."""
    return message


DAY_HEADS = (
    say("Name"),
    say("Worker number"),
    say("Employer"),
    say("Day"),
    say("First entry"),
    say("Last exit"),
    say("Taps"),
    say("To look at"),
    say("Agreed entry"),
    say("Agreed exit"),
)


@router.get("/sites/{code}/days")
def month_page(
    request: Request,
    site: WorkersSite,
    session: WorkersReading,
    actor: CurrentActor,
    month: AskedMonth = "",
    employer: Text = "",
) -> Response:
    """Show each worker's days of a month, and their sums."""
    now = request.app.state.clock.now()
    month = month or f"{_today(now, site):%Y-%m}"
    reach = actor.reach(Permission.ATTENDANCE_WORKER_READ)
    asked = month_of_site(session, site, month=month, reach=reach, now=now)
    rows = _rows(asked)
    shown = [row for row in rows if employer in {"", row.who.employer}]
    agreed = [(who, day) for who, day in _unrecorded(asked, rows) if employer in {"", who.employer}]
    return page(
        request,
        "attendance/month.html",
        site=site,
        month=month,
        earlier=f"{asked.first - timedelta(days=1):%Y-%m}",
        later=f"{asked.after:%Y-%m}" if asked.after <= _today(now, site) else "",
        rows=shown[:ROWS_SHOWN_MAX],
        rows_total=len(shown),
        sums=totals(shown),
        agreed=agreed[:ROWS_SHOWN_MAX],
        agreed_total=len(agreed),
        employers=sorted({row.who.employer for row in rows if row.who.employer}),
        employer=employer,
        now=now,
    )


@router.get("/sites/{code}/days.{form}")
def export_month(  # noqa: PLR0917 - one parameter for each part of the query
    request: Request,
    form: Literal["csv", "xlsx"],
    site: WorkersSite,
    session: WorkersReading,
    actor: CurrentActor,
    month: AskedMonth,
    employer: Text = "",
) -> Response:
    """Hand the month out as a file, a line a day; each one is in the audit trail before it is sent."""
    now = request.app.state.clock.now()
    reach = actor.reach(Permission.ATTENDANCE_WORKER_READ)
    asked = month_of_site(session, site, month=month, reach=reach, now=now)
    rows = [row for row in _rows(asked) if employer in {"", row.who.employer}]
    agreed = [(who, day) for who, day in asked.agreed() if employer in {"", who.employer}]
    detail = {"form": form, "month": month, "employer": employer, "workers_total": totals(rows)["workers"]}
    subject, workers = f"site:{site.id}", whose.take(session)
    looks_of(request).record(actor, Tag.DAYS_EXPORT, subject, now=now, detail=detail, workers=workers)
    heads = [translate(request, head) for head in DAY_HEADS]
    return tables.answer([heads, *_lines(rows, agreed, site)], form=form, name=f"days-{site.code}-{month}")


def _rows(asked: Stretch) -> list[WorkersMonth]:
    workers = asked.workers
    if len(workers) > WORKERS_MAX:
        raise Invalid("So many worked here that a page cannot hold them. Ask the API, a page of workers at a time.")
    return sorted(asked.of(workers), key=lambda row: (row.who.name, row.who.worker_id, row.who.employer))


def _unrecorded(asked: Stretch, rows: list[WorkersMonth]) -> list[tuple[Employed, AgreedDay]]:
    """List the days that were agreed on and of which no terminal recorded an entry or an exit."""
    recorded = recorded_among((row.who.worker_id, day) for row in rows for day in row.days)
    return [(who, day) for who, day in asked.agreed() if (day.worker_id, day.site, day.on) not in recorded]


def _lines(rows: list[WorkersMonth], agreed: list[tuple[Employed, AgreedDay]], site: SiteRef) -> list[list[str]]:
    """Write a line a day; what was agreed stands in the last two columns, on a line of its own where nobody tapped."""
    zone = ZoneInfo(site.timezone)

    def clock(at: datetime | None) -> str:
        return "" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"

    said = {(day.worker_id, day.on): (who, day) for who, day in agreed}
    lines = []
    for row in rows:
        for day in row.days:
            _, beside = said.pop((row.who.worker_id, day.on), (None, None))
            times = [clock(day.first_in_at), clock(day.last_out_at), str(day.taps), " ".join(day.doubts)]
            lines.append([*_who(row.who), day.on.isoformat(), *times, *_agreed(beside)])
    return lines + [[*_who(who), day.on.isoformat(), "", "", "0", "", *_agreed(day)] for who, day in said.values()]


def _who(who: Employed) -> list[str]:
    return [who.name, who.worker_no or "", who.employer]


def _agreed(day: AgreedDay | None) -> list[str]:
    return [day.first_in, day.last_out] if day is not None else ["", ""]


def _today(now: datetime, site: SiteRef) -> date:
    return now.astimezone(ZoneInfo(site.timezone)).date()
