"""Tables of the chain of contracts. A contract's terms are rows that are added, never changed: as of any day."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class Contract(SQLModel, table=True):
    """An agreement in a project: a prime contract, or one below another. Its terms are its versions."""

    __tablename__ = "registry_contract"
    id: int | None = id_column()
    project_id: int = reference("registry_project.id", index=True)
    parent_id: int | None = reference("registry_contract.id", nullable=True, index=True)
    """Null for what the client ordered itself."""
    contractor_id: int = reference("registry_organization.id", index=True)
    kind: str = Field(max_length=20)
    """prime | sub | equipment | material | supervision"""
    work: str = Field(max_length=200)
    """What is to be done or delivered."""
    closed_on: date | None = None
    """First day on which it no longer binds; null while it does."""
    created_at: datetime = instant(server_now=True)


class ContractVersion(SQLModel, table=True):
    """The terms of a contract from `effective_on` until a later version's."""

    __tablename__ = "registry_contract_version"
    id: int | None = id_column()
    contract_id: int = reference("registry_contract.id")
    effective_on: date
    amount_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    begins_on: date
    ends_on: date
    """The last day of the work."""
    signed_on: date | None = None
    reason: str = Field(max_length=300)
    """`first`, or why the terms changed."""
    recorded_at: datetime = instant()
    recorded_by: str = Field(max_length=120)
    __table_args__ = (Index("ix_registry_contract_version_contract_id_effective_on", "contract_id", "effective_on"),)
