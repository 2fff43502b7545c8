"""Saving and removing one's own views of lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from central.identity import saved_views
from central.identity.asking import now_of
from central.identity.guards import CurrentPerson
from central.kit.db import Writing
from central.kit.forms import FormSent, on, say

router = APIRouter(include_in_schema=False)
ViewId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post("/views", dependencies=[FormSent])
def save_view(
    request: Request,
    person: CurrentPerson,
    session: Writing,
    address: Annotated[str, Form(max_length=1_100)],
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Keep the list's filter and order under a name."""
    row = saved_views.save_view(session, user_id=person.user_id or 0, address=address, name=name, now=now_of(request))
    return on(request, f"{row.path}?{row.query}", say("The view is saved. It stands above the list."))


@router.post("/views/{view_id}/remove", dependencies=[FormSent])
def remove_view(request: Request, person: CurrentPerson, session: Writing, view_id: ViewId) -> Response:
    """Remove one of one's own views."""
    path = saved_views.remove_view(session, user_id=person.user_id or 0, view_id=view_id)
    return on(request, path, say("The view was removed."))
