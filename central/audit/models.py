"""The audit table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant


class AuditEvent(SQLModel, table=True):
    """One act. `hash` covers the row's content and the previous row's hash."""

    __tablename__ = "audit_event"
    id: int | None = id_column()
    at: datetime = instant()
    actor: str = Field(max_length=120)
    """`user:{id}`, in a lent role `user:{id}/delegation:{id}`, `token:{id}`, `system:{process}`."""
    tag: str = Field(max_length=80)
    """One of `central.audit.tags`."""
    subject: str = Field(default="", max_length=120)
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    prev_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    __table_args__ = (
        Index("ix_audit_event_at_id", "at", "id"),
        Index("ix_audit_event_actor_at_id", "actor", "at", "id"),
        Index("ix_audit_event_tag_at_id", "tag", "at", "id"),
        Index("ix_audit_event_subject_at_id", "subject", "at", "id"),
        # Whose data an act touched: read out of the row by a function of the database, so that no copy can differ.
        Index("ix_audit_event_workers", text("ccs_audit_workers(subject, detail)"), postgresql_using="gin"),
    )
