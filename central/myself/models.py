"""Tables of the worker's own view. What was objected to and answered is evidence: rows are added (EVD-01)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference

WORDS_CHARS_MAX = 1_000


class ReceiptKey(SQLModel, table=True):
    """A pair that receipts are signed with. One signs; older ones only verify; a withdrawn one does neither."""

    __tablename__ = "myself_receipt_key"
    id: int | None = id_column()
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    """32 bytes."""
    private_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """Sealed, about `receipt:{public key in hex}`; destroyed when another key takes its place."""
    made_at: datetime = instant()
    retired_at: datetime | None = instant(nullable=True)
    withdrawn_at: datetime | None = instant(nullable=True)
    """Became known to somebody else: what it signed is believed no longer."""
    __table_args__ = (
        Index(
            "uq_myself_receipt_key_signs",
            text("(retired_at IS NULL)"),
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )


class Objection(SQLModel, table=True):
    """A worker's word that a day of theirs is recorded wrongly, for their employer to answer by a day.

    Only `state`, `due_at`, `changed_at` and `reminded_at` ever change.
    """

    __tablename__ = "myself_objection"
    id: int | None = id_column()
    worker_id: int = reference("registry_worker.id", index=True)
    """As it was entered: a later merge is followed when reading."""
    site_id: int = reference("registry_site.id", index=True)
    employer_id: int = reference("registry_organization.id", index=True)
    """Who answers: the employer of that day, else the site's prime contractor."""
    on_day: date
    words: str = Field(max_length=WORDS_CHARS_MAX)
    first_in: str = Field(default="", max_length=5)
    """`HH:MM` at the site as the worker says it was; empty: says nothing of it."""
    last_out: str = Field(default="", max_length=5)
    language: str = Field(max_length=8)
    opened_at: datetime = instant()
    opened_by: str = Field(max_length=20)
    """How the worker was signed in: `sms`, `card` or `desk`."""
    state: str = Field(max_length=20)
    """A state of `states.OBJECTION`."""
    due_at: datetime = instant()
    """By when the next answer is due; of an ended one, was."""
    changed_at: datetime = instant()
    reminded_at: datetime | None = instant(nullable=True)
    __table_args__ = (
        Index(
            "uq_myself_objection_open",
            "worker_id",
            "site_id",
            "on_day",
            unique=True,
            postgresql_where=text("state IN ('open', 'insisted')"),
        ),
        Index("ix_myself_objection_due", "due_at", postgresql_where=text("state IN ('open', 'insisted')")),
    )


class ObjectionEvent(SQLModel, table=True):
    """One step of an objection: who took it, when, and their words. Never changed."""

    __tablename__ = "myself_objection_event"
    id: int | None = id_column()
    objection_id: int = reference("myself_objection.id", index=True)
    event: str = Field(max_length=20)
    from_state: str = Field(max_length=20)
    to_state: str = Field(max_length=20)
    at: datetime = instant()
    recorded_by: str = Field(max_length=120)
    words: str = Field(default="", max_length=WORDS_CHARS_MAX)
    agreed: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    """Of an upheld one `{"first_in": "HH:MM", "last_out": "HH:MM"}`: what both sides now say was so."""
