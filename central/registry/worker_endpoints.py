"""The registry's JSON API for people: workers, employments, cards and whose they were, bars.

A right that holds on some sites only reaches workers who were ever employed there, and their cards.
"""

# ruff: noqa: FAST003, PLR0917 - the site guard reads {code}; FastAPI's dependencies are parameters

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from central.audit.tags import Tag
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.looks import Looks
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import Actor, require, require_somewhere
from central.kit.db import Reading, Writing
from central.kit.errors import Invalid, NotFound
from central.kit.ids import SiteId
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, decode_cursor
from central.registry import places, repository, rules, schemas, workers
from central.registry.card_key import load_card_key
from central.registry.endpoints import Now, changes, page_of, view_of
from central.registry.models import Bar, Card, CardAssignment

SUBJECT_CHARS_MAX = 120
router = APIRouter(prefix="/api/v1", tags=["registry"])

worker_view = view_of(schemas.WorkerView)
employment_view = view_of(schemas.EmploymentView)
assignment_view = view_of(schemas.AssignmentView)
bar_view = view_of(schemas.BarView)

RollRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_WORKER_READ))]
RollWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_WORKER_WRITE))]


def _readable(actor: CurrentActor) -> frozenset[SiteId] | None:
    return require_somewhere(actor, Permission.REGISTRY_WORKER_READ)


def _writable(actor: CurrentActor) -> frozenset[SiteId] | None:
    return require_somewhere(actor, Permission.REGISTRY_WORKER_WRITE)


def _cards_readable(actor: CurrentActor) -> frozenset[SiteId] | None:
    return require_somewhere(actor, Permission.REGISTRY_CARD_READ)


def _cards_writable(actor: CurrentActor) -> frozenset[SiteId] | None:
    return require_somewhere(actor, Permission.REGISTRY_CARD_WRITE)


Readable = Annotated[frozenset[SiteId] | None, Depends(_readable)]
Writable = Annotated[frozenset[SiteId] | None, Depends(_writable)]
CardsReadable = Annotated[frozenset[SiteId] | None, Depends(_cards_readable)]
CardsWritable = Annotated[frozenset[SiteId] | None, Depends(_cards_writable)]


def _look(request: Request, actor: CurrentActor, now: Now) -> None:
    """Record a look at workers' data, at most once a minute for an actor and an address."""
    looks: Looks = request.app.state.looks
    looks.note(actor, Tag.WORKER_LOOK, request.url.path[:SUBJECT_CHARS_MAX], now=now, detail={})


Looked = Depends(_look)


@router.get("/workers", dependencies=[Looked])
def list_workers(
    session: Reading,
    sites: Readable,
    worker_no: Annotated[str | None, Query(max_length=20)] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> schemas.Page[schemas.WorkerView]:
    """List the workers that you may see."""
    query = repository.workers_query(sites=sites, worker_no=worker_no)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=worker_view)


@router.post("/workers", status_code=201, response_model=schemas.WorkerView)
def create_worker(
    body: schemas.WorkerGiven, session: Writing, actor: CurrentActor, once: WriteOnce, now: Now
) -> JSONResponse:
    """Register a worker, with an employment when your right holds on some sites only."""
    sites = require_somewhere(actor, Permission.REGISTRY_WORKER_WRITE)
    terms = body.employment
    site = places.site_by_code(session, code=terms.site) if terms is not None else None
    if sites is not None or site is not None:
        site_id = SiteId(site.id or 0) if site is not None else None
        require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=site_id)

    def work() -> schemas.WorkerView:
        given = body.model_dump(exclude={"employment"})
        row = workers.register_worker(session, **given, actor=actor.key, now=now)
        if terms is not None and site is not None:
            roll = terms.model_dump(exclude={"site"})
            workers.employ(session, worker_id=row.id or 0, site_id=site.id or 0, **roll, actor=actor.key, now=now)
        return worker_view(row)

    return once.write(session, body, work, now=now)


@router.get("/workers/{worker_id}", dependencies=[Looked])
def get_worker(worker_id: int, session: Reading, sites: Readable) -> schemas.WorkerView:
    """Give one worker."""
    return worker_view(workers.worker(session, worker_id=worker_id, sites=sites))


@router.patch("/workers/{worker_id}")
def amend_worker(
    worker_id: int,
    body: schemas.WorkerAmended,
    session: Writing,
    sites: Writable,
    actor: CurrentActor,
    now: Now,
) -> schemas.WorkerView:
    """Change a worker."""
    row = workers.worker(session, worker_id=worker_id, sites=sites)
    return worker_view(workers.amend_worker(session, row=row, changes=changes(body), actor=actor.key, now=now))


@router.get("/workers/{worker_id}/bars", dependencies=[Looked])
def list_bars(
    worker_id: int, session: Reading, sites: Readable, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.BarView]:
    """List a worker's bars, past ones included."""
    workers.worker(session, worker_id=worker_id, sites=sites)
    query = repository.bars_query(worker_id=worker_id, sites=sites)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=bar_view)


@router.post("/workers/{worker_id}/bars", status_code=201, response_model=schemas.BarView)
def create_bar(
    worker_id: int,
    body: schemas.BarGiven,
    session: Writing,
    sites: Writable,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Bar a worker from a site, or from every site."""
    workers.worker(session, worker_id=worker_id, sites=sites)
    site_id = _bar_site(session, body.site)
    require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=site_id)

    def work() -> schemas.BarView:
        row = workers.bar_worker(
            session,
            worker_id=worker_id,
            site_id=site_id,
            reason=body.reason,
            from_at=body.from_at or now,
            until_at=body.until_at,
            actor=actor.key,
            now=now,
        )
        return bar_view(row)

    return once.write(session, body, work, now=now)


def _bar_site(session: Writing, code: str | None) -> SiteId | None:
    return None if code is None else SiteId(places.site_by_code(session, code=code).id or 0)


@router.patch("/workers/{worker_id}/bars/{row_id}")
def end_bar(
    worker_id: int,
    row_id: int,
    body: schemas.BarEnded,
    session: Writing,
    sites: Writable,
    actor: CurrentActor,
    now: Now,
) -> schemas.BarView:
    """End a bar."""
    workers.worker(session, worker_id=worker_id, sites=sites)
    row = session.get(Bar, row_id)
    if row is None or row.worker_id != worker_id:
        raise NotFound(f"the worker has no bar {row_id}: see the worker's bars")
    require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=SiteId(row.site_id) if row.site_id else None)
    return bar_view(workers.end_bar(session, row=row, until_at=body.until_at or now, actor=actor.key, now=now))


@router.get("/sites/{code}/employments", dependencies=[Looked])
def list_employments(
    session: Reading,
    site: RollRead,
    on: Annotated[date | None, Query(description="Only those that hold on this date.")] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> schemas.Page[schemas.EmploymentView]:
    """List a site's roll."""
    query = repository.employments_query(site_id=site.id, on=on)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=employment_view)


@router.post("/sites/{code}/employments", status_code=201, response_model=schemas.EmploymentView)
def create_employment(
    body: schemas.EmploymentGiven,
    session: Writing,
    site: RollWrite,
    sites: Writable,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Put a worker on a site's roll."""
    workers.worker(session, worker_id=body.worker_id, sites=sites)

    def work() -> schemas.EmploymentView:
        return employment_view(workers.employ(session, site_id=site.id, **body.model_dump(), actor=actor.key, now=now))

    return once.write(session, body, work, now=now)


@router.patch("/sites/{code}/employments/{row_id}")
def end_employment(
    row_id: int, body: schemas.PeriodEnded, session: Writing, site: RollWrite, actor: CurrentActor, now: Now
) -> schemas.EmploymentView:
    """Set the first day on which a worker is no longer employed there."""
    row = workers.end_employment(
        session, site_id=site.id, row_id=row_id, until_on=body.until_on, actor=actor.key, now=now
    )
    return employment_view(row)


@router.get("/cards", dependencies=[Looked])
def list_cards(
    session: Reading,
    sites: CardsReadable,
    now: Now,
    token: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> schemas.Page[schemas.CardView]:
    """List the cards that you may see, with their present holders."""
    query = repository.cards_query(sites=sites, token=token)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    held = repository.current_holders(session, cards=[row.id or 0 for row in rows], now=now)
    return page_of(rows, limit=limit, show=lambda row: _card_view(row, held.get(row.id)))


@router.post("/cards", status_code=201, response_model=schemas.CardView)
def create_card(
    body: schemas.CardGiven,
    request: Request,
    session: Writing,
    sites: CardsWritable,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Register a card by token or uid, with its holder when given. The uid is turned into the token and dropped."""
    key = load_card_key(request.app.state.settings.card_key_file) if body.uid is not None else None
    token = rules.token_of(token=body.token, uid=body.uid, card_key=key)
    named = body.model_copy(update={"token": token, "uid": None})
    if sites is not None and body.holder is None:
        raise Invalid("give the card's holder: your right to register cards holds on some sites only")

    def work() -> schemas.CardView:
        card = workers.register_card(session, token=token, kind=body.kind, actor=actor.key, now=now)
        holder = None
        if body.holder is not None:
            holder = _assign(session, card, body.holder, sites=sites, actor=actor, now=now)
        return _card_view(card, holder)

    return once.write(session, named, work, now=now)


@router.get("/cards/{card_id}", dependencies=[Looked])
def get_card(card_id: int, session: Reading, sites: CardsReadable, now: Now) -> schemas.CardView:
    """Give one card with its present holder."""
    card = workers.card(session, card_id=card_id, sites=sites)
    return _card_view(card, repository.current_holders(session, cards=[card_id], now=now).get(card_id))


@router.get("/cards/{card_id}/assignments", dependencies=[Looked])
def list_assignments(
    card_id: int, session: Reading, sites: CardsReadable, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.AssignmentView]:
    """List whose card it was."""
    workers.card(session, card_id=card_id, sites=sites)
    query = repository.assignments_query(card_id=card_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=assignment_view)


@router.post("/cards/{card_id}/assignments", status_code=201, response_model=schemas.AssignmentView)
def create_assignment(
    card_id: int,
    body: schemas.AssignmentGiven,
    session: Writing,
    sites: CardsWritable,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Give a card to a worker."""
    card = workers.card(session, card_id=card_id, sites=sites)

    def work() -> schemas.AssignmentView:
        return assignment_view(_assign(session, card, body, sites=sites, actor=actor, now=now))

    return once.write(session, body, work, now=now)


@router.patch("/cards/{card_id}/assignments/{row_id}")
def end_assignment(
    card_id: int,
    row_id: int,
    body: schemas.AssignmentEnded,
    session: Writing,
    sites: CardsWritable,
    actor: CurrentActor,
    now: Now,
) -> schemas.AssignmentView:
    """End a holding: lost, replaced, returned, blocked or expired."""
    card = workers.card(session, card_id=card_id, sites=sites)
    until_at = body.until_at or now
    row = workers.release_card(
        session, card=card, row_id=row_id, until_at=until_at, reason=body.reason, actor=actor.key, now=now
    )
    return assignment_view(row)


def _assign(
    session: Writing,
    card: Card,
    given: schemas.AssignmentGiven,
    *,
    sites: frozenset[SiteId] | None,
    actor: Actor,
    now: Now,
) -> CardAssignment:
    workers.worker(session, worker_id=given.worker_id, sites=sites)
    return workers.assign_card(
        session,
        card=card,
        worker_id=given.worker_id,
        from_at=given.from_at or now,
        until_at=given.until_at,
        actor=actor.key,
        now=now,
    )


def _card_view(card: Card, holder: CardAssignment | None) -> schemas.CardView:
    shown = assignment_view(holder) if holder is not None else None
    return schemas.CardView(id=card.id or 0, token=card.token, kind=card.kind, holder=shown)
