"""Pages of projects: the list, one project with its contracts as of a day, registering and changing it, its sites."""

# ruff: noqa: FAST003 - the project guard reads {code}

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor, ProjectRef
from central.identity.permissions import Permission
from central.identity.policy import allowed
from central.identity.saved_views import views_of
from central.kit.db import ReadSession
from central.kit.errors import Invalid
from central.kit.forms import Filled, Form, FormSent, Posted, say, show, submit, typed_of, with_suggestions
from central.kit.lists import ROWS_A_PAGE, TEXT_CHARS_MAX, Asked, asked_for, following
from central.kit.sentences import sentence
from central.kit.web import language_of, page, translate
from central.registry import (
    choosing,
    contract_repository,
    contracts,
    inputs,
    lists,
    places,
    project_rules,
    schemas,
    typed,
    wording,
)
from central.registry.cards import ZONE
from central.registry.contract_endpoints import ChainRead, ContractReading, rows_of
from central.registry.endpoints import Now, ProjectReading, ProjectWrite, ProjectWriter, ProjectWriting, changes
from central.registry.models import Project
from central.registry.sessions import confined_reading

router = APIRouter(include_in_schema=False)

AskedList = Annotated[
    Asked, Depends(asked_for("/projects", sorts=tuple(lists.PROJECT_ORDERS), filters=lists.PROJECT_FILTERS))
]
DayText = Annotated[str, Query(max_length=TEXT_CHARS_MAX)]
ProjectChanging = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_PROJECT_WRITE))]


@router.get("/projects")
def projects_page(
    request: Request, session: ProjectReading, actor: CurrentActor, asked: AskedList, now: Now
) -> Response:
    """List the projects within reach."""
    found = lists.projects(session, asked, today=now.astimezone(ZONE).date())
    language = language_of(request)
    return page(
        request,
        "registry/projects.html",
        asked=asked,
        saved=views_of(session, actor, asked.path),
        rows=found[:ROWS_A_PAGE],
        following=following(found, lists.PROJECT_ORDERS[asked.sort]),
        kinds=wording.words_of(language, wording.CLASSIFICATIONS),
        boroughs=wording.Words((code, wording.borough(language, code)) for code in project_rules.boroughs()),
        states=wording.words_of(language, wording.PROJECT_STATES),
        may_register=allowed(actor, Permission.REGISTRY_PROJECT_WRITE),
    )


@router.get("/new/project")
def new_project(request: Request, _: ProjectWriter, session: ProjectChanging) -> Response:
    """Ask for a new project."""
    form = with_suggestions(_form(request, None), client=choosing.organizations_offered(session, "client"))
    return show(request, form)


@router.post("/new/project", dependencies=[FormSent])
def register_project(
    request: Request, posted: Posted, actor: ProjectWriter, session: ProjectWriting, now: Now
) -> Response:
    """Register a project."""

    def act(given: typed.ProjectTyped) -> str:
        client = choosing.organization_named(session, given.client, field="client")
        facts = given.model_dump(exclude={"code", "name", "client"})
        places.register_project(
            session,
            code=given.code,
            name=given.name,
            client_id=client.id or 0,
            facts=facts,
            actor=actor.key,
            now=now,
        )
        return f"/projects/{given.code}"

    done = say("The project is registered. Its contracts come next.")
    return submit(request, session, _form(request, None), posted, typed.ProjectTyped, act, done=done)


@router.get("/projects/{code}/edit")
def edit_project(request: Request, project: ProjectWrite, session: ProjectChanging) -> Response:
    """Ask for a project's facts anew."""
    row = places.project(session, code=project.code)
    form = _form(request, row)
    return show(request, form, Filled(typed_of(row, form.inputs)))


@router.post("/projects/{code}/edit", dependencies=[FormSent])
def amend_project(
    request: Request, project: ProjectWrite, posted: Posted, session: ProjectWriting, actor: CurrentActor, now: Now
) -> Response:
    """Change a project's facts, or say that it is completed."""
    row = places.project(session, code=project.code)

    def act(given: schemas.ProjectAmended) -> str:
        places.amend_project(session, code=project.code, changes=changes(given), actor=actor.key, now=now)
        return f"/projects/{project.code}"

    done = say("The project was changed.")
    return submit(request, session, _form(request, row), posted, schemas.ProjectAmended, act, done=done)


def _form(request: Request, row: Project | None) -> Form:
    crumbs = [("/projects", translate(request, "Projects"))]
    if row is not None:
        crumbs.append((f"/projects/{row.code}", row.name))
    title = translate(request, "Register a project") if row is None else translate(request, "Change its facts")
    fields = inputs.project(language_of(request), new=row is None)
    return Form(title, fields, translate(request, "Save"), crumbs)


@router.get("/projects/{code}")
def project_page(
    request: Request, project: ChainRead, session: ContractReading, actor: CurrentActor, now: Now, on: DayText = ""
) -> Response:
    """Show a project's facts, its sites, and its contracts as they stood on a day."""
    row = places.project(session, code=project.code)
    day = read_day(on, now)
    found = contracts.standing(session, project_id=project.id, on=day)
    lines = [one for branch in found.branches for one in rows_of(branch, found.names)]
    return page(
        request,
        "registry/project.html",
        project=row,
        client=contract_repository.organization_names(session, [row.client_id]).get(row.client_id, ""),
        sites=lists.sites_of_project(session, project_id=project.id),
        rows=lines,
        found=found,
        one_contractor={one.id: one.contractor_id for one in lines},
        on=day,
        words=wording,
        may=_may(actor, project),
    )


def _may(actor: CurrentActor, project: ProjectRef) -> dict[str, bool]:
    return {
        "change": allowed(actor, Permission.REGISTRY_PROJECT_WRITE, project_id=project.id),
        "contract": allowed(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=project.id),
        "site": allowed(actor, Permission.REGISTRY_SITE_WRITE),
    }


def read_day(text: str, now: datetime, zone: ZoneInfo = ZONE) -> date:
    """Read a day of the address, today when it is empty."""
    if not text:
        return now.astimezone(zone).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(sentence("“%(text)s” is no date: write it like 2026-11-22", text=text)) from None
