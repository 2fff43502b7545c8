"""Pages of attendance: the sites, the headcount of one, its exports, and quarantine."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from central.attendance import exports, records, wording
from central.attendance.endpoints import (
    CurrentActor,
    HeadcountSite,
    PeopleSite,
    QuarantineReader,
    board_of,
    looks_of,
    note_people,
    past_headcount,
    reached,
)
from central.attendance.headcount import SITE_REASONS, TROUBLED
from central.attendance.listing import Choice, chosen, tally
from central.audit.tags import Tag
from central.identity.permissions import Permission
from central.identity.policy import allowed, own_employers
from central.kit.db import read_session
from central.kit.errors import Invalid
from central.kit.web import language_of, page

if TYPE_CHECKING:
    from central.attendance.headcount import Headcount
    from central.identity.guards import SiteRef
    from central.identity.policy import Actor

PEOPLE_SHOWN_MAX = 300
TEXT_CHARS_MAX = 200

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Query(max_length=TEXT_CHARS_MAX)]


def asked_choice(employer: Text = "", trade: Text = "", zone: Text = "", confidence: Text = "", q: Text = "") -> Choice:
    """Read the filter of the people list from the query."""
    return Choice(employer=employer, trade=trade, zone=zone, confidence=confidence, q=q)


AskedChoice = Annotated[Choice, Depends(asked_choice)]


@router.get("/sites")
def sites(request: Request, actor: CurrentActor, q: Text = "", after: Text = "") -> Response:
    """List the sites that the person may see, with the workers inside each."""
    state = request.app.state
    with read_session(state.engine) as session:
        mine = actor.reach(Permission.SITE_HEADCOUNT_READ)
        rows, following = records.site_list(session, reach=mine, now=state.clock.now(), search=q, after=after)
    return page(
        request,
        "attendance/sites.html",
        sites=rows,
        following=following,
        q=q,
        as_of=state.clock.now(),
        may_register=allowed(actor, Permission.REGISTRY_SITE_WRITE),
    )


@router.get("/sites/{code}")
async def headcount_page(  # noqa: PLR0917 - one parameter for each part of the query
    request: Request,
    site: HeadcountSite,
    actor: CurrentActor,
    choice: AskedChoice,
    true_at: Text = "",
    known_at: Text = "",
    everybody: Annotated[bool, Query(alias="all")] = False,  # noqa: FBT002 - a query flag
) -> Response:
    """Show who is inside now and keep it live, or look back when an instant is asked for."""
    past = bool(true_at or known_at)
    if past:
        instants = {"true_at": local_instant(true_at, site), "known_at": local_instant(known_at, site)}
        found = await run_in_threadpool(past_headcount, request, site, **instants)
    else:
        found = (await board_of(request).current(site.id)).headcount
    found = reached(actor, site, found)
    given = {"past": past, "true_at": true_at, "known_at": known_at, "everybody": everybody}
    return await run_in_threadpool(
        _show, request, "attendance/headcount.html", site=site, actor=actor, found=found, choice=choice, **given
    )


@router.get("/sites/{code}/live")
async def live_part(
    request: Request,
    site: HeadcountSite,
    actor: CurrentActor,
    choice: AskedChoice,
    everybody: Annotated[bool, Query(alias="all")] = False,  # noqa: FBT002 - a query flag
) -> Response:
    """Render the part of the headcount page below the figures again."""
    found = reached(actor, site, (await board_of(request).current(site.id)).headcount)
    given = {"past": False, "true_at": "", "known_at": "", "everybody": everybody}
    return await run_in_threadpool(
        _show, request, "attendance/live.html", site=site, actor=actor, found=found, choice=choice, **given
    )


def _show(
    request: Request,
    template: str,
    *,
    site: SiteRef,
    actor: Actor,
    found: Headcount,
    choice: Choice,
    **given: Any,  # noqa: ANN401 - passed on to the template
) -> Response:
    whole = own_employers(actor, Permission.SITE_HEADCOUNT_READ, site_id=site.id) is None
    # An employer reads its own people's names in its list of workers as well.
    may_see_people = Permission.SITE_PEOPLE_READ in site.permissions or not whole
    people = chosen(found.people, choice) if may_see_people else []
    if may_see_people:
        note_people(request, actor, site, found)
    shown = people if given["everybody"] else people[:PEOPLE_SHOWN_MAX]
    return page(
        request,
        template,
        site=site,
        found=found,
        choice=choice,
        people=shown,
        people_total=len(people),
        may_see_people=may_see_people,
        may_take_along=Permission.SITE_PEOPLE_READ in site.permissions,
        whole=whole,
        tallies={name: tally(found.people, name) for name in ("employer", "trade", "last_zone")},
        troubled=[terminal for terminal in found.terminals if terminal.freshness in TROUBLED],
        words=wording,
        shared_reasons=[code for code in SITE_REASONS if found.people and code in found.people[0].reasons],
        instants="".join(f"&{name}={quote(given[name])}" for name in ("true_at", "known_at") if given[name]),
        **given,
    )


def local_instant(text: str, site: SiteRef) -> datetime | None:
    """Read `2026-11-22T09:00` as the site's wall clock; empty is None."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no date and time: write it like 2026-11-22T09:00") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(site.timezone))


@router.get("/sites/{code}/headcount.{form}")
def export(  # noqa: PLR0917 - one parameter for each part of the query
    request: Request,
    form: Literal["csv", "xlsx", "pdf"],
    site: PeopleSite,
    actor: CurrentActor,
    choice: AskedChoice,
    true_at: Text = "",
    known_at: Text = "",
) -> Response:
    """Hand out the list as a file; each one is in the audit trail before it is sent."""
    instants = {"true_at": local_instant(true_at, site), "known_at": local_instant(known_at, site)}
    found = past_headcount(request, site, **instants)
    people = chosen(found.people, choice)
    detail = {"form": form, "people": len(people), "filter": choice.query()}
    now = request.app.state.clock.now()
    workers = [one.worker_id for one in people if one.worker_id is not None]
    looks_of(request).record(actor, Tag.PEOPLE_EXPORT, f"site:{site.id}", now=now, detail=detail, workers=workers)
    sheet = exports.Sheet(
        site_code=site.code,
        site_name=site.name,
        timezone=site.timezone,
        language=language_of(request),
        headcount=found,
        people=tuple(people),
        filtered=choice.active,
        asked_by=actor.name,
        printed_at=now,
        true_at=instants["true_at"],
        known_at=instants["known_at"],
    )
    headers = {
        "Content-Disposition": f'attachment; filename="{exports.file_name(sheet, form)}"',
        "Cache-Control": "no-store",
    }
    return Response(exports.write(sheet, form), media_type=exports.MEDIA_TYPES[form], headers=headers)


@router.get("/quarantine")
def quarantine(
    request: Request, actor: QuarantineReader, cursor: Annotated[str, Query(max_length=20)] = "", reason: Text = ""
) -> Response:
    """Show what was received and could not be counted."""
    state = request.app.state
    looks_of(request).note(actor, Tag.QUARANTINE_LOOK, "quarantine", now=state.clock.now(), detail={})
    with read_session(state.engine) as session:
        found = records.quarantine(session, cursor=cursor or None, rows_max=50, reason=reason or None)
        reasons = records.quarantine_reasons(session)
    return page(
        request,
        "attendance/quarantine.html",
        found=found,
        reasons=reasons,
        reason=reason,
        words=wording,
        timezone="UTC",
    )
