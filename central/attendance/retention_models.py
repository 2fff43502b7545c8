"""Tables of retention: the rule, what was let go of, and what of it presence still rests on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import instant


class RetentionRule(SQLModel, table=True):
    """At most one row. Without one, or with null, every month is kept for ever."""

    __tablename__ = "attendance_retention_rule"
    id: int = Field(default=1, primary_key=True)
    keep_months: int | None = None
    set_by: str = Field(max_length=120)
    set_at: datetime = instant()


class Forgotten(SQLModel, table=True):
    """A run of consecutive records of one journal whose month was let go of: counted, located, not taken again."""

    __tablename__ = "attendance_forgotten"
    journal: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    first_seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    last_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Hash of the record at `last_seq`: the chain goes on from it."""
    month: datetime = instant()
    """The first instant of the month of receipt."""


class Carried(SQLModel, table=True):
    """One person's fold of the taps that are no longer kept, from which the fold of the others goes on."""

    __tablename__ = "attendance_carried"
    site_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    person: str = Field(primary_key=True, max_length=60)
    through_at: datetime = instant()
    """It holds every tap that happened by then …"""
    known_at: datetime = instant()
    """… and was received by then."""
    state: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
