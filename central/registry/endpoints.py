"""The registry's JSON API: organizations, projects, sites, employers on sites, terminals, trades."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel
from sqlmodel import SQLModel
from starlette.responses import JSONResponse

from central.identity.guards import (
    CurrentActor,
    ProjectRef,
    SiteRef,
    permission_guard,
    project_guard,
    reach_guard,
    site_guard,
)
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import Actor, Reach
from central.kit.db import Reading, ReadSession, WriteSession, Writing
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, cut, decode_cursor, encode_cursor
from central.registry import places, repository, rules, schemas, terminals
from central.registry.models import Site
from central.registry.sessions import confined_reading, confined_writing

router = APIRouter(prefix="/api/v1", tags=["registry"])
View = TypeVar("View", bound=BaseModel)
CodeInPath = Annotated[str, Path(max_length=40)]


async def _now(request: Request) -> datetime:
    return request.app.state.clock.now()  # type: ignore[no-any-return]  # app.state is untyped


Now = Annotated[datetime, Depends(_now)]


def view_of(kind: type[View]) -> Callable[[SQLModel], View]:
    """Make the function that shows a row as `kind`."""
    return lambda row: kind.model_validate(row.model_dump())


def page_of(rows: Any, *, limit: int, show: Callable[[Any], View]) -> schemas.Page[View]:  # noqa: ANN401 - any rows
    """Show `limit` + 1 rows as a page."""
    kept, more = cut(rows, limit=limit)
    return schemas.Page(items=[show(row) for row in kept], next_cursor=encode_cursor(kept[-1].id) if more else None)


def changes(body: BaseModel) -> dict[str, Any]:
    """Return the fields that a request gave, and only those."""
    return body.model_dump(exclude_unset=True)


organization_view = view_of(schemas.OrganizationView)
project_view = view_of(schemas.ProjectView)
site_view = view_of(schemas.SiteView)
site_employer_view = view_of(schemas.SiteEmployerView)
terminal_view = view_of(schemas.TerminalView)

RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
OrganizationReader = Annotated[Reach, Depends(reach_guard(Permission.REGISTRY_ORGANIZATION_READ))]
ProjectReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_PROJECT_READ))]
ProjectRead = Annotated[ProjectRef, Depends(project_guard(Permission.REGISTRY_PROJECT_READ))]
ProjectWrite = Annotated[ProjectRef, Depends(project_guard(Permission.REGISTRY_PROJECT_WRITE))]
ProjectWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_PROJECT_WRITE))]
SiteReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_SITE_READ))]
SiteWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_SITE_WRITE))]
TerminalReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_TERMINAL_READ))]
TerminalWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_TERMINAL_WRITE))]
OrganizationWriter = Annotated[Actor, Depends(permission_guard(Permission.REGISTRY_ORGANIZATION_WRITE))]
ProjectWriter = Annotated[Actor, Depends(permission_guard(Permission.REGISTRY_PROJECT_WRITE))]
SiteWriter = Annotated[Actor, Depends(permission_guard(Permission.REGISTRY_SITE_WRITE))]
SiteRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_SITE_READ))]
SiteWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_SITE_WRITE))]
TerminalRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_TERMINAL_READ))]
TerminalWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_TERMINAL_WRITE))]


@router.get("/trades")
def list_trades(_: CurrentActor) -> schemas.Page[schemas.TradeView]:
    """List the trades."""
    items = [schemas.TradeView(code=trade.code, ko=trade.ko, en=trade.en) for trade in rules.trades().values()]
    return schemas.Page(items=items)


@router.get("/organizations")
def list_organizations(
    _: OrganizationReader,
    session: Reading,
    kind: Annotated[str | None, Query(max_length=20)] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> schemas.Page[schemas.OrganizationView]:
    """List organizations."""
    query = repository.organizations_query(kind=kind)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=organization_view)


@router.post("/organizations", status_code=201, response_model=schemas.OrganizationView)
def create_organization(
    body: schemas.OrganizationGiven, actor: OrganizationWriter, session: Writing, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register an organization."""

    def work() -> schemas.OrganizationView:
        row = places.register_organization(session, **body.model_dump(), actor=actor.key, now=now)
        return organization_view(row)

    return once.write(session, body, work, now=now)


@router.get("/organizations/{organization_id}")
def get_organization(organization_id: RowId, _: OrganizationReader, session: Reading) -> schemas.OrganizationView:
    """Give one organization."""
    return organization_view(places.organization(session, organization_id=organization_id))


@router.patch("/organizations/{organization_id}")
def amend_organization(
    organization_id: RowId,
    body: schemas.OrganizationAmended,
    actor: OrganizationWriter,
    session: Writing,
    now: Now,
) -> schemas.OrganizationView:
    """Change an organization."""
    row = places.amend_organization(
        session, organization_id=organization_id, changes=changes(body), actor=actor.key, now=now
    )
    return organization_view(row)


@router.get("/projects")
def list_projects(
    session: ProjectReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.ProjectView]:
    """List projects."""
    rows = repository.list_rows(session, repository.projects_query(), after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=project_view)


@router.post("/projects", status_code=201, response_model=schemas.ProjectView)
def create_project(
    body: schemas.ProjectGiven, actor: ProjectWriter, session: ProjectWriting, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register a project."""

    def work() -> schemas.ProjectView:
        named = body.model_dump(include={"code", "name", "client_id"})
        facts = body.model_dump(exclude=set(named))
        row = places.register_project(session, **named, facts=facts, actor=actor.key, now=now)
        return project_view(row)

    return once.write(session, body, work, now=now)


@router.get("/projects/{code}")
def get_project(project: ProjectRead, session: ProjectReading) -> schemas.ProjectView:
    """Give one project."""
    return project_view(places.project(session, code=project.code))


@router.patch("/projects/{code}")
def amend_project(
    project: ProjectWrite, body: schemas.ProjectAmended, session: ProjectWriting, actor: CurrentActor, now: Now
) -> schemas.ProjectView:
    """Change a project."""
    return project_view(
        places.amend_project(session, code=project.code, changes=changes(body), actor=actor.key, now=now)
    )


@router.get("/sites")
def list_sites(
    session: SiteReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.SiteView]:
    """List the sites that you have a role on."""
    rows = repository.list_rows(session, repository.sites_query(), after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=site_view)


@router.post("/sites", status_code=201, response_model=schemas.SiteView)
def create_site(
    body: schemas.SiteGiven, actor: SiteWriter, session: SiteWriting, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register a site."""

    def work() -> schemas.SiteView:
        given = body.model_dump(exclude={"project"})
        row = places.register_site(session, **given, project_code=body.project, actor=actor.key, now=now)
        return site_view(row)

    return once.write(session, body, work, now=now)


@router.get("/sites/{code}")
def get_site(site: SiteRead, session: SiteReading) -> schemas.SiteView:
    """Give one site."""
    return site_view(session.get_one(Site, site.id))


@router.patch("/sites/{code}")
def amend_site(
    body: schemas.SiteAmended, site: SiteWrite, session: SiteWriting, actor: CurrentActor, now: Now
) -> schemas.SiteView:
    """Change a site."""
    return site_view(places.amend_site(session, site_id=site.id, changes=changes(body), actor=actor.key, now=now))


@router.get("/sites/{code}/employers")
def list_site_employers(
    site: SiteRead, session: SiteReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.SiteEmployerView]:
    """List the employers of a site, past ones included."""
    query = repository.site_employers_query(site_id=site.id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=site_employer_view)


@router.post("/sites/{code}/employers", status_code=201, response_model=schemas.SiteEmployerView)
def create_site_employer(
    body: schemas.SiteEmployerGiven,
    site: SiteWrite,
    session: SiteWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Say that an employer works on a site."""

    def work() -> schemas.SiteEmployerView:
        row = places.register_site_employer(session, site_id=site.id, **body.model_dump(), actor=actor.key, now=now)
        return site_employer_view(row)

    return once.write(session, body, work, now=now)


@router.patch("/sites/{code}/employers/{row_id}")
def end_site_employer(
    row_id: RowId, body: schemas.PeriodEnded, site: SiteWrite, session: SiteWriting, actor: CurrentActor, now: Now
) -> schemas.SiteEmployerView:
    """Set the first day on which an employer no longer works there."""
    row = places.end_site_employer(
        session, site_id=site.id, row_id=row_id, until_on=body.until_on, actor=actor.key, now=now
    )
    return site_employer_view(row)


@router.get("/sites/{code}/terminals")
def list_terminals(
    site: TerminalRead, session: TerminalReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.TerminalView]:
    """List the terminals of a site."""
    query = repository.terminals_query(site_id=site.id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=terminal_view)


@router.post("/sites/{code}/terminals", status_code=201, response_model=schemas.TerminalView)
def create_terminal(
    body: schemas.TerminalGiven,
    site: TerminalWrite,
    session: TerminalWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Register a terminal."""

    def work() -> schemas.TerminalView:
        row = terminals.register_terminal(session, site_id=site.id, **body.model_dump(), actor=actor.key, now=now)
        return terminal_view(row)

    return once.write(session, body, work, now=now)


@router.get("/sites/{code}/terminals/{terminal}")
def get_terminal(terminal: CodeInPath, site: TerminalRead, session: TerminalReading) -> schemas.TerminalView:
    """Give one terminal."""
    return terminal_view(terminals.terminal(session, site_id=site.id, code=terminal))


@router.patch("/sites/{code}/terminals/{terminal}")
def amend_terminal(
    terminal: CodeInPath,
    body: schemas.TerminalAmended,
    site: TerminalWrite,
    session: TerminalWriting,
    actor: CurrentActor,
    now: Now,
) -> schemas.TerminalView:
    """Change a terminal."""
    row = terminals.amend_terminal(
        session, site_id=site.id, code=terminal, changes=changes(body), actor=actor.key, now=now
    )
    return terminal_view(row)
