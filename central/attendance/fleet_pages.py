"""Pages of the terminals: the fleet worst first, and one terminal with its life."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from central.attendance import commissioning, fleet, fleet_repository, fleet_wording, wording
from central.attendance.fleet import FleetAsked
from central.identity.guards import CurrentActor, SiteRef, reach_guard, site_guard
from central.identity.permissions import Permission
from central.identity.policy import Reach, allowed
from central.kit import tables
from central.kit.db import ReadSession, psycopg_of, read_session
from central.kit.i18n import date_time
from central.kit.web import language_of, page
from central.registry import terminals
from central.registry.sessions import confined_reading
from central.registry.states import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

router = APIRouter(include_in_schema=False)

TerminalReach = Annotated[Reach, Depends(reach_guard(Permission.REGISTRY_TERMINAL_READ))]
TerminalRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_TERMINAL_READ))]
TerminalReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_TERMINAL_READ))]
TerminalCode = Annotated[str, Path(max_length=40)]
Text = Annotated[str, Query(max_length=100)]


def asked_fleet(
    q: Text = "",
    state: Text = "",
    trouble: Text = "",
    sort: Text = "worst",
    start: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> FleetAsked:
    """Read what the fleet is asked for from the query."""
    return FleetAsked(q=q.replace("\0", ""), state=state, trouble=trouble, sort=sort or "worst", start=start)


Asked = Annotated[FleetAsked, Depends(asked_fleet)]


def _rows(request: Request, reach: Reach) -> Sequence[fleet.FleetRow]:
    with read_session(request.app.state.engine) as session:
        return fleet_repository.fleet(psycopg_of(session), sites=reach.whole_sites)


@router.get("/terminals")
def fleet_page(request: Request, reach: TerminalReach, asked: Asked) -> Response:
    """Show the terminals within reach, worst first. One query, however many."""
    now = request.app.state.clock.now()
    found = fleet.look_over(_rows(request, reach), asked, as_of=now)
    return page(request, "attendance/fleet.html", found=found, asked=asked, words=fleet_wording, as_of=now, fleet=fleet)


@router.get("/terminals.{form}")
def export_fleet(request: Request, form: Literal["csv", "xlsx"], reach: TerminalReach, asked: Asked) -> Response:
    """Hand out the fleet as it is filtered and sorted."""
    now, language = request.app.state.clock.now(), language_of(request)
    found = fleet.look_over(_rows(request, reach), asked, as_of=now, rows_max=None)
    lines = [fleet_wording.heads(language), *(fleet_wording.line(language, one) for one in found.rows)]
    return tables.answer(lines, form=form, name=f"terminals-{now:%Y%m%d-%H%M}")


@router.get("/sites/{code}/terminals/{terminal}")
def terminal_page(
    request: Request, terminal: TerminalCode, site: TerminalRead, session: TerminalReading, actor: CurrentActor
) -> Response:
    """Show one terminal: what it last said, what is wrong, its life, and the steps that are possible now."""
    now = request.app.state.clock.now()
    row = terminals.terminal(session, site_id=site.id, code=terminal)
    said = fleet_repository.fleet(psycopg_of(session), sites=[site.id], code=terminal)
    since = terminals.installed_at(session, row=row)
    return page(
        request,
        "attendance/terminal.html",
        site=site,
        terminal=row,
        found=fleet.judge(said[0], as_of=now),
        steps=terminals.history(session, terminal_id=row.id or 0),
        tested_at=commissioning.test_tap_at(session, terminal_id=row.id or 0, since=since),
        possible=sorted(TERMINAL.events(row.state), key=list(fleet_wording.STEPS).index)
        if allowed(actor, Permission.REGISTRY_TERMINAL_WRITE, site_id=site.id)
        else [],
        may_headcount=Permission.SITE_HEADCOUNT_READ in site.permissions,
        words=fleet_wording,
        freshness=wording.FRESHNESS,
        as_of=now,
        when=lambda at: date_time(at, site.timezone),
    )
