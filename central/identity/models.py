"""Tables of identity: accounts, their roles, revocable sessions, second factors, one-time links, API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
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
    password_hash: str | None = Field(default=None, max_length=300)
    """Null: signs in by single sign-on only."""
    language: str = Field(default="ko", max_length=8)
    disabled_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant(server_now=True)


class Membership(SQLModel, table=True):
    """A role of a user, over everything (no scope), a project, an organization's part or a site. An ended one stays."""

    __tablename__ = "identity_membership"
    id: int | None = id_column()
    user_id: int = reference("identity_user.id", index=True)
    role: str = Field(max_length=40)
    site_id: int | None = reference("registry_site.id", nullable=True)
    project_id: int | None = reference("registry_project.id", nullable=True)
    organization_id: int | None = reference("registry_organization.id", nullable=True)
    granted_at: datetime = instant(server_now=True)
    ended_at: datetime | None = instant(nullable=True)


class SignIn(SQLModel, table=True):
    """A server-side session. The cookie holds a random secret; only its SHA-256 is stored."""

    __tablename__ = "identity_session"
    id: int | None = id_column()
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    user_id: int | None = reference("identity_user.id", nullable=True, index=True)
    """Whose account; null for a worker's session."""
    worker_id: int | None = reference("registry_worker.id", nullable=True, index=True)
    """The worker who signed in to their own view; they have no account."""
    created_at: datetime = instant(server_now=True)
    seen_at: datetime = instant(server_now=True)
    expires_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
    factor_at: datetime | None = instant(nullable=True)
    """When a second factor was shown in this session."""
    proven_at: datetime = instant(server_now=True)
    """When its person last showed who they are: signed in, showed a factor, or typed the password again."""
    method: str = Field(default="password", max_length=40, sa_column_kwargs={"server_default": "password"})
    """`password`, `oidc:{provider}`; of a worker `sms`, `card` or `desk`."""
    address: str = Field(default="", max_length=60, sa_column_kwargs={"server_default": ""})
    agent: str = Field(default="", max_length=300, sa_column_kwargs={"server_default": ""})
    """The browser's own words, for its owner to tell it by."""
    membership_id: int | None = reference("identity_membership.id", nullable=True)
    """The one role acted in; null: all of the person's own together."""
    delegation_id: int | None = reference("identity_delegation.id", nullable=True)
    """The delegation acted under, with `membership_id`."""
    project_id: int | None = reference("registry_project.id", nullable=True)
    """A client official's project mode: this project only."""
    __table_args__ = (CheckConstraint("num_nonnulls(user_id, worker_id) = 1", name="whose"),)


class Totp(SQLModel, table=True):
    """A person's authenticator app, from its first code on. Before, it is an offer: a ticket."""

    __tablename__ = "identity_totp"
    user_id: int = Field(sa_column=Column(BigInteger, ForeignKey("identity_user.id"), primary_key=True))
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Sealed, about `totp:{user_id}`."""
    made_at: datetime = instant()
    confirmed_at: datetime = instant()
    last_step: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """The 30-second step of the newest code taken: it and older ones are refused."""


class Passkey(SQLModel, table=True):
    """A WebAuthn credential of a person."""

    __tablename__ = "identity_passkey"
    id: int | None = id_column()
    user_id: int = reference("identity_user.id", index=True)
    credential_id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sign_count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    name: str = Field(max_length=100)
    made_at: datetime = instant()
    used_at: datetime | None = instant(nullable=True)


class SpareCode(SQLModel, table=True):
    """A code on paper for who lost the second factor. Each opens once; only its SHA-256 is stored."""

    __tablename__ = "identity_spare_code"
    id: int | None = id_column()
    user_id: int = reference("identity_user.id", index=True)
    code_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    used_at: datetime | None = instant(nullable=True)


class OutsideIdentity(SQLModel, table=True):
    """Whom a single-sign-on provider means by a subject of its own."""

    __tablename__ = "identity_outside"
    id: int | None = id_column()
    user_id: int = reference("identity_user.id", index=True)
    provider: str = Field(max_length=40)
    subject: str = Field(max_length=255)
    linked_at: datetime = instant()
    __table_args__ = (UniqueConstraint("provider", "subject"),)


class Ticket(SQLModel, table=True):
    """Something that may be done once, by whoever holds its secret: an invitation, a new password, an answer."""

    __tablename__ = "identity_ticket"
    id: int | None = id_column()
    kind: str = Field(max_length=40)
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    user_id: int | None = reference("identity_user.id", nullable=True, index=True)
    made_by: str = Field(default="", max_length=120)
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = instant()
    expires_at: datetime = instant()
    used_at: datetime | None = instant(nullable=True)
    """Used, or withdrawn."""
    __table_args__ = (Index("ix_identity_ticket_kind_expires_at", "kind", "expires_at"),)


class Delegation(SQLModel, table=True):
    """One person's role lent to another from an instant until another, while on leave."""

    __tablename__ = "identity_delegation"
    id: int | None = id_column()
    membership_id: int = reference("identity_membership.id", index=True)
    to_user_id: int = reference("identity_user.id", index=True)
    from_at: datetime = instant()
    until_at: datetime = instant()
    """Exclusive."""
    reason: str = Field(max_length=200)
    made_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
    """Ended early."""


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
    owner_id: int | None = reference("identity_user.id", nullable=True, index=True)
    """The person whose present rights bound it. Null: it stands by itself."""
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


class SavedView(SQLModel, table=True):
    """A list's filter and order under a name that a person gave it. Theirs alone."""

    __tablename__ = "identity_saved_view"
    id: int | None = id_column()
    user_id: int = reference("identity_user.id")
    path: str = Field(max_length=60)
    """The list's address."""
    name: str = Field(max_length=60)
    query: str = Field(max_length=1_000)
    created_at: datetime = instant(server_now=True)
    __table_args__ = (Index("uq_identity_saved_view_user_id_path_name", "user_id", "path", "name", unique=True),)
