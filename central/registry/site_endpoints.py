"""The registry's JSON API for what a site keeps of its own: zones, the day's visitors and drivers, terminals' lives."""

# ruff: noqa: FAST003, PLR0917 - the site guard reads {code}; FastAPI's dependencies are parameters

from __future__ import annotations

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from central.audit.tags import Tag
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.looks import Looks
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.kit.db import ReadSession, WriteSession
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, decode_cursor
from central.registry import record_repository, repository, site_records, terminals
from central.registry import record_schemas as schemas
from central.registry.endpoints import (
    CodeInPath,
    Now,
    RowId,
    SiteRead,
    SiteReading,
    SiteWrite,
    SiteWriting,
    TerminalRead,
    TerminalReading,
    changes,
    page_of,
    view_of,
)
from central.registry.schemas import Page
from central.registry.sessions import confined_reading, confined_writing

router = APIRouter(prefix="/api/v1", tags=["registry"])

zone_view = view_of(schemas.ZoneView)
pass_view = view_of(schemas.DayPassView)
step_view = view_of(schemas.TerminalEventView)

PassRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_DAY_PASS_READ))]
PassWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_DAY_PASS_WRITE))]
PassReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_DAY_PASS_READ))]
PassWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_DAY_PASS_WRITE))]


@router.get("/sites/{code}/zones")
def list_zones(
    site: SiteRead, session: SiteReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> Page[schemas.ZoneView]:
    """List a site's zones and gates."""
    query = record_repository.zones_query(site_id=site.id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=zone_view)


@router.post("/sites/{code}/zones", status_code=201, response_model=schemas.ZoneView)
def create_zone(
    site: SiteWrite, body: schemas.ZoneGiven, session: SiteWriting, actor: CurrentActor, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register a zone or a gate."""

    def work() -> schemas.ZoneView:
        row = site_records.register_zone(session, site_id=site.id, **body.model_dump(), actor=actor.key, now=now)
        return zone_view(row)

    return once.write(session, body, work, now=now)


@router.patch("/sites/{code}/zones/{row_id}")
def amend_zone(
    site: SiteWrite, row_id: RowId, body: schemas.ZoneAmended, session: SiteWriting, actor: CurrentActor, now: Now
) -> schemas.ZoneView:
    """Rename a zone, or close it."""
    row = site_records.amend_zone(
        session, site_id=site.id, row_id=row_id, changes=changes(body), actor=actor.key, now=now
    )
    return zone_view(row)


@router.get("/sites/{code}/day-passes")
def list_day_passes(
    request: Request,
    site: PassRead,
    session: PassReading,
    actor: CurrentActor,
    now: Now,
    on: Annotated[date | None, Query(description="The site's day; today when absent.")] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> Page[schemas.DayPassView]:
    """List the visitors and drivers of a day. Each look is audited."""
    looks: Looks = request.app.state.looks
    looks.note(actor, Tag.DAY_PASS_LOOK, f"site:{site.id}", now=now, detail={})
    day = on or now.astimezone(ZoneInfo(site.timezone)).date()
    query = record_repository.day_passes_query(site_id=site.id, on=day)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=pass_view)


@router.post("/sites/{code}/day-passes", status_code=201, response_model=schemas.DayPassView)
def let_in(
    site: PassWrite, body: schemas.DayPassGiven, session: PassWriting, actor: CurrentActor, once: WriteOnce, now: Now
) -> JSONResponse:
    """Let a visitor or driver in."""

    def work() -> schemas.DayPassView:
        given = body.model_dump() | {"entered_at": body.entered_at or now}
        row = site_records.let_in(session, site_id=site.id, timezone=site.timezone, **given, actor=actor.key, now=now)
        return pass_view(row)

    return once.write(session, body, work, now=now)


@router.patch("/sites/{code}/day-passes/{row_id}")
def let_out(
    site: PassWrite, row_id: RowId, body: schemas.DayPassEnded, session: PassWriting, actor: CurrentActor, now: Now
) -> schemas.DayPassView:
    """Record that a visitor or driver left."""
    row = site_records.let_out(
        session, site_id=site.id, row_id=row_id, left_at=body.left_at or now, actor=actor.key, now=now
    )
    return pass_view(row)


@router.get("/sites/{code}/terminals/{terminal}/events")
def list_terminal_events(
    terminal: CodeInPath,
    site: TerminalRead,
    session: TerminalReading,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> Page[schemas.TerminalEventView]:
    """List the steps of a terminal's life."""
    row = terminals.terminal(session, site_id=site.id, code=terminal)
    query = record_repository.terminal_events_query(terminal_id=row.id or 0)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=step_view)
