"""The JSON API of attendance: headcount, its stream, people, taps, quarantine."""

# ruff: noqa: FAST003 - the site guard reads {code}

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from central.attendance import records, service
from central.attendance.board import plain, render
from central.attendance.headcount import only
from central.attendance.wording import IN_THE_FUTURE
from central.audit.tags import Tag
from central.identity.guards import SiteRef, TokenRefused, current_actor, optional_actor, permission_guard, site_guard
from central.identity.permissions import Permission
from central.identity.policy import Actor, own_employers
from central.kit.db import read_session
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from central.attendance.board import HeadcountBoard, Shown
    from central.attendance.headcount import Headcount
    from central.identity.looks import Looks
    from central.kit.ids import SiteId

router = APIRouter(prefix="/api/v1", tags=["attendance"])

HeadcountSite = Annotated[SiteRef, Depends(site_guard(Permission.SITE_HEADCOUNT_READ, partly=True))]
"""Reached wholly, or for an employer's own people there: what is shown goes through `reached`."""
PeopleSite = Annotated[SiteRef, Depends(site_guard(Permission.SITE_PEOPLE_READ))]
TapSite = Annotated[SiteRef, Depends(site_guard(Permission.SITE_TAP_READ))]
QuarantineReader = Annotated[Actor, Depends(permission_guard(Permission.ATTENDANCE_QUARANTINE_READ))]
CurrentActor = Annotated[Actor, Depends(current_actor)]
Instant = Annotated[datetime | None, Query(description="RFC 3339, with offset", examples=["2026-11-22T09:00:00+09:00"])]
Rows = Annotated[int, Query(ge=1, le=records.PAGE_ROWS_MAX)]

CLOCKS_APART_MAX = timedelta(minutes=1)

_EXAMPLE: dict[str, Any] = {
    "site": "site-07",
    "as_of": "2026-11-22T00:41:04.120Z",
    "inside": 187,
    "certain": 180,
    "probable": 6,
    "unknown": 1,
    "visitors": 3,
    "unknown_cards": 2,
    "refused": 1,
    "not_received": 3,
    "at_most": 193,
    "at_most_holds": True,
    "people_version": "6f1c0d9be2a44b10",
    "by": {
        "employer": [{"name": "한빛건설", "inside": 187}],
        "trade": [{"name": "rebar", "inside": 187}],
        "zone": [{"name": "gate-1", "inside": 187}],
    },
    "terminals": [
        {
            "code": "gate-01",
            "name": "Main gate, in",
            "zone": "gate-1",
            "freshness": "fresh",
            "heard_at": "2026-11-22T00:41:01Z",
            "not_received_at_most": 3,
            "records_exits": False,
        }
    ],
}
_TAP = {
    "journal_id": "01931f3e-8d2a-7c41-9b5e-3f6a2d90c1e7",
    "seq": 12345,
    "terminal": "gate-01",
    "occurred_at": "2026-11-22T00:41:03.512Z",
    "time_basis": "reconstructed",
    "time_error_ms": 850,
    "received_at": "2026-11-22T00:41:03.581Z",
    "direction": "in",
    "decision": "accepted",
    "assurance": 3,
    "reader": "r1",
    "zone": "gate-1",
    "worker_id": 17,
    "hash": "6f1c0d9be2a44b10c0f5d1a8de2f3b7a6f1c0d9be2a44b10c0f5d1a8de2f3b7a",
}
_PERSON = {
    "person": "worker:17",
    "worker_id": 17,
    "name": "김철수",
    "employer": "한빛건설",
    "trade": "rebar",
    "confidence": "probable",
    "reasons": ["exit_terminal_stale"],
    "since_at": "2026-11-21T22:03:10Z",
    "last_at": "2026-11-21T22:03:10Z",
    "last_zone": "gate-1",
    "last_terminal": "gate-01",
    "assurance": 3,
    "standing": "inside",
    "since_error_min": 0,
    "last_error_min": 0,
}
_ASIDE = {
    "id": 4,
    "reason": "malformed_event",
    "detail": "time: expected an RFC 3339 instant, found 'yesterday'",
    "topic": "ccs/v1/site-07/gate-01/events",
    "journal_id": None,
    "seq": None,
    "times": 1,
    "first_seen_at": "2026-11-22T00:41:03Z",
    "last_seen_at": "2026-11-22T00:41:03Z",
    "bytes_total": 68,
    "sha256": "6f1c0d9be2a44b10c0f5d1a8de2f3b7a6f1c0d9be2a44b10c0f5d1a8de2f3b7a",
    "preview": '{"specversion":"1.0","time":"yesterday"}',
}


def _ok(example: object, *, kind: str = "application/json") -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"example": example}}}}


def board_of(request: Request) -> HeadcountBoard:
    """Return the process's headcount board."""
    return cast("HeadcountBoard", request.app.state.headcounts)


def looks_of(request: Request) -> Looks:
    """Return the process's record of looks."""
    return cast("Looks", request.app.state.looks)


def note_people(request: Request, actor: Actor, site: SiteRef, found: Headcount) -> None:
    """Write down whom a list of the people inside shows, before it does. Blocks."""
    workers = [one.worker_id for one in found.people if one.worker_id is not None]
    now, detail = request.app.state.clock.now(), {"people": len(found.people)}
    looks_of(request).note(actor, Tag.PEOPLE_LOOK, f"site:{site.id}", now=now, detail=detail, workers=workers)


def reached(actor: Actor, site: SiteRef, found: Headcount) -> Headcount:
    """Cut a headcount to whom the asker reaches: everybody, or an employer's own people."""
    employers = own_employers(actor, Permission.SITE_HEADCOUNT_READ, site_id=site.id)
    return found if employers is None else only(found, employers)


@router.get("/sites/{code}/headcount", responses=_ok(_EXAMPLE), response_class=Response)
async def headcount(
    request: Request, site: HeadcountSite, actor: CurrentActor, known_at: Instant = None, true_at: Instant = None
) -> Response:
    """How many are inside, how sure that is, and what could still be missing. No names.

    `at_most` adds what terminals last said they hold (`not_received`). While one is silent too long to say what it
    holds, `at_most_holds` is false: whoever passed that terminal since it was heard comes on top of `at_most`.

    A subcontractor or supplier is told of its own people alone.
    `true_at` asks what was true at an instant with everything known today; `known_at` asks what was known then.
    """
    if known_at is None and true_at is None:
        board = board_of(request)
        shown = board.ready(site.id) or await board.current(site.id)
        mine = reached(actor, site, shown.headcount)
        return _prebuilt(request, shown) if mine is shown.headcount else _json(plain(mine))
    past = await run_in_threadpool(past_headcount, request, site, known_at=known_at, true_at=true_at)
    return _json(plain(reached(actor, site, past)))


def past_headcount(
    request: Request, site: SiteRef, *, known_at: datetime | None, true_at: datetime | None
) -> Headcount:
    """Answer from the taps themselves. Instants must name their offset. Blocks."""
    for name, at in (("known_at", known_at), ("true_at", true_at)):
        if at is not None and at.tzinfo is None:
            raise Invalid(f"{name} has no offset: write it like 2026-11-22T09:00:00+09:00", field=name)
        if at is not None and at > request.app.state.clock.now() + CLOCKS_APART_MAX:
            raise Invalid(IN_THE_FUTURE, field=name)
    state = request.app.state
    with read_session(state.engine) as session:
        return service.site_headcount(
            session, site_id=site.id, now=state.clock.now(), true_at=true_at, known_at=known_at
        )


def _prebuilt(request: Request, shown: Shown) -> Response:
    headers = {"etag": shown.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
    asked = request.headers
    if asked.get("if-none-match") == shown.etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in asked.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(shown.zipped, media_type="application/json", headers=headers)
    return Response(shown.body, media_type="application/json", headers=headers)


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json", headers={"cache-control": "no-store"})


@router.get(
    "/sites/{code}/headcount/stream",
    responses=_ok(
        'id: 6f1c0d9be2a44b10\nevent: headcount\ndata: {"site":"site-07","inside":187}\n\n', kind="text/event-stream"
    ),
    response_class=Response,
)
async def headcount_stream(
    request: Request,
    site: HeadcountSite,
    actor: CurrentActor,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Server-sent events: `headcount` at each change with the same body as the headcount, `alive` in between.

    Silence of more than ten seconds means that the figures may be old. The stream ends with the right to see it.
    """

    async def may_watch() -> bool:
        try:
            now = await optional_actor(request)
        except TokenRefused:
            return False
        # Whose figures are sent was settled at the first byte: another reach ends the stream, and the next one fits.
        return now is not None and own_employers(now, Permission.SITE_HEADCOUNT_READ, site_id=site.id) == employers

    employers = own_employers(actor, Permission.SITE_HEADCOUNT_READ, site_id=site.id)
    board = board_of(request)
    stream = await board.watch(site.id, may_watch=may_watch, last_event_id=last_event_id if employers is None else None)
    if employers is not None:
        stream = _own_stream(board, site.id, stream, employers)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _own_stream(
    board: HeadcountBoard, site_id: SiteId, stream: AsyncGenerator[bytes], employers: frozenset[int]
) -> AsyncGenerator[bytes]:
    """Send an employer's own figures whenever the site's are sent; the site's own bytes go nowhere."""
    async with aclosing(stream):
        async for _ in stream:
            shown = await board.current(site_id)
            yield render(only(shown.headcount, employers), read_s=shown.read_s).event


@router.get(
    "/sites/{code}/people",
    responses=_ok({"site": "site-07", "as_of": "2026-11-22T00:41:04.120Z", "people": [_PERSON]}),
    response_class=Response,
)
def people(
    request: Request, site: PeopleSite, actor: CurrentActor, known_at: Instant = None, true_at: Instant = None
) -> Response:
    """Who is inside, by name, with employer, trade, last gate and time, and how sure it is. Each look is audited."""
    found = past_headcount(request, site, known_at=known_at, true_at=true_at)
    note_people(request, actor, site, found)
    return _json({"site": found.site, "as_of": found.as_of, "people": found.people})


@router.get("/sites/{code}/taps", responses=_ok({"items": [_TAP], "next_cursor": "3.12345"}), response_class=Response)
def taps(
    request: Request,
    site: TapSite,
    cursor: Annotated[str | None, Query(max_length=60)] = None,
    limit: Rows = 100,
    terminal: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """The site's stored taps, journal by journal in sequence; pass `next_cursor` on as `cursor` to go on."""
    with read_session(request.app.state.engine) as session:
        page = records.taps(session, site_id=site.id, cursor=cursor, rows_max=limit, terminal=terminal)
    return _json(page)


@router.get("/quarantine", responses=_ok({"items": [_ASIDE], "next_cursor": None}), response_class=Response)
def quarantine(
    request: Request,
    actor: QuarantineReader,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
    limit: Rows = 100,
    reason: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """What was received and could not be counted, newest first, with the reason and the first bytes."""
    state = request.app.state
    looks_of(request).note(actor, Tag.QUARANTINE_LOOK, "quarantine", now=state.clock.now(), detail={})
    with read_session(state.engine) as session:
        return _json(records.quarantine(session, cursor=cursor, rows_max=limit, reason=reason))
