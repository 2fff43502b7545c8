"""Tables of what is on record about workers, cards, terminals and visitors. Periods are half-open, as in `models`."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class WorkerPaper(SQLModel, table=True):
    """A paper of a worker with its time: safety certificate, visa, work permit, skill grade."""

    __tablename__ = "registry_worker_paper"
    id: int | None = id_column()
    worker_id: int = reference("registry_worker.id", index=True)
    kind: str = Field(max_length=20)
    """safety_certificate | visa | work_permit | skill_grade"""
    value: str = Field(default="", max_length=40)
    """A visa's status (E-9), a grade (intermediate); empty where the kind says it all."""
    trade: str | None = Field(default=None, max_length=40)
    """For a skill grade."""
    number: str = Field(default="", max_length=60)
    from_on: date
    until_on: date | None = None
    """First day on which it is no longer valid."""
    recorded_at: datetime = instant()
    recorded_by: str = Field(max_length=120)
    withdrawn_at: datetime | None = instant(nullable=True)
    """Set when it was recorded by mistake; the row stays."""


class LabourContract(SQLModel, table=True):
    """The written terms of a worker's employment by an employer on a site (standard labour contract)."""

    __tablename__ = "registry_labour_contract"
    id: int | None = id_column()
    worker_id: int = reference("registry_worker.id", index=True)
    site_id: int = reference("registry_site.id", index=True)
    employer_id: int = reference("registry_organization.id", index=True)
    kind: str = Field(max_length=10)
    """daily | fixed | regular"""
    wage_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    wage_per: str = Field(max_length=10)
    """hour | day | month"""
    minutes_a_day: int
    """The agreed (소정) working time, without breaks: what makes one credited day."""
    signed_on: date
    from_on: date
    until_on: date | None = None
    created_at: datetime = instant(server_now=True)
    __table_args__ = (
        ExcludeConstraint(
            ("worker_id", "="),
            ("site_id", "="),
            ("employer_id", "="),
            (text("daterange(from_on, until_on)"), "&&"),
            name="ex_registry_labour_contract_period",
        ),
    )


class CardEvent(SQLModel, table=True):
    """One step in a card's life; rows are only added."""

    __tablename__ = "registry_card_event"
    id: int | None = id_column()
    card_id: int = reference("registry_card.id", index=True)
    event: str = Field(max_length=20)
    from_state: str = Field(max_length=20)
    to_state: str = Field(max_length=20)
    at: datetime = instant()
    recorded_at: datetime = instant()
    recorded_by: str = Field(max_length=120)
    note: str = Field(default="", max_length=200)


class TerminalEvent(SQLModel, table=True):
    """One step in a terminal's life; rows are only added."""

    __tablename__ = "registry_terminal_event"
    id: int | None = id_column()
    terminal_id: int = reference("registry_terminal.id", index=True)
    event: str = Field(max_length=20)
    from_state: str = Field(max_length=20)
    to_state: str = Field(max_length=20)
    at: datetime = instant()
    recorded_by: str = Field(max_length=120)
    note: str = Field(default="", max_length=200)


class ChangedCard(SQLModel, table=True):
    """A card of which it changed whose it was: its taps are to be resolved again. Attendance deletes the row after."""

    __tablename__ = "registry_changed_card"
    id: int | None = id_column()
    token: str = Field(max_length=32)
    changed_at: datetime = instant(server_now=True)


class DayPass(SQLModel, table=True):
    """A visitor or driver let into a site for a day. No worker, never counted among them."""

    __tablename__ = "registry_day_pass"
    id: int | None = id_column()
    site_id: int = reference("registry_site.id")
    on_day: date
    """The site's day."""
    kind: str = Field(max_length=10)
    """visitor | driver"""
    name: str = Field(max_length=100)
    company: str = Field(default="", max_length=200)
    phone: str | None = Field(default=None, max_length=20)
    plate: str | None = Field(default=None, max_length=20)
    """A driver's vehicle."""
    host: str = Field(default="", max_length=100)
    """Who answers for them on the site."""
    entered_at: datetime = instant()
    left_at: datetime | None = instant(nullable=True)
    recorded_by: str = Field(max_length=120)
    __table_args__ = (
        Index("ix_registry_day_pass_site_id_on_day", "site_id", "on_day"),
        Index("ix_registry_day_pass_open", "site_id", postgresql_where=text("left_at IS NULL")),
    )
