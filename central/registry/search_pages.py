"""The search in every page's head: its page, and the part that is shown while somebody types."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor
from central.kit.web import page
from central.registry import wording
from central.registry.search import search
from central.registry.sessions import WatchedReading

router = APIRouter(include_in_schema=False)

Question = Annotated[str, Query(max_length=100)]


@router.get("/search")
def search_page(request: Request, session: WatchedReading, actor: CurrentActor, q: Question = "") -> Response:
    """Show what was found."""
    return page(request, "registry/search.html", q=q, groups=search(session, actor, q), words=wording)


@router.get("/search/found")
def found_part(request: Request, session: WatchedReading, actor: CurrentActor, q: Question = "") -> Response:
    """Show what was found so far, below the box."""
    return page(request, "registry/found.html", q=q, groups=search(session, actor, q), words=wording)
