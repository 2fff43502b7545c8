"""Pages of a site: what it is and who works there as of a day, its zones and gates, registering and closing it."""

# ruff: noqa: FAST003, PLR0917 - the site and project guards read {code}; dependencies are parameters

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor, ProjectRef, SiteRef, project_guard
from central.identity.permissions import Permission
from central.identity.policy import permissions_on
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import NotFound
from central.kit.forms import Filled, Form, FormSent, Posted, Second, say, show, submit, typed_of, with_suggestions
from central.kit.web import language_of, page, translate
from central.registry import (
    choosing,
    inputs,
    lists,
    places,
    record_repository,
    record_schemas,
    site_records,
    typed,
    wording,
)
from central.registry.endpoints import Now, RowId, SiteRead, SiteReading, SiteWrite, SiteWriting, changes
from central.registry.models import Site, SiteEmployer, Zone
from central.registry.project_pages import DayText, read_day

router = APIRouter(include_in_schema=False)
ProjectToBuildIn = Annotated[ProjectRef, Depends(project_guard(Permission.REGISTRY_SITE_WRITE))]


@router.get("/sites/{code}/about")
def site_page(
    request: Request, site: SiteRead, session: SiteReading, actor: CurrentActor, now: Now, on: DayText = ""
) -> Response:
    """Show a site as of a day: its facts, who works there, its zones and gates, and where to go on."""
    row = session.get_one(Site, site.id)
    day = read_day(on, now)
    held = permissions_on(actor, site.id)
    return page(
        request,
        "registry/site.html",
        site=row,
        project=lists.project_of_site(session, row),
        employers=lists.employers_on(session, site_id=site.id, on=day),
        zones=lists.zones(session, site_id=site.id),
        on=day,
        words=wording,
        may_change=Permission.REGISTRY_SITE_WRITE in held,
        may_pass=Permission.REGISTRY_DAY_PASS_READ in held,
        may_roll=bool(actor.reach(Permission.REGISTRY_WORKER_READ)),
        may_employ=bool(actor.reach(Permission.REGISTRY_WORKER_WRITE)),
    )


# -- the site itself


@router.get("/projects/{code}/sites/new")
def new_site(request: Request, project: ProjectToBuildIn) -> Response:
    """Ask for a new site of a project."""
    return show(request, _new_form(request, project.code))


@router.post("/projects/{code}/sites/new", dependencies=[FormSent])
def register_site(
    request: Request,
    project: ProjectToBuildIn,
    posted: Posted,
    session: SiteWriting,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """Register a site."""

    def act(given: typed.SiteTyped) -> str:
        places.register_site(
            session,
            code=given.code,
            project_code=project.code,
            name=given.name,
            address=given.address,
            timezone=given.timezone,
            calendar=_calendar({}, given),
            actor=actor.key,
            now=now,
        )
        return f"/sites/{given.code}/about"

    done = say("The site is registered. Its employers come next.")
    return submit(request, session, _new_form(request, project.code), posted, typed.SiteTyped, act, done=done)


def _new_form(request: Request, code: str) -> Form:
    crumbs = [("/projects", translate(request, "Projects")), (f"/projects/{code}", code)]
    return Form(translate(request, "Register a site"), inputs.site(new=True), translate(request, "Save"), crumbs)


@router.get("/sites/{code}/edit")
def edit_site(request: Request, site: SiteWrite, session: SiteWriting) -> Response:
    """Ask for a site's facts anew."""
    row = session.get_one(Site, site.id)
    form = _about(request, site, translate(request, "Change its facts"), inputs.site(new=False))
    days = " ".join(row.calendar.get("closed", []))
    held = typed_of(row, form.inputs) | {"day_start": row.calendar.get("day_start", ""), "closed_days": days}
    return show(request, form, Filled(held))


@router.post("/sites/{code}/edit", dependencies=[FormSent])
def amend_site(
    request: Request, site: SiteWrite, posted: Posted, session: SiteWriting, actor: CurrentActor, now: Now
) -> Response:
    """Change a site's facts, or close it from a day on."""
    row = session.get_one(Site, site.id)
    form = _about(request, site, translate(request, "Change its facts"), inputs.site(new=False))

    def act(given: typed.SiteTyped) -> str:
        new = given.model_dump(include={"name", "address", "timezone", "closed_on"})
        new["calendar"] = _calendar(row.calendar, given)
        places.amend_site(session, site_id=site.id, changes=new, actor=actor.key, now=now)
        return _page_of(site)

    def look(given: typed.SiteTyped) -> Second | None:
        if given.closed_on is None or given.closed_on == row.closed_on:
            return None
        return _closing(request, session, site, given.closed_on)

    done = say("The site was changed.")
    return submit(request, session, form, posted, typed.SiteTyped, act, done=done, look=look)


def _closing(request: Request, session: WriteSession, site: SiteRef, day: date) -> Second:
    """Say what a site would still have when it closes: who closes it asks them to end, or waits."""
    there = record_repository.still_there(session, site_id=site.id, on=day)
    lines = [
        translate(request, "People employed here beyond that day: %(count)s.", count=there.people),
        translate(request, "Firms that stay on the site beyond that day: %(count)s.", count=there.firms),
        translate(request, "Terminals in service: %(count)s.", count=there.terminals),
        translate(request, "From then on nothing new begins here. Taps still count, and the site can be opened again."),
    ]
    question = translate(request, "Close the site from %(day)s on?", day=day)
    return Second(question, lines, translate(request, "Close the site"), for_good=False)


def _calendar(held: dict[str, Any], given: typed.SiteTyped) -> dict[str, Any]:
    """Put what was typed into a site's calendar; what the form does not ask stays."""
    made = {name: value for name, value in held.items() if name not in {"day_start", "closed"}}
    if given.day_start:
        made["day_start"] = given.day_start
    days = [one for one in re.split(r"[\s,;]+", given.closed_days) if one]
    return made | ({"closed": days} if days else {})


def _about(request: Request, site: SiteRef, title: str, fields: Any) -> Form:  # noqa: ANN401 - inputs
    crumbs = [("/", translate(request, "Sites")), (_page_of(site), site.name)]
    return Form(title, fields, translate(request, "Save"), crumbs)


def _page_of(site: SiteRef) -> str:
    return f"/sites/{site.code}/about"


# -- zones and gates


@router.get("/sites/{code}/zones/new")
def new_zone(request: Request, site: SiteWrite) -> Response:
    """Ask for a zone or a gate."""
    return show(request, _zone_form(request, site, None))


@router.post("/sites/{code}/zones/new", dependencies=[FormSent])
def register_zone(
    request: Request, site: SiteWrite, posted: Posted, session: SiteWriting, actor: CurrentActor, now: Now
) -> Response:
    """Register a zone or a gate."""

    def act(given: record_schemas.ZoneGiven) -> str:
        site_records.register_zone(session, site_id=site.id, **given.model_dump(), actor=actor.key, now=now)
        return _page_of(site)

    done = say("It is registered; terminals may name it now.")
    return submit(request, session, _zone_form(request, site, None), posted, record_schemas.ZoneGiven, act, done=done)


@router.get("/sites/{code}/zones/{row_id}/edit")
def edit_zone(request: Request, site: SiteWrite, row_id: RowId, session: SiteWriting) -> Response:
    """Ask for a zone's name and closing day anew."""
    row = _zone(session, site, row_id)
    form = _zone_form(request, site, row)
    return show(request, form, Filled(typed_of(row, form.inputs)))


@router.post("/sites/{code}/zones/{row_id}/edit", dependencies=[FormSent])
def amend_zone(
    request: Request,
    site: SiteWrite,
    row_id: RowId,
    posted: Posted,
    session: SiteWriting,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """Rename a zone, or close it."""
    row = _zone(session, site, row_id)

    def act(given: record_schemas.ZoneAmended) -> str:
        site_records.amend_zone(
            session, site_id=site.id, row_id=row_id, changes=changes(given), actor=actor.key, now=now
        )
        return _page_of(site)

    form = _zone_form(request, site, row)
    return submit(request, session, form, posted, record_schemas.ZoneAmended, act, done=say("It was changed."))


def _zone_form(request: Request, site: SiteRef, row: Zone | None) -> Form:
    title = translate(request, "Register a zone or gate") if row is None else f"{row.name} · {row.code}"
    return _about(request, site, title, inputs.zone(language_of(request), new=row is None))


def _zone(session: WriteSession, site: SiteRef, row_id: int) -> Zone:
    row = session.get(Zone, row_id)
    if row is None or row.site_id != site.id:
        raise NotFound("The site has no such zone. Open the site's page again.")
    return row


# -- employers


@router.get("/sites/{code}/employers/new")
def new_site_employer(request: Request, site: SiteWrite, session: SiteReading) -> Response:
    """Ask who works on the site."""
    offered = choosing.organizations_offered(session, "prime", "sub", "supplier")
    return show(request, with_suggestions(_employer_form(request, site), organization=offered))


@router.post("/sites/{code}/employers/new", dependencies=[FormSent])
def register_site_employer(
    request: Request, site: SiteWrite, posted: Posted, session: SiteWriting, actor: CurrentActor, now: Now
) -> Response:
    """Say that an employer works on the site."""

    def act(given: typed.SiteEmployerTyped) -> str:
        found = choosing.organization_named(session, given.organization, field="organization")
        terms = given.model_dump(exclude={"organization"})
        places.register_site_employer(
            session, site_id=site.id, organization_id=found.id or 0, **terms, actor=actor.key, now=now
        )
        return _page_of(site)

    form = _employer_form(request, site)
    done = say("The employer works on the site.")
    return submit(request, session, form, posted, typed.SiteEmployerTyped, act, done=done)


def _employer_form(request: Request, site: SiteRef) -> Form:
    title = translate(request, "Who works on the site")
    return _about(request, site, title, inputs.site_employer(language_of(request)))


@router.get("/sites/{code}/employers/{row_id}/end")
def ask_to_end_employer(request: Request, site: SiteWrite, row_id: RowId, session: SiteWriting) -> Response:
    """Ask for the end of an employer's time on the site."""
    row = _employer(session, site, row_id)
    held = {"until_on": str(row.until_on)} if row.until_on else {}
    return show(request, _employer_end_form(request, site, session, row), Filled(held))


@router.post("/sites/{code}/employers/{row_id}/end", dependencies=[FormSent])
def end_site_employer(
    request: Request,
    site: SiteWrite,
    row_id: RowId,
    posted: Posted,
    session: SiteWriting,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """Set the first day on which an employer no longer works on the site; nothing opens it again."""
    form = _employer_end_form(request, site, session, _employer(session, site, row_id))

    def act(given: typed.Ended) -> str:
        places.end_site_employer(
            session, site_id=site.id, row_id=row_id, until_on=given.until_on, actor=actor.key, now=now
        )
        return _page_of(site)

    return submit(request, session, form, posted, typed.Ended, act, done=say("The end was changed."))


def _employer_end_form(request: Request, site: SiteRef, session: WriteSession, row: SiteEmployer) -> Form:
    name = places.organization(session, organization_id=row.organization_id).name
    note = translate(request, "Roles that are held through this employer on the site end on that day.")
    title = translate(request, "End on the site: %(name)s", name=name)
    form = _about(request, site, title, inputs.UNTIL)
    return Form(form.title, form.inputs, form.action, form.crumbs, notes=[note])


def _employer(session: ReadSession | WriteSession, site: SiteRef, row_id: int) -> SiteEmployer:
    row = session.get(SiteEmployer, row_id)
    if row is None or row.site_id != site.id:
        raise NotFound("The site has no such employer. Open the site's page again.")
    return row
