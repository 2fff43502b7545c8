"""Pages of organizations: the list, one organization with its projects and contracts, registering and changing it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.identity.policy import allowed
from central.identity.saved_views import views_of
from central.kit.db import ReadSession, Writing
from central.kit.forms import Filled, Form, FormSent, Posted, say, show, submit, typed_of
from central.kit.lists import ROWS_A_PAGE, Asked, asked_for, following
from central.kit.web import language_of, page, translate
from central.registry import choosing, inputs, lists, places, schemas, wording
from central.registry.endpoints import Now, OrganizationWriter, RowId, changes
from central.registry.models import Organization
from central.registry.sessions import confined_reading

router = APIRouter(include_in_schema=False)

AskedList = Annotated[
    Asked, Depends(asked_for("/organizations", sorts=tuple(lists.ORGANIZATION_ORDERS), filters=("kind",)))
]
OrganizationReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_ORGANIZATION_READ))]
OrganizationChanging = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_ORGANIZATION_WRITE))]


@router.get("/organizations")
def organizations_page(
    request: Request, session: OrganizationReading, actor: CurrentActor, asked: AskedList
) -> Response:
    """List organizations."""
    found = lists.organizations(session, asked)
    return page(
        request,
        "registry/organizations.html",
        asked=asked,
        saved=views_of(session, actor, asked.path),
        rows=found[:ROWS_A_PAGE],
        following=following(found, lists.ORGANIZATION_ORDERS[asked.sort]),
        kinds=wording.words_of(language_of(request), wording.ORGANIZATION_KINDS),
        number=choosing.business_number,
        may_register=allowed(actor, Permission.REGISTRY_ORGANIZATION_WRITE),
    )


@router.get("/new/organization")
def new_organization(request: Request, _: OrganizationWriter) -> Response:
    """Ask for a new organization."""
    return show(request, _form(request, None))


@router.post("/new/organization", dependencies=[FormSent])
def register_organization(
    request: Request, posted: Posted, actor: OrganizationWriter, session: Writing, now: Now
) -> Response:
    """Register an organization."""

    def act(given: schemas.OrganizationGiven) -> str:
        row = places.register_organization(session, **given.model_dump(), actor=actor.key, now=now)
        return f"/organizations/{row.id}"

    done = say("The organization is registered.")
    return submit(request, session, _form(request, None), posted, schemas.OrganizationGiven, act, done=done)


@router.get("/organizations/{organization_id}")
def organization_page(
    request: Request, organization_id: RowId, session: OrganizationReading, actor: CurrentActor
) -> Response:
    """Show an organization with the projects that it ordered, and the sites it works on, within reach."""
    row = places.organization(session, organization_id=organization_id)
    return page(
        request,
        "registry/organization.html",
        row=row,
        words=wording,
        number=choosing.business_number,
        projects=lists.projects_ordered(session, organization_id=organization_id),
        sites=lists.sites_worked_on(session, organization_id=organization_id),
        may_change=allowed(actor, Permission.REGISTRY_ORGANIZATION_WRITE),
    )


@router.get("/organizations/{organization_id}/edit")
def edit_organization(request: Request, organization_id: RowId, session: OrganizationChanging) -> Response:
    """Ask for an organization's facts anew."""
    row = places.organization(session, organization_id=organization_id)
    form = _form(request, row)
    return show(request, form, Filled(typed_of(row, form.inputs)))


@router.post("/organizations/{organization_id}/edit", dependencies=[FormSent])
def amend_organization(
    request: Request, organization_id: RowId, posted: Posted, actor: OrganizationWriter, session: Writing, now: Now
) -> Response:
    """Change an organization."""
    row = places.organization(session, organization_id=organization_id)

    def act(given: schemas.OrganizationAmended) -> str:
        places.amend_organization(
            session, organization_id=organization_id, changes=changes(given), actor=actor.key, now=now
        )
        return f"/organizations/{organization_id}"

    done = say("The organization was changed.")
    return submit(request, session, _form(request, row), posted, schemas.OrganizationAmended, act, done=done)


def _form(request: Request, row: Organization | None) -> Form:
    crumbs = [("/organizations", translate(request, "Organizations"))]
    if row is not None:
        crumbs.append((f"/organizations/{row.id}", row.name))
    title = translate(request, "Register an organization") if row is None else translate(request, "Change its facts")
    return Form(title, inputs.organization(language_of(request)), translate(request, "Save"), crumbs)
