"""Queries on the chain of contracts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from central.registry import contract_rules as rules
from central.registry.confinement import BEYOND_REACH
from central.registry.contract_models import Contract, ContractVersion
from central.registry.models import Organization, Project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from sqlmodel.sql.expression import SelectOfScalar

    from central.kit.db import ReadSession, WriteSession

_WITHIN: Mapping[str, Any] = {}


def lock_project(session: WriteSession, project_id: int) -> date | None:
    """Let one writer at a time decide about a project's contracts; return when it was completed."""
    query = select(col(Project.completed_on)).where(Project.id == project_id).with_for_update()
    return session.exec(query, execution_options=BEYOND_REACH).one()


def chain(
    session: ReadSession | WriteSession, *, project_id: int, beyond_reach: bool = False
) -> dict[int, rules.Contract]:
    """Return a project's contracts by id, in two queries: within reach, or (for a decision) all of them."""
    options = BEYOND_REACH if beyond_reach else _WITHIN
    rows = session.exec(
        select(Contract).where(Contract.project_id == project_id).limit(rules.CONTRACTS_A_PROJECT_MAX),
        execution_options=options,
    ).all()
    versions = session.exec(
        select(ContractVersion)
        .join(Contract, col(Contract.id) == col(ContractVersion.contract_id))
        .where(Contract.project_id == project_id)
        .order_by(col(ContractVersion.id)),
        execution_options=options,
    ).all()
    terms: defaultdict[int, list[rules.Terms]] = defaultdict(list)
    for row in versions:
        terms[row.contract_id].append(terms_of(row))
    return {
        row.id or 0: rules.Contract(
            id=row.id or 0,
            parent_id=row.parent_id,
            contractor_id=row.contractor_id,
            kind=row.kind,
            work=row.work,
            terms=tuple(terms[row.id or 0]),
            closed_on=row.closed_on,
        )
        for row in rows
    }


def terms_of(row: ContractVersion) -> rules.Terms:
    """Read a version as the rules know it."""
    return rules.Terms(row.id or 0, row.effective_on, row.amount_won, row.begins_on, row.ends_on)


def contract_in(session: ReadSession | WriteSession, *, project_id: int, contract_id: int) -> Contract | None:
    """Find a project's contract within the session's reach."""
    query = select(Contract).where(Contract.id == contract_id, Contract.project_id == project_id)
    return session.exec(query).one_or_none()


def versions_query(*, contract_id: int) -> SelectOfScalar[ContractVersion]:
    """Select a contract's terms, in the order recorded."""
    return select(ContractVersion).where(ContractVersion.contract_id == contract_id)


def organization_names(session: ReadSession | WriteSession, ids: Sequence[int]) -> dict[int, str]:
    """Return the names of these organizations."""
    rows = session.exec(select(Organization.id, Organization.name).where(col(Organization.id).in_(ids))).all()
    return {row_id: name for row_id, name in rows if row_id is not None}
