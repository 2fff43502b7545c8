"""Contracts of a project: registered, changed by new terms, closed; what stood on a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.errors import Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.registry import contract_repository as repository
from central.registry import contract_rules as rules
from central.registry import notices
from central.registry.contract_models import Contract, ContractVersion
from central.registry.places import organization
from central.registry.project_rules import mode_of
from central.registry.refusals import flush, open_project
from central.registry.rules import one_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from central.kit.db import ReadSession, WriteSession

FIRST = "first"


@dataclass(frozen=True, slots=True)
class Agreed:
    """Terms to record: the amount in won, the work's first and last day, from when they hold, and why."""

    amount_won: int
    begins_on: date
    ends_on: date
    effective_on: date
    signed_on: date | None = None
    reason: str = FIRST


@dataclass(frozen=True, slots=True)
class Standing:
    """A project's contracts as they stood on a day, as far as the asker may see them."""

    on: date
    mode: str | None
    """`long_term` or `short_term`, by the project's largest prime contract; None without one."""
    branches: list[rules.Branch]
    findings: list[rules.Finding]
    names: dict[int, str]
    """Of the contractors, by organization."""


def contract(session: ReadSession | WriteSession, *, project_id: int, contract_id: int) -> Contract:
    """Return a project's contract within the session's reach, or raise `NotFound`."""
    row = repository.contract_in(session, project_id=project_id, contract_id=contract_id)
    if row is None:
        raise NotFound(
            sentence(
                "there is no contract %(id)s in this project, or not among yours: check the number", id=contract_id
            )
        )
    return row


def register_contract(  # noqa: PLR0913 - these are the contract's facts
    session: WriteSession,
    *,
    project_id: int,
    parent_id: int | None,
    contractor_id: int,
    kind: str,
    work: str,
    agreed: Agreed,
    actor: str,
    now: datetime,
) -> ContractVersion:
    """Register a contract; return its first terms. Raises `Invalid` or `RefusedContract`."""
    one_of("kind", kind, rules.KINDS)
    organization(session, organization_id=contractor_id)
    open_project(repository.lock_project(session, project_id), agreed.effective_on)
    chain = repository.chain(session, project_id=project_id, beyond_reach=True)
    if len(chain) >= rules.CONTRACTS_A_PROJECT_MAX:
        raise Conflict(
            sentence(
                "the project has %(number)s contracts: at most %(max)s",
                number=f"{len(chain):,}",
                max=f"{rules.CONTRACTS_A_PROJECT_MAX:,}",
            )
        )
    asked = rules.Contract(0, parent_id, contractor_id, kind, work, ())
    rules.check_place(asked, chain)
    _check(asked, agreed, chain)
    row = Contract(
        project_id=project_id,
        parent_id=parent_id,
        contractor_id=contractor_id,
        kind=kind,
        work=work,
        created_at=now,
    )
    session.add(row)
    flush(session)
    made = _record(session, row, agreed, actor=actor, now=now)
    notices.tell_access_changed(session)
    detail = _said(agreed) | {"project_id": project_id, "parent_id": parent_id, "contractor_id": contractor_id}
    _note(session, Tag.CONTRACT_CREATE, row, detail | {"kind": kind, "work": work}, actor=actor, now=now)
    return made


def change_terms(session: WriteSession, *, row: Contract, agreed: Agreed, actor: str, now: datetime) -> ContractVersion:
    """Record new terms of a contract; the earlier ones stay and answer for their time."""
    check_change(session, row=row, agreed=agreed)
    made = _record(session, row, agreed, actor=actor, now=now)
    _note(session, Tag.CONTRACT_AMEND, row, _said(agreed), actor=actor, now=now)
    return made


def check_change(session: WriteSession, *, row: Contract, agreed: Agreed) -> None:
    """Pass new terms that may be recorded; nobody else decides about the project's contracts before the commit."""
    if row.closed_on is not None:
        raise Conflict(
            sentence(
                "the contract was closed on %(day)s: open it again first, or register another",
                day=row.closed_on.isoformat(),
            )
        )
    if agreed.reason.strip() in {"", FIRST}:
        raise Invalid("say why the terms change: a design change, an extension, a price adjustment, a correction")
    repository.lock_project(session, row.project_id)
    chain = repository.chain(session, project_id=row.project_id, beyond_reach=True)
    _check(chain[row.id or 0], agreed, chain)


def close_contract(
    session: WriteSession, *, row: Contract, closed_on: date | None, actor: str, now: datetime
) -> Contract:
    """Set the first day on which the contract no longer binds; null opens it again. Roles through it end with it."""
    before = row.closed_on
    row.closed_on = closed_on
    flush(session)
    notices.tell_access_changed(session)
    _note(session, Tag.CONTRACT_CLOSE, row, {"closed_on": [before, closed_on]}, actor=actor, now=now)
    return row


def standing(session: ReadSession, *, project_id: int, on: date) -> Standing:
    """Return the contracts of a project on a day within reach, what is to be looked at, and the project's mode."""
    chain = repository.chain(session, project_id=project_id)
    branches = rules.tree(chain.values(), on)
    names = repository.organization_names(session, sorted({one.contractor_id for one in chain.values()}))
    seen = rules.findings(_whole(chain), on)
    return Standing(on, project_mode(session, project_id=project_id, on=on), branches, seen, names)


def _whole(chain: dict[int, rules.Contract]) -> list[rules.Contract]:
    """Leave out whose parent is out of reach: what cannot be seen is no reason for a finding."""
    return [one for one in chain.values() if one.parent_id is None or one.parent_id in chain]


def project_mode(session: ReadSession, *, project_id: int, on: date) -> str | None:
    """Return the project's mode on a day by its largest prime contract then; None without one."""
    chain = repository.chain(session, project_id=project_id, beyond_reach=True)
    primes = [terms for one in chain.values() if one.kind == "prime" and (terms := one.on(on)) is not None]
    if not primes:
        return None
    largest = max(primes, key=lambda terms: terms.amount_won)
    return mode_of(amount_won=largest.amount_won, begins_on=largest.begins_on, ends_on=largest.ends_on, on=on)


def _check(asked: rules.Contract, agreed: Agreed, chain: dict[int, rules.Contract]) -> None:
    terms = rules.Terms(0, agreed.effective_on, agreed.amount_won, agreed.begins_on, agreed.ends_on)
    rules.check_terms(terms)
    rules.check_against(asked, terms, chain)


def _record(session: WriteSession, row: Contract, agreed: Agreed, *, actor: str, now: datetime) -> ContractVersion:
    made = ContractVersion(
        contract_id=row.id or 0,
        effective_on=agreed.effective_on,
        amount_won=agreed.amount_won,
        begins_on=agreed.begins_on,
        ends_on=agreed.ends_on,
        signed_on=agreed.signed_on,
        reason=agreed.reason,
        recorded_at=now,
        recorded_by=actor,
    )
    session.add(made)
    flush(session)
    return made


def _said(agreed: Agreed) -> dict[str, object]:
    return {
        "amount_won": agreed.amount_won,
        "begins_on": agreed.begins_on,
        "ends_on": agreed.ends_on,
        "effective_on": agreed.effective_on,
        "signed_on": agreed.signed_on,
        "reason": agreed.reason,
    }


def _note(
    session: WriteSession, tag: Tag, row: Contract, detail: dict[str, object], *, actor: str, now: datetime
) -> None:
    audit.record(session, actor=actor, tag=tag, subject=f"contract:{row.id}", detail=detail, now=now)
