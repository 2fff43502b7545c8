"""Tables of the registry. Periods are half-open: `from_` is in, `until_` is out, null is open-ended."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, listed_text, reference


class Organization(SQLModel, table=True):
    """A client, prime contractor, subcontractor, supplier or supervision firm (DOMAIN §1.0)."""

    __tablename__ = "registry_organization"
    id: int | None = id_column()
    business_no: str | None = listed_text(10, unique=True, nullable=True)
    """Korean business registration number, ten digits."""
    name: str = listed_text(200)
    kind: str = Field(max_length=20)
    """client | prime | sub | supplier | supervisor"""
    created_at: datetime = instant(server_now=True)
    __table_args__ = (Index("ix_registry_organization_name_id", "name", "id"),)


class Project(SQLModel, table=True):
    """One construction project of a client."""

    __tablename__ = "registry_project"
    id: int | None = id_column()
    code: str = listed_text(40, unique=True)
    name: str = listed_text(200)
    client_id: int = reference("registry_organization.id", index=True)
    purpose: str = Field(default="", max_length=1000, sa_column_kwargs={"server_default": ""})
    classification: str | None = Field(default=None, max_length=20)
    """road | water | public_building | park | urban_rail | other (DOMAIN §3.4)"""
    budget_won: int | None = Field(default=None, sa_column=Column(BigInteger))
    """What the client means to spend; what was agreed stands in the contracts."""
    bid_notice_on: date | None = None
    """First bid notice: decides the daily retirement deduction and which wage rules hold."""
    begins_on: date | None = None
    ends_on: date | None = None
    """Planned completion, the last day."""
    completed_on: date | None = None
    address: str = Field(default="", max_length=300, sa_column_kwargs={"server_default": ""})
    latitude: float | None = None
    """WGS 84 degrees, with `longitude` or not at all."""
    longitude: float | None = None
    borough: str | None = Field(default=None, max_length=10)
    """Code of the Seoul borough that the point lies in; null without a point, or outside of Seoul."""
    created_at: datetime = instant(server_now=True)
    __table_args__ = (
        Index("ix_registry_project_name_id", "name", "id"),
        Index("ix_registry_project_begins_on_id", "begins_on", "id"),
    )


class Zone(SQLModel, table=True):
    """A part of a site, or a gate into it, that terminals name as their zone."""

    __tablename__ = "registry_zone"
    id: int | None = id_column()
    site_id: int = reference("registry_site.id")
    code: str = Field(max_length=40)
    name: str = Field(max_length=100)
    kind: str = Field(max_length=10)
    """area | gate | muster"""
    closed_on: date | None = None
    created_at: datetime = instant(server_now=True)
    __table_args__ = (Index("uq_registry_zone_site_id_code", "site_id", "code", unique=True),)


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
    closed_on: date | None = None
    """First day on which nothing begins there any more; null while it is open."""
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
    name: str = listed_text(100)
    language: str = Field(default="ko", max_length=8)
    phone: str | None = Field(default=None, max_length=20)
    phone_changed_at: datetime | None = instant(nullable=True)
    """When somebody last changed the telephone of a worker who was registered already."""
    is_test: bool = Field(default=False)
    """Test workers prove a terminal and are never counted."""
    birth_on: date | None = None
    nationality: str | None = Field(default=None, max_length=2)
    """ISO 3166-1 alpha-2."""
    identity_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """The resident or alien registration number, encrypted (`identity_numbers`); only where a filing needs it."""
    identity_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary, unique=True))
    """HMAC of the number under a key of its own: finds the same number again without opening any."""
    merged_into_id: int | None = reference("registry_worker.id", nullable=True, index=True)
    """The worker who this one turned out to be. The row stays: its history is evidence."""
    created_at: datetime = instant(server_now=True)
    __table_args__ = (
        Index("ix_registry_worker_name_id", "name", "id"),
        Index("ix_registry_worker_birth_on_name", "birth_on", "name"),
    )


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
    token: str = listed_text(32, unique=True)
    kind: str = Field(default="card", max_length=20)
    """card | mobile | temporary"""
    state: str = Field(default="stock", max_length=20, sa_column_kwargs={"server_default": "stock"})
    """A state of `states.CARD`."""
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
    given_at: datetime = instant(server_now=True)
    """When it was recorded that the card is theirs, whatever `from_at` says."""
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
    """Whether its silence matters: from when it is put in service until it is removed. Taps count in any state."""
    state: str = Field(default="in_service", max_length=20, sa_column_kwargs={"server_default": "in_service"})
    """A state of `states.TERMINAL`."""
    created_at: datetime = instant(server_now=True)
    __table_args__ = (Index("uq_registry_terminal_site_id_code", "site_id", "code", unique=True),)
