"""Pages of contracts: registering one, everything that was agreed in it, new terms after a second look, closing it."""

# ruff: noqa: FAST003, PLR0917 - the project guard reads {code}; dependencies are parameters

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from central.identity.guards import CurrentActor
from central.identity.permissions import Permission
from central.identity.policy import Actor, allowed, require
from central.kit.db import ReadSession, WriteSession
from central.kit.forms import Filled, Form, FormSent, Posted, Second, say, show, submit, with_suggestions
from central.kit.web import language_of, page, translate
from central.registry import choosing, contract_repository, contracts, inputs, places, repository, typed, wording
from central.registry.contract_endpoints import (
    ChainRead,
    ChainWrite,
    ContractReading,
    ContractToChange,
    ContractWriting,
    agreed_of,
)
from central.registry.contract_models import Contract, ContractVersion
from central.registry.contract_schemas import TermsChanged
from central.registry.endpoints import Now, RowId

VERSIONS_SHOWN_MAX = 200
router = APIRouter(include_in_schema=False)
Below = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
BELOW = ("sub", "supplier", "prime")
ON_TOP = ("prime", "supervisor")


@router.get("/projects/{code}/contracts/new")
def new_contract(
    request: Request, project: ChainWrite, session: ContractWriting, actor: CurrentActor, below: Below = None
) -> Response:
    """Ask for a contract: the client's own, or one below another."""
    form = _new_form(request, session, project.code, _above(session, actor, project_id=project.id, below=below))
    return show(request, with_suggestions(form, contractor=choosing.organizations_offered(session, *_kinds(below))))


@router.post("/projects/{code}/contracts/new", dependencies=[FormSent])
def register_contract(
    request: Request,
    project: ChainWrite,
    posted: Posted,
    session: ContractWriting,
    actor: CurrentActor,
    now: Now,
    below: Below = None,
) -> Response:
    """Register a contract with its first terms."""
    form = _new_form(request, session, project.code, _above(session, actor, project_id=project.id, below=below))

    def act(given: typed.ContractTyped) -> str:
        contractor = choosing.organization_named(session, given.contractor, field="contractor")
        contracts.register_contract(
            session,
            project_id=project.id,
            parent_id=below,
            contractor_id=contractor.id or 0,
            kind=given.kind,
            work=given.work,
            agreed=agreed_of(given, contracts.FIRST),
            actor=actor.key,
            now=now,
        )
        return f"/projects/{project.code}?on={max(given.begins_on, now.date())}"

    return submit(request, session, form, posted, typed.ContractTyped, act, done=say("The contract is registered."))


def _kinds(below: int | None) -> tuple[str, ...]:
    return ON_TOP if below is None else BELOW


def _above(session: ReadSession | WriteSession, actor: Actor, *, project_id: int, below: int | None) -> Contract | None:
    """Find the contract above; without one only who holds the whole project may go on."""
    if below is None:
        require(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=project_id)  # type: ignore[arg-type]  # guarded id
        return None
    return contracts.contract(session, project_id=project_id, contract_id=below)


def _new_form(request: Request, session: WriteSession, code: str, above: Contract | None) -> Form:
    crumbs = [("/projects", translate(request, "Projects")), (f"/projects/{code}", code)]
    fields = inputs.contract(language_of(request), below=above is not None)
    if above is None:
        return Form(translate(request, "Register a contract"), fields, translate(request, "Save"), crumbs)
    names = contract_repository.organization_names(session, [above.contractor_id])
    crumbs.append((f"/projects/{code}/contracts/{above.id}", f"{names[above.contractor_id]} · {above.work}"))
    title = translate(request, "Register a contract below it")
    return Form(title, fields, translate(request, "Save"), crumbs)


@router.get("/projects/{code}/contracts/{contract_id}")
def contract_page(
    request: Request, project: ChainRead, contract_id: RowId, session: ContractReading, actor: CurrentActor
) -> Response:
    """Show everything that was ever agreed in a contract, newest first."""
    row = contracts.contract(session, project_id=project.id, contract_id=contract_id)
    whole = allowed(actor, Permission.REGISTRY_CONTRACT_WRITE, project_id=project.id)
    return page(
        request,
        "registry/contract.html",
        project=places.project(session, code=project.code),
        row=row,
        contractor=contract_repository.organization_names(session, [row.contractor_id])[row.contractor_id],
        versions=_versions(session, contract_id),
        words=wording,
        may_change=whole or (row.parent_id is not None and bool(actor.reach(Permission.REGISTRY_CONTRACT_WRITE))),
    )


def _versions(session: ReadSession | WriteSession, contract_id: int) -> list[ContractVersion]:
    query = contract_repository.versions_query(contract_id=contract_id)
    rows = repository.list_rows(session, query, after=0, limit=VERSIONS_SHOWN_MAX)  # type: ignore[arg-type]  # reads only
    return sorted(rows, key=lambda one: (one.effective_on, one.id or 0), reverse=True)


@router.get("/projects/{code}/contracts/{contract_id}/terms")
def new_terms(request: Request, project: ChainWrite, row: ContractToChange, session: ContractWriting) -> Response:
    """Ask for new terms, beginning with those that hold."""
    latest = _versions(session, row.id or 0)[0]
    held = {"amount_won": f"{latest.amount_won:,}", "begins_on": str(latest.begins_on), "ends_on": str(latest.ends_on)}
    return show(request, _terms_form(request, project.code, row), Filled(held))


@router.post("/projects/{code}/contracts/{contract_id}/terms", dependencies=[FormSent])
def change_terms(
    request: Request,
    project: ChainWrite,
    row: ContractToChange,
    posted: Posted,
    session: ContractWriting,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """Record new terms after a second look at what changes: no version is ever taken back."""

    def act(given: TermsChanged) -> str:
        contracts.change_terms(session, row=row, agreed=agreed_of(given, given.reason), actor=actor.key, now=now)
        return f"/projects/{project.code}/contracts/{row.id}"

    def look(given: TermsChanged) -> Second:
        agreed = agreed_of(given, given.reason)
        contracts.check_change(session, row=row, agreed=agreed)
        before = _versions(session, row.id or 0)[0]
        lines = [
            translate(request, "Holds from %(day)s on.", day=agreed.effective_on),
            translate(
                request, "Amount: %(old)s → %(new)s won.", old=f"{before.amount_won:,}", new=f"{agreed.amount_won:,}"
            ),
            translate(
                request,
                "Work: from %(old_begin)s to %(old_end)s → from %(begin)s to %(end)s.",
                old_begin=before.begins_on,
                old_end=before.ends_on,
                begin=agreed.begins_on,
                end=agreed.ends_on,
            ),
            translate(request, "Because: %(reason)s", reason=agreed.reason),
        ]
        return Second(translate(request, "Record these terms?"), lines, translate(request, "Record them"))

    form = _terms_form(request, project.code, row)
    done = say("The new terms are recorded. The earlier ones stay and answer for their time.")
    return submit(request, session, form, posted, TermsChanged, act, done=done, look=look)


def _terms_form(request: Request, code: str, row: Contract) -> Form:
    title = translate(request, "New terms: %(work)s", work=row.work)
    return Form(
        title, inputs.terms(changed=True), translate(request, "Look at what changes"), _crumbs(request, code, row)
    )


def _crumbs(request: Request, code: str, row: Contract) -> list[tuple[str, str]]:
    above = [("/projects", translate(request, "Projects")), (f"/projects/{code}", code)]
    return [*above, (f"/projects/{code}/contracts/{row.id}", row.work)]


@router.get("/projects/{code}/contracts/{contract_id}/close")
def ask_to_close(request: Request, project: ChainWrite, row: ContractToChange) -> Response:
    """Ask for the first day on which a contract no longer binds."""
    held = {"closed_on": str(row.closed_on)} if row.closed_on else {}
    return show(request, _close_form(request, project.code, row), Filled(held))


@router.post("/projects/{code}/contracts/{contract_id}/close", dependencies=[FormSent])
def close_contract(
    request: Request,
    project: ChainWrite,
    row: ContractToChange,
    posted: Posted,
    session: ContractWriting,
    actor: CurrentActor,
    now: Now,
) -> Response:
    """Close a contract, or open it again."""

    def act(given: typed.Closed) -> str:
        contracts.close_contract(session, row=row, closed_on=given.closed_on, actor=actor.key, now=now)
        return f"/projects/{project.code}/contracts/{row.id}"

    form = _close_form(request, project.code, row)
    return submit(request, session, form, posted, typed.Closed, act, done=say("The contract's end was changed."))


def _close_form(request: Request, code: str, row: Contract) -> Form:
    title = translate(request, "Close: %(work)s", work=row.work)
    note = translate(request, "Roles that are held through this contract end on that day, at the next request.")
    crumbs = _crumbs(request, code, row)
    return Form(title, inputs.CLOSED, translate(request, "Save"), crumbs, notes=[note])
