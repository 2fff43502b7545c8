"""Tables of the registry. Periods are half-open: `from_` is in, `until_` is out, null is open-ended."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class Organization(SQLModel, table=True):
    """A client, prime contractor, subcontractor, supplier or supervision firm (DOMAIN §1.0)."""

    __tablename__ = "registry_organization"
    id: int | None = id_column()
    business_no: str | None = Field(default=None, unique=True, max_length=10)
    """Korean business registration number, ten digits."""
    name: str = Field(max_length=200)
    kind: str = Field(max_length=20)
    """client | prime | sub | supplier | supervisor"""
    created_at: datetime = instant(server_now=True)


class Project(SQLModel, table=True):
    """One construction project of a client."""

    __tablename__ = "registry_project"
    id: int | None = id_column()
    code: str = Field(unique=True, max_length=40)
    name: str = Field(max_length=200)
    client_id: int = reference("registry_organization.id", index=True)
    created_at: datetime = instant(server_now=True)


class Site(SQLModel, table=True):
    """A place where a project's people work; its time zone and calendar decide what a day is."""

    __tablename__ = "registry_site"
    id: int | None = id_column()
    code: str = Field(unique=True, max_length=40)
    """As in MQTT topics: [a-z0-9-]{1,40}."""
    project_id: int = reference("registry_project.id", index=True)
    name: str = Field(max_length=200)
    address: str = Field(default="", max_length=300)
    timezone: str = Field(default="Asia/Seoul", max_length=60)
    calendar: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    """`{"week": ["mon", …], "closed": ["2026-12-25"], "open": ["2026-12-26"], "day_start": "04:00"}`; all optional."""
    created_at: datetime = instant(server_now=True)


class SiteEmployer(SQLModel, table=True):
    """An employer working on a site during a period."""

    __tablename__ = "registry_site_employer"
    id: int | None = id_column()
    site_id: int = reference("registry_site.id", index=True)
    organization_id: int = reference("registry_organization.id", index=True)
    tier: str = Field(max_length=10)
    """prime | sub | supplier"""
    from_on: date
    until_on: date | None = None
    __table_args__ = (
        ExcludeConstraint(
            ("site_id", "="),
            ("organization_id", "="),
            (text("daterange(from_on, until_on)"), "&&"),
            name="ex_registry_site_employer_period",
        ),
    )


class Worker(SQLModel, table=True):
    """A person who works on sites. The association's worker number stands first; no identity number is kept here."""

    __tablename__ = "registry_worker"
    id: int | None = id_column()
    worker_no: str | None = Field(default=None, unique=True, max_length=20)
    """The mutual-aid association's number."""
    name: str = Field(max_length=100)
    language: str = Field(default="ko", max_length=8)
    phone: str | None = Field(default=None, max_length=20)
    is_test: bool = Field(default=False)
    """Test workers prove a terminal and are never counted."""
    created_at: datetime = instant(server_now=True)


class Employment(SQLModel, table=True):
    """A worker's employer and trade on a site during a period: the site's roll."""

    __tablename__ = "registry_employment"
    id: int | None = id_column()
    worker_id: int = reference("registry_worker.id", index=True)
    site_id: int = reference("registry_site.id", index=True)
    employer_id: int = reference("registry_organization.id", index=True)
    trade: str = Field(max_length=40)
    """Code of DOMAIN §7's trade list, e.g. `rebar`."""
    from_on: date
    until_on: date | None = None
    __table_args__ = (
        ExcludeConstraint(
            ("worker_id", "="),
            ("site_id", "="),
            (text("daterange(from_on, until_on)"), "&&"),
            name="ex_registry_employment_period",
        ),
    )


class Card(SQLModel, table=True):
    """A card by its token; the raw identity is never stored."""

    __tablename__ = "registry_card"
    id: int | None = id_column()
    token: str = Field(unique=True, max_length=32)
    kind: str = Field(default="card", max_length=20)
    """card | mobile | temporary"""
    created_at: datetime = instant(server_now=True)


class CardAssignment(SQLModel, table=True):
    """Whose card it was, and when. A card has one holder at any instant."""

    __tablename__ = "registry_card_assignment"
    id: int | None = id_column()
    card_id: int = reference("registry_card.id", index=True)
    worker_id: int = reference("registry_worker.id", index=True)
    from_at: datetime = instant()
    until_at: datetime | None = instant(nullable=True)
    ended_reason: str | None = Field(default=None, max_length=40)
    """lost | replaced | returned | blocked | expired"""
    __table_args__ = (
        ExcludeConstraint(
            ("card_id", "="),
            (text("tstzrange(from_at, until_at)"), "&&"),
            name="ex_registry_card_assignment_period",
        ),
    )


class Bar(SQLModel, table=True):
    """A worker barred from one site, or from every site when `site_id` is null."""

    __tablename__ = "registry_bar"
    id: int | None = id_column()
    worker_id: int = reference("registry_worker.id", index=True)
    site_id: int | None = reference("registry_site.id", nullable=True)
    reason: str = Field(max_length=200)
    from_at: datetime = instant()
    until_at: datetime | None = instant(nullable=True)


class Terminal(SQLModel, table=True):
    """A card terminal at a gate, with its readers and their directions."""

    __tablename__ = "registry_terminal"
    id: int | None = id_column()
    site_id: int = reference("registry_site.id")
    code: str = Field(max_length=40)
    name: str = Field(default="", max_length=100)
    zone: str = Field(default="", max_length=40)
    readers: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb"))
    )
    """`[{"name": "r1", "direction": "in|out|tap|muster", "zone": "…"}]`"""
    in_service: bool = Field(default=True)
    created_at: datetime = instant(server_now=True)
    __table_args__ = (Index("uq_registry_terminal_site_id_code", "site_id", "code", unique=True),)
