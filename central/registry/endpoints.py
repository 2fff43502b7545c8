"""The registry's JSON API: organizations, projects, sites, employers on sites, terminals, trades."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel
from sqlmodel import SQLModel
from starlette.responses import JSONResponse

from central.identity.guards import CurrentActor, SiteRef, permission_guard, site_guard
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import Actor, require_somewhere
from central.kit.db import Reading, Writing
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, cut, decode_cursor, encode_cursor
from central.registry import places, repository, rules, schemas
from central.registry.models import Site

router = APIRouter(prefix="/api/v1", tags=["registry"])
View = TypeVar("View", bound=BaseModel)
CodeInPath = Annotated[str, Path(max_length=40)]


def _now(request: Request) -> datetime:
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
    session: Reading, actor: CurrentActor, kind: str | None = None, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.OrganizationView]:
    """List organizations."""
    require_somewhere(actor, Permission.REGISTRY_ORGANIZATION_READ)
    query = repository.organizations_query(kind=kind)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=organization_view)


@router.post("/organizations", status_code=201, response_model=schemas.OrganizationView)
def create_organization(
    body: schemas.OrganizationGiven, session: Writing, actor: OrganizationWriter, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register an organization."""

    def work() -> schemas.OrganizationView:
        row = places.register_organization(session, **body.model_dump(), actor=actor.key, now=now)
        return organization_view(row)

    return once.write(session, body, work, now=now)


@router.get("/organizations/{organization_id}")
def get_organization(organization_id: int, session: Reading, actor: CurrentActor) -> schemas.OrganizationView:
    """Give one organization."""
    require_somewhere(actor, Permission.REGISTRY_ORGANIZATION_READ)
    return organization_view(places.organization(session, organization_id=organization_id))


@router.patch("/organizations/{organization_id}")
def amend_organization(
    organization_id: int, body: schemas.OrganizationAmended, session: Writing, actor: OrganizationWriter, now: Now
) -> schemas.OrganizationView:
    """Change an organization."""
    row = places.amend_organization(
        session, organization_id=organization_id, changes=changes(body), actor=actor.key, now=now
    )
    return organization_view(row)


@router.get("/projects")
def list_projects(
    session: Reading, actor: CurrentActor, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.ProjectView]:
    """List projects."""
    require_somewhere(actor, Permission.REGISTRY_PROJECT_READ)
    rows = repository.list_rows(session, repository.projects_query(), after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=project_view)


@router.post("/projects", status_code=201, response_model=schemas.ProjectView)
def create_project(
    body: schemas.ProjectGiven, session: Writing, actor: ProjectWriter, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register a project."""

    def work() -> schemas.ProjectView:
        return project_view(places.register_project(session, **body.model_dump(), actor=actor.key, now=now))

    return once.write(session, body, work, now=now)


@router.get("/projects/{code}")
def get_project(code: CodeInPath, session: Reading, actor: CurrentActor) -> schemas.ProjectView:
    """Give one project."""
    require_somewhere(actor, Permission.REGISTRY_PROJECT_READ)
    return project_view(places.project(session, code=code))


@router.patch("/projects/{code}")
def amend_project(
    code: CodeInPath, body: schemas.ProjectAmended, session: Writing, actor: ProjectWriter, now: Now
) -> schemas.ProjectView:
    """Change a project."""
    return project_view(places.amend_project(session, code=code, changes=changes(body), actor=actor.key, now=now))


@router.get("/sites")
def list_sites(
    session: Reading, actor: CurrentActor, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.SiteView]:
    """List the sites that you have a role on."""
    sites = require_somewhere(actor, Permission.REGISTRY_SITE_READ)
    rows = repository.list_rows(session, repository.sites_query(sites), after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=site_view)


@router.post("/sites", status_code=201, response_model=schemas.SiteView)
def create_site(
    body: schemas.SiteGiven, session: Writing, actor: SiteWriter, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register a site."""

    def work() -> schemas.SiteView:
        given = body.model_dump(exclude={"project"})
        row = places.register_site(session, **given, project_code=body.project, actor=actor.key, now=now)
        return site_view(row)

    return once.write(session, body, work, now=now)


@router.get("/sites/{code}")
def get_site(session: Reading, site: SiteRead) -> schemas.SiteView:
    """Give one site."""
    return site_view(session.get_one(Site, site.id))


@router.patch("/sites/{code}")
def amend_site(
    body: schemas.SiteAmended, session: Writing, site: SiteWrite, actor: CurrentActor, now: Now
) -> schemas.SiteView:
    """Change a site."""
    return site_view(places.amend_site(session, site_id=site.id, changes=changes(body), actor=actor.key, now=now))


@router.get("/sites/{code}/employers")
def list_site_employers(
    session: Reading, site: SiteRead, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.SiteEmployerView]:
    """List the employers of a site, past ones included."""
    query = repository.site_employers_query(site_id=site.id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=site_employer_view)


@router.post("/sites/{code}/employers", status_code=201, response_model=schemas.SiteEmployerView)
def create_site_employer(
    body: schemas.SiteEmployerGiven,
    session: Writing,
    site: SiteWrite,
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
    row_id: int, body: schemas.PeriodEnded, session: Writing, site: SiteWrite, actor: CurrentActor, now: Now
) -> schemas.SiteEmployerView:
    """Set the first day on which an employer no longer works there."""
    row = places.end_site_employer(
        session, site_id=site.id, row_id=row_id, until_on=body.until_on, actor=actor.key, now=now
    )
    return site_employer_view(row)


@router.get("/sites/{code}/terminals")
def list_terminals(
    session: Reading, site: TerminalRead, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.TerminalView]:
    """List the terminals of a site."""
    query = repository.terminals_query(site_id=site.id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=terminal_view)


@router.post("/sites/{code}/terminals", status_code=201, response_model=schemas.TerminalView)
def create_terminal(
    body: schemas.TerminalGiven,
    session: Writing,
    site: TerminalWrite,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Register a terminal."""

    def work() -> schemas.TerminalView:
        row = places.register_terminal(session, site_id=site.id, **body.model_dump(), actor=actor.key, now=now)
        return terminal_view(row)

    return once.write(session, body, work, now=now)


@router.get("/sites/{code}/terminals/{terminal}")
def get_terminal(terminal: CodeInPath, session: Reading, site: TerminalRead) -> schemas.TerminalView:
    """Give one terminal."""
    return terminal_view(places.terminal(session, site_id=site.id, code=terminal))


@router.patch("/sites/{code}/terminals/{terminal}")
def amend_terminal(
    terminal: CodeInPath,
    body: schemas.TerminalAmended,
    session: Writing,
    site: TerminalWrite,
    actor: CurrentActor,
    now: Now,
) -> schemas.TerminalView:
    """Change a terminal."""
    row = places.amend_terminal(
        session, site_id=site.id, code=terminal, changes=changes(body), actor=actor.key, now=now
    )
    return terminal_view(row)
