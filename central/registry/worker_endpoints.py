"""The registry's JSON API for people: workers, employments, bars.

A right that holds on some sites only reaches workers who were ever employed there; an employer's right its own people.
"""

# ruff: noqa: FAST003, PLR0917 - the site guard reads {code}; FastAPI's dependencies are parameters

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from central.identity.asking import texts_of
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import Actor, require, require_rows
from central.kit.db import ReadSession, WriteSession
from central.kit.errors import NotFound
from central.kit.ids import OrganizationId, SiteId
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, decode_cursor
from central.registry import places, repository, schemas, workers
from central.registry.endpoints import Now, RowId, changes, page_of, view_of
from central.registry.guesses import Guesses
from central.registry.models import Bar, Worker
from central.registry.sessions import confined_reading, confined_writing

router = APIRouter(prefix="/api/v1", tags=["registry"])

worker_view = view_of(schemas.WorkerView)
employment_view = view_of(schemas.EmploymentView)
bar_view = view_of(schemas.BarView)

RollRead = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_WORKER_READ, partly=True))]
RollWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_WORKER_WRITE, partly=True))]


WorkerReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_WORKER_READ))]
WorkerWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_WORKER_WRITE))]


def worker_to_write(worker_id: RowId, session: WorkerWriting) -> Worker:
    """Find the worker of the path, or 404, before anything of the request's body is looked at."""
    return workers.worker(session, worker_id=worker_id)


WorkerToWrite = Annotated[Worker, Depends(worker_to_write)]


def guesses_of(request: Request, actor: CurrentActor, now: Now) -> Guesses:
    """Give the asker's count of numbers and names that did not fit."""
    return Guesses(request.app.state.engine, actor.key, actor.reach(Permission.REGISTRY_WORKER_WRITE), now=now)


OwnGuesses = Annotated[Guesses, Depends(guesses_of)]


@router.get("/workers")
def list_workers(
    session: WorkerReading,
    worker_no: Annotated[str | None, Query(max_length=20)] = None,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> schemas.Page[schemas.WorkerView]:
    """List the workers that you may see."""
    query = repository.workers_query(worker_no=worker_no)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=worker_view)


@router.post("/workers", status_code=201, response_model=schemas.WorkerView)
def create_worker(
    body: schemas.WorkerGiven,
    session: WorkerWriting,
    actor: CurrentActor,
    guesses: OwnGuesses,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Register a worker, with an employment when your right holds on some sites only."""
    terms = body.employment
    site = places.site_by_code(session, code=terms.site) if terms is not None else None
    if terms is None or site is None:
        require(actor, Permission.REGISTRY_WORKER_WRITE)
    else:
        _require_rows(actor, site_id=site.id or 0, employer_id=terms.employer_id)
    if body.is_test:
        # Whoever is never counted is missed by nobody: only who proves terminals there says so.
        require(actor, Permission.REGISTRY_TERMINAL_WRITE, site_id=SiteId(site.id or 0) if site is not None else None)

    def work() -> schemas.WorkerView:
        given = body.model_dump(exclude={"employment"})
        row = workers.register_worker(session, **given, actor=actor.key, now=now)
        if terms is not None and site is not None:
            roll = terms.model_dump(exclude={"site"})
            workers.employ(session, worker_id=row.id or 0, site_id=site.id or 0, **roll, actor=actor.key, now=now)
        return worker_view(row).model_copy(update={"notices": workers.same_person_notices(session, row)})

    with guesses.counted(body.worker_no):
        return once.write(session, body, work, now=now)


@router.get("/workers/{worker_id}")
def get_worker(worker_id: RowId, session: WorkerReading) -> schemas.WorkerView:
    """Give one worker."""
    return worker_view(workers.worker(session, worker_id=worker_id))


@router.patch("/workers/{worker_id}")
def amend_worker(
    request: Request,
    row: WorkerToWrite,
    body: schemas.WorkerAmended,
    session: WorkerWriting,
    actor: CurrentActor,
    guesses: OwnGuesses,
    now: Now,
) -> schemas.WorkerView:
    """Change a worker: one whom an employment within your reach holds today, or will hold.

    Whether it is a test worker, everywhere at once, changes who is counted.
    """
    given = changes(body)
    if "is_test" in given:
        require(actor, Permission.REGISTRY_TERMINAL_WRITE)
    texts = texts_of(request)
    with guesses.counted(body.worker_no):
        return worker_view(workers.amend_worker(session, row=row, changes=given, texts=texts, actor=actor.key, now=now))


@router.get("/workers/{worker_id}/bars")
def list_bars(
    worker_id: RowId, session: WorkerReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> schemas.Page[schemas.BarView]:
    """List a worker's bars, past ones included."""
    workers.worker(session, worker_id=worker_id)
    query = repository.bars_query(worker_id=worker_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=bar_view)


@router.post("/workers/{worker_id}/bars", status_code=201, response_model=schemas.BarView)
def create_bar(
    found: WorkerToWrite,
    body: schemas.BarGiven,
    session: WorkerWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Bar a worker from a site, or from every site."""
    site_id = _bar_site(session, body.site)
    require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=site_id)

    def work() -> schemas.BarView:
        row = workers.bar_worker(
            session,
            worker_id=found.id or 0,
            site_id=site_id,
            reason=body.reason,
            from_at=body.from_at or now,
            until_at=body.until_at,
            actor=actor.key,
            now=now,
        )
        return bar_view(row)

    return once.write(session, body, work, now=now)


def _require_rows(actor: Actor, *, site_id: int, employer_id: int) -> None:
    require_rows(
        actor,
        Permission.REGISTRY_WORKER_WRITE,
        site_id=SiteId(site_id),
        employer_id=OrganizationId(employer_id),
    )


def _bar_site(session: WriteSession, code: str | None) -> SiteId | None:
    return None if code is None else SiteId(places.site_by_code(session, code=code).id or 0)


@router.patch("/workers/{worker_id}/bars/{row_id}")
def end_bar(
    found: WorkerToWrite,
    row_id: RowId,
    body: schemas.BarEnded,
    session: WorkerWriting,
    actor: CurrentActor,
    now: Now,
) -> schemas.BarView:
    """End a bar."""
    row = session.get(Bar, row_id)
    if row is None or row.worker_id != found.id:
        raise NotFound(f"the worker has no bar {row_id}: see the worker's bars")
    require(actor, Permission.REGISTRY_WORKER_WRITE, site_id=SiteId(row.site_id) if row.site_id else None)
    return bar_view(workers.end_bar(session, row=row, until_at=body.until_at or now, actor=actor.key, now=now))


@router.get("/sites/{code}/employments")
def list_employments(
    site: RollRead,
    session: WorkerReading,
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
    site: RollWrite,
    session: WorkerWriting,
    actor: CurrentActor,
    guesses: OwnGuesses,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Put a worker on a site's roll."""
    _require_rows(actor, site_id=site.id, employer_id=body.employer_id)
    with guesses.counted(body.worker_no):
        found = workers.worker_to_employ(session, worker_id=body.worker_id, worker_no=body.worker_no, name=body.name)
    terms = body.model_dump(include={"employer_id", "trade", "from_on", "until_on"})

    def work() -> schemas.EmploymentView:
        row = workers.employ(session, worker_id=found.id or 0, site_id=site.id, **terms, actor=actor.key, now=now)
        return employment_view(row)

    return once.write(session, body, work, now=now)


@router.patch("/sites/{code}/employments/{row_id}")
def end_employment(
    row_id: RowId, body: schemas.PeriodEnded, site: RollWrite, session: WorkerWriting, actor: CurrentActor, now: Now
) -> schemas.EmploymentView:
    """Set the first day on which a worker is no longer employed there."""
    row = workers.end_employment(
        session, site_id=site.id, row_id=row_id, until_on=body.until_on, actor=actor.key, now=now
    )
    return employment_view(row)
