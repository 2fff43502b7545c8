"""The registry's JSON API for contracts. A client sees its projects' whole chain, others their own branch of it."""

# ruff: noqa: FAST003 - the project guard reads {code}; FastAPI's dependencies are parameters

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from central.identity.guards import CurrentActor, ProjectRef, project_guard
from central.identity.once import WriteOnce
from central.identity.permissions import Permission
from central.identity.policy import require
from central.kit.db import ReadSession, WriteSession
from central.kit.paging import ITEMS_A_PAGE, Cursor, Limit, decode_cursor
from central.registry import contract_repository, contract_rules, contracts, repository
from central.registry import contract_schemas as schemas
from central.registry.contract_models import Contract
from central.registry.endpoints import Now, RowId, page_of, view_of
from central.registry.schemas import Page
from central.registry.sessions import confined_reading, confined_writing

ZONE = ZoneInfo("Asia/Seoul")
"""Contracts are dated where the client is."""

router = APIRouter(prefix="/api/v1", tags=["contracts"])

terms_view = view_of(schemas.TermsView)

ChainRead = Annotated[ProjectRef, Depends(project_guard(Permission.REGISTRY_CONTRACT_READ, partly=True))]
ChainWrite = Annotated[ProjectRef, Depends(project_guard(Permission.REGISTRY_CONTRACT_WRITE, partly=True))]
ContractReading = Annotated[ReadSession, Depends(confined_reading(Permission.REGISTRY_CONTRACT_READ))]
ContractWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_CONTRACT_WRITE))]
Day = Annotated[date | None, Query(description="As of this day; today when absent.")]


def contract_to_change(
    project: ChainWrite, contract_id: RowId, session: ContractWriting, actor: CurrentActor
) -> Contract:
    """Find a contract that the actor may change, before the body is looked at: the client's own are the client's."""
    row = contracts.contract(session, project_id=project.id, contract_id=contract_id)
    if row.parent_id is None:
        require(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=project.id)
    return row


ContractToChange = Annotated[Contract, Depends(contract_to_change)]


@router.get("/projects/{code}/contracts")
def list_contracts(project: ChainRead, session: ContractReading, now: Now, on: Day = None) -> schemas.ChainView:
    """Give a project's contracts as they stood on a day, with what is to be looked at."""
    found = contracts.standing(session, project_id=project.id, on=on or now.astimezone(ZONE).date())
    rows = [row for branch in found.branches for row in rows_of(branch, found.names)]
    looked = [
        schemas.FindingView(code=one.code, contract_id=one.contract_id, sentence=one.sentence) for one in found.findings
    ]
    return schemas.ChainView(project=project.code, on=found.on, mode=found.mode, items=rows, findings=looked)


def rows_of(branch: contract_rules.Branch, names: dict[int, str], depth: int = 0) -> Iterator[schemas.ContractView]:
    """Lay a branch out, the contract before those below it."""
    contract, terms = branch.contract, branch.terms
    yield schemas.ContractView(
        id=contract.id,
        parent_id=contract.parent_id,
        depth=depth,
        contractor_id=contract.contractor_id,
        contractor=names.get(contract.contractor_id, ""),
        kind=contract.kind,
        work=contract.work,
        effective_on=terms.effective_on,
        amount_won=terms.amount_won,
        begins_on=terms.begins_on,
        ends_on=terms.ends_on,
        closed_on=contract.closed_on,
        lower_won=branch.lower_won,
    )
    for lower in branch.branches:
        yield from rows_of(lower, names, depth + 1)


@router.post("/projects/{code}/contracts", status_code=201, response_model=schemas.TermsView)
def create_contract(
    project: ChainWrite,
    body: schemas.ContractGiven,
    session: ContractWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Register a contract: the client's own, or one below a contract of yours."""
    if body.parent_id is None:
        require(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=project.id)
    else:
        contracts.contract(session, project_id=project.id, contract_id=body.parent_id)

    def work() -> schemas.TermsView:
        made = contracts.register_contract(
            session,
            project_id=project.id,
            parent_id=body.parent_id,
            contractor_id=body.contractor_id,
            kind=body.kind,
            work=body.work,
            agreed=agreed_of(body, contracts.FIRST),
            actor=actor.key,
            now=now,
        )
        return terms_view(made)

    return once.write(session, body, work, now=now)


@router.get("/projects/{code}/contracts/{contract_id}/terms")
def list_terms(
    project: ChainRead,
    contract_id: RowId,
    session: ContractReading,
    limit: Limit = ITEMS_A_PAGE,
    cursor: Cursor = None,
) -> Page[schemas.TermsView]:
    """List everything that was ever agreed in a contract."""
    contracts.contract(session, project_id=project.id, contract_id=contract_id)
    query = contract_repository.versions_query(contract_id=contract_id)
    rows = repository.list_rows(session, query, after=decode_cursor(cursor), limit=limit)
    return page_of(rows, limit=limit, show=terms_view)


@router.post("/projects/{code}/contracts/{contract_id}/terms", status_code=201, response_model=schemas.TermsView)
def change_terms(
    row: ContractToChange,
    body: schemas.TermsChanged,
    session: ContractWriting,
    actor: CurrentActor,
    once: WriteOnce,
    now: Now,
) -> JSONResponse:
    """Record new terms; the earlier ones stay."""

    def work() -> schemas.TermsView:
        agreed = agreed_of(body, body.reason)
        return terms_view(contracts.change_terms(session, row=row, agreed=agreed, actor=actor.key, now=now))

    return once.write(session, body, work, now=now)


@router.patch("/projects/{code}/contracts/{contract_id}")
def close_contract(
    row: ContractToChange,
    body: schemas.ContractClosed,
    session: ContractWriting,
    actor: CurrentActor,
    now: Now,
) -> schemas.ContractClosedView:
    """Close a contract, or open it again."""
    closed = contracts.close_contract(session, row=row, closed_on=body.closed_on, actor=actor.key, now=now)
    return schemas.ContractClosedView(id=closed.id or 0, closed_on=closed.closed_on)


def agreed_of(body: schemas.TermsGiven, reason: str) -> contracts.Agreed:
    """Read terms that were given."""
    return contracts.Agreed(
        amount_won=body.amount_won,
        begins_on=body.begins_on,
        ends_on=body.ends_on,
        effective_on=body.effective_on or body.signed_on or body.begins_on,
        signed_on=body.signed_on,
        reason=reason,
    )
