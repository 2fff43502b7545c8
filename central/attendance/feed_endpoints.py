"""Live data out: a site's stored taps of one's own workers, and the days they make, by cursor or as a stream."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from central.attendance import feed
from central.attendance.feed import NOW
from central.attendance.month import dated
from central.attendance.month_endpoints import (
    DAY_EXAMPLE,
    TAP_EXAMPLE,
    WorkersDay,
    WorkersReading,
    WorkersSite,
    WorkersTapView,
    day_view,
    tap_view,
)
from central.audit.tags import Tag
from central.identity.guards import CurrentActor, SiteRef, TokenRefused, optional_actor
from central.identity.permissions import Permission
from central.identity.policy import require_partly
from central.kit.db import psycopg_of, read_session
from central.kit.errors import AppError
from central.registry import whose
from central.registry.confinement import confine

if TYPE_CHECKING:
    from central.identity.looks import Looks
    from central.identity.policy import Actor
    from central.kit.db import ReadSession

TAPS_A_PAGE_MAX = 500
TAPS_A_PAGE = 100
STREAM_S_MAX = 300.0
"""A stream ends after this long and is asked for again with its last id: connections spread over the processes anew."""
ALIVE_S = 10.0
STREAMS_MAX = 200
RETRY_MS = 1_000

router = APIRouter(prefix="/api/v1", tags=["live data out"])

After = Annotated[
    str,
    Query(
        max_length=feed.CURSOR_CHARS_MAX,
        description="`cursor` of the answer before; empty from the first tap that is kept, `now` from now on.",
        examples=["3.1-500_4.1-20"],
    ),
]
Taps = Annotated[int, Query(ge=1, le=TAPS_A_PAGE_MAX, description="Taps a page.")]


class TooManyStreams(AppError):
    """This process already serves as many streams as it may."""

    status = 503
    code = "too_many_streams"


class FeedPage(BaseModel):
    """Taps that were stored since the cursor, and each day that they changed, as it stands now."""

    as_of: datetime
    taps: list[WorkersTapView]
    days: list[WorkersDay]
    cursor: str
    more: bool
    """Whether to ask again at once."""


class Bells:
    """Rings for whoever waits at a site: one a process, told by the database's notices."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Event, int] = {}

    def ring(self, payload: str) -> None:
        """Take a notification: a site's id, or anything else for every site."""
        for event, site_id in self._waiting.items():
            if not payload.isdecimal() or int(payload) == site_id:
                event.set()

    def wait_at(self, site_id: int) -> asyncio.Event:
        """Return an event that is set at each change of the site; give it back with `leave`."""
        if len(self._waiting) >= STREAMS_MAX:
            raise TooManyStreams(f"this process serves {STREAMS_MAX} streams already: try again in a moment")
        event = asyncio.Event()
        self._waiting[event] = site_id
        return event

    def leave(self, event: asyncio.Event) -> None:
        """Stop waiting."""
        self._waiting.pop(event, None)


_PAGE = {
    "as_of": "2026-11-20T08:04:41Z",
    "taps": [TAP_EXAMPLE],
    "days": [DAY_EXAMPLE],
    "cursor": "3.1-12345",
    "more": False,
}


@router.get("/sites/{code}/feed", responses={200: {"content": {"application/json": {"example": _PAGE}}}})
def feed_page(
    request: Request,
    site: WorkersSite,
    session: WorkersReading,
    actor: CurrentActor,
    after: After = "",
    limit: Taps = TAPS_A_PAGE,
) -> FeedPage:
    """Give the taps of your workers stored since the cursor: each once, late ones too, whatever order they came in."""
    return read_page(session, site, actor, after=after, limit=limit, now=request.app.state.clock.now())


def read_page(session: ReadSession, site: SiteRef, actor: Actor, *, after: str, limit: int, now: datetime) -> FeedPage:
    """Read one page of the feed, cut to what the actor reaches. The session is confined to the same."""
    found = feed.news(psycopg_of(session), site_id=site.id, cursor=after, rows_max=limit)
    reach = actor.reach(Permission.ATTENDANCE_WORKER_READ)
    taps, days = dated(session, site, found.taps, reach=reach, now=now)
    return FeedPage(
        as_of=now,
        taps=[tap_view(site.code, one) for one in taps],
        days=[day_view(site.code, who, day) for who, day in days],
        cursor=found.cursor,
        more=found.more,
    )


@router.get(
    "/sites/{code}/feed/stream",
    responses={
        200: {
            "content": {
                "text/event-stream": {
                    "example": 'id: 3.1-12345\nevent: news\ndata: {"taps": [{"worker_id": 17}], "days": []}\n\n'
                }
            }
        }
    },
    response_class=Response,
)
async def feed_stream(
    request: Request,
    site: WorkersSite,
    after: After = NOW,
    last_event_id: Annotated[str | None, Header(max_length=feed.CURSOR_CHARS_MAX)] = None,
) -> Response:
    """Server-sent events: `news` with the same body as the feed as soon as it is stored; its id is the cursor.

    A client that comes back with `Last-Event-ID` goes on where it was. A comment comes at least every ten seconds.
    The stream ends after five minutes, and with the right to see it.
    """
    feed.read_cursor("" if (last_event_id or after) == NOW else last_event_id or after)
    bells = cast("Bells", request.app.state.bells)
    event = bells.wait_at(site.id)
    stream = _stream(request, site, bells, event, last_event_id or after)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(
    request: Request, site: SiteRef, bells: Bells, event: asyncio.Event, after: str
) -> AsyncIterator[bytes]:
    ends_s = time.monotonic() + STREAM_S_MAX
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        while time.monotonic() < ends_s:
            event.clear()
            actor = await _still(request, site)
            if actor is None:
                return
            page = await run_in_threadpool(_read, request, site, actor, after)
            if page.taps or page.cursor != after:
                after = page.cursor
                yield b"id: %b\nevent: news\ndata: %b\n\n" % (after.encode(), page.model_dump_json().encode())
            if page.more:
                continue
            try:
                await asyncio.wait_for(event.wait(), ALIVE_S)
            except TimeoutError:
                yield b": alive\n\n"
    finally:
        bells.leave(event)


async def _still(request: Request, site: SiteRef) -> Actor | None:
    """Ask again who this is and whether they may: a role or token that is gone ends the stream."""
    try:
        actor = await optional_actor(request)
        if actor is not None:
            require_partly(actor, Permission.ATTENDANCE_WORKER_READ, site_id=site.id)
    except (AppError, TokenRefused):
        return None
    return actor


def _read(request: Request, site: SiteRef, actor: Actor, after: str) -> FeedPage:
    state = request.app.state
    now = state.clock.now()
    with read_session(state.engine) as session:
        confine(session, actor.reach(Permission.ATTENDANCE_WORKER_READ))
        whose.watch(session)
        page = read_page(session, site, actor, after=after, limit=TAPS_A_PAGE_MAX, now=now)
        workers = whose.take(session)
    if workers:
        looks: Looks = state.looks
        looks.note(actor, Tag.WORKER_LOOK, f"/api/v1/sites/{site.code}/feed", now=now, detail={}, workers=workers)
    return page
