"""The registry's JSON API for what is on record of a worker: papers, labour contracts, identity number, merging."""

# ruff: noqa: FAST003 - the worker's dependency reads {worker_id}; dependencies are parameters

from __future__ import annotations

from datetime import date
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from central.audit.tags import Tag
from central.identity.asking import texts_of
from central.identity.guards import CurrentActor
from central.identity.looks import Looks
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import require_rows
from central.kit.db import ReadSession, WriteSession
from central.kit.ids import OrganizationId, SiteId
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, decode_cursor
from central.kit.sealed import Seal
from central.registry import merging, places, record_repository, record_rules, records, repository, whose, workers
from central.registry import record_schemas as schemas
from central.registry.cards import ZONE
from central.registry.endpoints import Now, RowId, page_of, view_of
from central.registry.models import Worker
from central.registry.record_models import WorkerPaper
from central.registry.schemas import Page
from central.registry.sessions import confined_reading, confined_writing
from central.registry.worker_endpoints import WorkerReading, WorkerToWrite, WorkerWriting

router = APIRouter(prefix="/api/v1", tags=["registry"])

labour_view = view_of(schemas.LabourContractView)

IdentityReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_IDENTITY_NUMBER_READ))]
MergeWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_WORKER_MERGE))]


def worker_to_merge(worker_id: RowId, session: MergeWriting) -> Worker:
    """Find the worker to keep, or 404, before the body is looked at."""
    return workers.worker(session, worker_id=worker_id)


WorkerToMerge = Annotated[Worker, Depends(worker_to_merge)]


def seal_of(request: Request) -> Seal:
    """Return the installation's seal."""
    return cast("Seal", request.app.state.seal)


def paper_view(row: WorkerPaper, *, today: date) -> schemas.PaperView:
    """Show a paper with how it stands today."""
    stands = "withdrawn" if row.withdrawn_at else record_rules.validity(row.from_on, row.until_on, on=today)
    return schemas.PaperView.model_validate(row.model_dump() | {"validity": stands})


@router.get("/workers/{worker_id}/papers")
def list_papers(
    worker_id: RowId, session: WorkerReading, now: Now, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> Page[schemas.PaperView]:
    """List a worker's papers, past and withdrawn ones included."""
    workers.worker(session, worker_id=worker_id)
    query = record_repository.papers_query(worker_id=worker_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    today = now.astimezone(ZONE).date()
    return page_of(rows, limit=limit, show=lambda row: paper_view(row, today=today))


@router.post("/workers/{worker_id}/papers", status_code=201, response_model=schemas.PaperView)
def create_paper(
    found: WorkerToWrite,
    body: schemas.PaperGiven,
    session: WorkerWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Record a paper."""

    def work() -> schemas.PaperView:
        given = body.model_dump()
        row = records.add_paper(session, worker_id=found.id or 0, **given, actor=actor.key, now=now)
        return paper_view(row, today=now.astimezone(ZONE).date())

    return once.write(session, body, work, now=now)


@router.delete("/workers/{worker_id}/papers/{row_id}")
def withdraw_paper(
    found: WorkerToWrite, row_id: RowId, session: WorkerWriting, actor: CurrentActor, now: Now
) -> schemas.PaperView:
    """Withdraw a paper that was recorded by mistake; it stays on record as withdrawn."""
    row = records.withdraw_paper(session, worker_id=found.id or 0, row_id=row_id, actor=actor.key, now=now)
    return paper_view(row, today=now.astimezone(ZONE).date())


@router.get("/workers/{worker_id}/labour-contracts")
def list_labour_contracts(
    worker_id: RowId, session: WorkerReading, limit: Limit = ITEMS_A_PAGE, cursor: Cursor = None
) -> Page[schemas.LabourContractView]:
    """List a worker's labour contracts on your sites."""
    workers.worker(session, worker_id=worker_id)
    query = record_repository.labour_contracts_query(worker_id=worker_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=labour_view)


@router.post("/workers/{worker_id}/labour-contracts", status_code=201, response_model=schemas.LabourContractView)
def create_labour_contract(
    found: WorkerToWrite,
    body: schemas.LabourContractGiven,
    session: WorkerWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Record a labour contract."""
    site_id = places.site_by_code(session, code=body.site).id or 0
    employer = OrganizationId(body.employer_id)
    require_rows(actor, Permission.REGISTRY_WORKER_WRITE, site_id=SiteId(site_id), employer_id=employer)

    def work() -> schemas.LabourContractView:
        terms = body.model_dump(exclude={"site"})
        row = records.add_labour_contract(
            session, worker_id=found.id or 0, site_id=site_id, **terms, actor=actor.key, now=now
        )
        return labour_view(row)

    return once.write(session, body, work, now=now)


@router.put("/workers/{worker_id}/identity-number")
def set_identity_number(
    request: Request,
    found: WorkerToWrite,
    body: schemas.IdentityNumberGiven,
    session: WorkerWriting,
    actor: CurrentActor,
    now: Now,
) -> schemas.IdentityNumberKept:
    """Keep a worker's identity number, encrypted, for the filing that needs it."""
    records.set_identity_number(
        session, row=found, number=body.number, seal=seal_of(request), reason=body.reason, actor=actor.key, now=now
    )
    return schemas.IdentityNumberKept(worker_id=found.id or 0, reason=body.reason)


@router.get("/workers/{worker_id}/identity-number")
def get_identity_number(
    request: Request, worker_id: RowId, session: IdentityReading, actor: CurrentActor, now: Now
) -> schemas.IdentityNumberView:
    """Open a worker's identity number. Each look is in the audit trail before it is answered."""
    row = workers.worker(session, worker_id=worker_id)
    looks: Looks = request.app.state.looks
    found = whose.take(session)
    looks.record(actor, Tag.IDENTITY_NUMBER_LOOK, f"worker:{worker_id}", now=now, detail={}, workers=found)
    return schemas.IdentityNumberView(worker_id=worker_id, number=records.identity_number(row, seal=seal_of(request)))


@router.post("/workers/{worker_id}/merge", response_model=schemas.MergeView)
def merge_workers(  # noqa: PLR0917 - dependencies are parameters
    request: Request,
    kept: WorkerToMerge,
    body: schemas.MergeGiven,
    session: MergeWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Give everything of another registered worker, who is the same person, to this one."""
    other = workers.worker(session, worker_id=body.other_id)

    def work() -> schemas.MergeView:
        texts = texts_of(request)
        done = merging.merge_workers(
            session, kept=kept, other=other, reason=body.reason, texts=texts, actor=actor.key, now=now
        )
        return schemas.MergeView(kept_id=kept.id or 0, merged_id=other.id or 0, moved=dict(done.moved))

    return once.write(session, body, work, now=now, status=200)
