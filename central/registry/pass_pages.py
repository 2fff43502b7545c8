"""Visitors and drivers of a day: who is in, letting somebody in, out, or in again. Made for a phone at the gate."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from central.audit.tags import Tag
from central.identity.guards import CurrentActor, SiteRef
from central.identity.looks import Looks
from central.identity.permissions import Permission
from central.identity.policy import Actor
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.forms import Filled, FormSent, Posted, on, read, say
from central.kit.web import language_of, page
from central.registry import inputs, lists, record_schemas, site_records, wording
from central.registry.endpoints import Now, RowId
from central.registry.project_pages import DayText, read_day
from central.registry.record_models import DayPass
from central.registry.site_endpoints import PassRead, PassReading, PassWrite, PassWriting

router = APIRouter(include_in_schema=False)


@router.get("/sites/{code}/day-passes")
def passes_page(
    request: Request, site: PassRead, session: PassReading, actor: CurrentActor, now: Now, on: DayText = ""
) -> Response:
    """Show who came as a visitor or driver on a day, those still inside first, whenever they came."""
    return _shown(request, session, site, actor, Filled({"kind": "visitor"}), now=now, day=on)


@router.post("/sites/{code}/day-passes", dependencies=[FormSent])
def let_in(
    request: Request, site: PassWrite, posted: Posted, session: PassWriting, actor: CurrentActor, now: Now
) -> Response:
    """Let somebody in now."""
    given, wrong = read(inputs.day_pass(language_of(request)), posted, record_schemas.DayPassGiven)
    if given is None:
        filled = Filled(posted, wrong, wrong.pop("", ""), HTTPStatus.UNPROCESSABLE_ENTITY)
        return _shown(request, session, site, actor, filled, now=now)
    facts = given.model_dump(exclude={"entered_at"})
    try:
        site_records.let_in(
            session, site_id=site.id, timezone=site.timezone, **facts, entered_at=now, actor=actor.key, now=now
        )
    except (Invalid, Conflict, NotFound) as refusal:
        session.rollback()
        name = str(refusal.extensions.get("field", ""))
        beside = {name: refusal.message} if name else {}
        filled = Filled(posted, beside, "" if name else refusal.message, refusal.status)
        return _shown(request, session, site, actor, filled, now=now)
    return _on(request, site, say("They are inside and counted."))


@router.post("/sites/{code}/day-passes/{row_id}/out", dependencies=[FormSent])
def let_out(
    request: Request, site: PassWrite, row_id: RowId, session: PassWriting, actor: CurrentActor, now: Now
) -> Response:
    """Record that somebody left. Whoever tapped wrongly lets them in again, from the same page."""
    site_records.let_out(session, site_id=site.id, row_id=row_id, left_at=now, actor=actor.key, now=now)
    return _on(request, site, say("They have left. If that was a mistake, let them in again below."))


@router.post("/sites/{code}/day-passes/{row_id}/again", dependencies=[FormSent])
def let_in_again(
    request: Request, site: PassWrite, row_id: RowId, session: PassWriting, actor: CurrentActor, now: Now
) -> Response:
    """Let somebody in again who left, with the facts of their last pass."""
    row = session.get(DayPass, row_id)
    if row is None or row.site_id != site.id:
        raise NotFound("The site has no such pass. Open the page of its visitors again.")
    facts = row.model_dump(include={"kind", "name", "company", "phone", "plate", "host"})
    site_records.let_in(
        session, site_id=site.id, timezone=site.timezone, **facts, entered_at=now, actor=actor.key, now=now
    )
    return _on(request, site, say("They are inside and counted."))


def _on(request: Request, site: SiteRef, done: str) -> Response:
    return on(request, f"/sites/{site.code}/day-passes", done)


def _shown(
    request: Request,
    session: ReadSession | WriteSession,
    site: SiteRef,
    actor: Actor,
    filled: Filled,
    *,
    now: datetime,
    day: str = "",
) -> Response:
    looks: Looks = request.app.state.looks
    looks.note(actor, Tag.DAY_PASS_LOOK, f"site:{site.id}", now=now, detail={})
    shown = read_day(day, now, ZoneInfo(site.timezone))
    rows = lists.passes(session, site_id=site.id, on=shown)
    return page(
        request,
        "registry/day_passes.html",
        status=filled.status,
        site=site,
        inside=[one for one in rows if one.left_at is None],
        left=[one for one in rows if one.left_at is not None],
        filled=filled,
        fields=inputs.day_pass(language_of(request)),
        today=read_day("", now, ZoneInfo(site.timezone)),
        on=shown,
        words=wording,
        may_write=Permission.REGISTRY_DAY_PASS_WRITE in site.permissions,
    )
