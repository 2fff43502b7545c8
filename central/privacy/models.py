"""Tables of privacy: how long an installation keeps what, and what was erased of whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class KeptLonger(SQLModel, table=True):
    """How long this installation keeps something, where it is longer than the rule of `retention_rules.json` asks."""

    __tablename__ = "privacy_retention_rule"
    code: str = Field(primary_key=True, max_length=40)
    keep_months: int
    reason: str = Field(max_length=300)
    set_by: str = Field(max_length=120)
    set_at: datetime = instant()


class Erasure(SQLModel, table=True):
    """What became of a worker's data, line by line: erased, or kept until when and by which law. Append-only."""

    __tablename__ = "privacy_erasure"
    id: int | None = id_column()
    worker_id: int = reference("registry_worker.id", index=True)
    at: datetime = instant()
    done_by: str = Field(max_length=120)
    """Who: as `audit_event.actor`."""
    reason: str = Field(max_length=300)
    lines: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
