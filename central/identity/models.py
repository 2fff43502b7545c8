"""Tables of identity: accounts, their roles, revocable sessions, hashed API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Column, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class User(SQLModel, table=True):
    """An account that a person signs in with."""

    __tablename__ = "identity_user"
    id: int | None = id_column()
    email: str = Field(unique=True, max_length=200)
    """Lower case."""
    name: str = Field(max_length=100)
    password_hash: str = Field(max_length=300)
    language: str = Field(default="ko", max_length=8)
    disabled_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant(server_now=True)


class Membership(SQLModel, table=True):
    """A role of a user, over everything (no scope), a project or a site."""

    __tablename__ = "identity_membership"
    id: int | None = id_column()
    user_id: int = reference("identity_user.id", index=True)
    role: str = Field(max_length=40)
    site_id: int | None = reference("registry_site.id", nullable=True)
    project_id: int | None = reference("registry_project.id", nullable=True)
    organization_id: int | None = reference("registry_organization.id", nullable=True)


class SignIn(SQLModel, table=True):
    """A server-side session. The cookie holds a random secret; only its SHA-256 is stored."""

    __tablename__ = "identity_session"
    id: int | None = id_column()
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    user_id: int = reference("identity_user.id", index=True)
    created_at: datetime = instant(server_now=True)
    seen_at: datetime = instant(server_now=True)
    expires_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)


class ApiToken(SQLModel, table=True):
    """A machine's key. Shown once; only its SHA-256 is stored."""

    __tablename__ = "identity_api_token"
    id: int | None = id_column()
    name: str = Field(max_length=100)
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Permissions, see `central.identity.permissions`."""
    site_id: int | None = reference("registry_site.id", nullable=True)
    """Null: every site."""
    created_at: datetime = instant(server_now=True)
    expires_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)


class Attempt(SQLModel, table=True):
    """A failed sign-in, for throttling; pruned by a job."""

    __tablename__ = "identity_attempt"
    id: int | None = id_column()
    subject: str = Field(max_length=250)
    """`email:…` or `address:…`."""
    at: datetime = instant()
    __table_args__ = (Index("ix_identity_attempt_subject_at", "subject", "at"),)


class WriteOnce(SQLModel, table=True):
    """The answer to a write that named itself with `Idempotency-Key`: a repetition gets it again. Kept 24 hours."""

    __tablename__ = "identity_write_once"
    actor: str = Field(primary_key=True, max_length=120)
    key: str = Field(primary_key=True, max_length=100)
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """SHA-256 over method, path and body."""
    status: int = Field(default=0)
    answer: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    at: datetime = instant()
    __table_args__ = (Index("ix_identity_write_once_at", "at"),)
