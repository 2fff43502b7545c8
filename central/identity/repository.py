"""Queries of identity. It stands below the registry, so the few columns it scopes by are read by table name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import col, func, select, update

from central.identity.models import ApiToken, Attempt, SignIn, User

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class SiteRow:
    """What a guard needs to know of a site."""

    id: int
    code: str
    name: str
    timezone: str


_SITE = text("SELECT id, code, name, timezone FROM registry_site WHERE code = :code")

_ROLE_SITES = text("""
SELECT m.role, s.id
FROM identity_membership m
LEFT JOIN LATERAL (
    SELECT m.site_id AS id WHERE m.site_id IS NOT NULL
    UNION
    SELECT id FROM registry_site WHERE project_id = m.project_id
    UNION
    SELECT e.site_id FROM registry_site_employer e JOIN registry_site place ON place.id = e.site_id
    WHERE e.organization_id = m.organization_id AND e.tier = 'prime'
      AND daterange(e.from_on, e.until_on) @> (CAST(:now AS timestamptz) AT TIME ZONE place.timezone)::date
) s ON true
WHERE m.user_id = :user_id
  AND (s.id IS NOT NULL OR num_nonnulls(m.site_id, m.project_id, m.organization_id) = 0)
""")
"""Roles with the sites they reach, null for everywhere. An organization reaches the sites where it is prime today."""


def site_by_code(session: ReadSession, code: str) -> SiteRow | None:
    """Find a site by its code."""
    row = session.execute(_SITE, {"code": code}).one_or_none()
    return SiteRow(*row) if row else None


def live_session(session: ReadSession, secret_hash: bytes) -> tuple[SignIn, User] | None:
    """Find a session that was not ended, with its user, unless the account is disabled."""
    return session.exec(
        select(SignIn, User)
        .join(User, col(User.id) == col(SignIn.user_id))
        .where(SignIn.secret_hash == secret_hash, col(SignIn.ended_at).is_(None), col(User.disabled_at).is_(None))
    ).one_or_none()


def touch_session(session: WriteSession, *, session_id: int, now: datetime) -> None:
    """Note that a session was used."""
    session.exec(update(SignIn).where(col(SignIn.id) == session_id).values(seen_at=now))


def end_session(session: WriteSession, *, session_id: int, now: datetime) -> bool:
    """End a session; true for the one caller that ended it."""
    done = session.exec(
        update(SignIn)
        .where(col(SignIn.id) == session_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=now)
        .returning(col(SignIn.id))
    )
    return done.first() is not None


def role_sites(session: ReadSession, *, user_id: int, now: datetime) -> list[tuple[str, int | None]]:
    """Return each role of a user with the sites it reaches; None means everywhere."""
    return [(role, site_id) for role, site_id in session.execute(_ROLE_SITES, {"user_id": user_id, "now": now})]


def live_token(session: ReadSession, secret_hash: bytes) -> ApiToken | None:
    """Find an API token that was not revoked."""
    return session.exec(
        select(ApiToken).where(ApiToken.secret_hash == secret_hash, col(ApiToken.revoked_at).is_(None))
    ).one_or_none()


def user_by_email(session: ReadSession | WriteSession, email: str) -> User | None:
    """Find an account by its lower-case address."""
    return session.exec(select(User).where(User.email == email)).one_or_none()


def failures_since(session: WriteSession, *, subjects: Sequence[str], since: datetime) -> dict[str, int]:
    """Count failed sign-ins by subject."""
    rows = session.exec(
        select(Attempt.subject, func.count())
        .where(col(Attempt.subject).in_(subjects), col(Attempt.at) > since)
        .group_by(col(Attempt.subject))
    )
    return dict(rows.all())


def lock_subjects(session: WriteSession, subjects: Sequence[str]) -> None:
    """Let one sign-in at a time decide about an account or an address, so that guesses in parallel are counted."""
    for subject in sorted(subjects):
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 0))"), {"subject": subject})


def notify_identity(session: WriteSession, what: str = "") -> None:
    """Tell every process, at commit, to forget cached actors."""
    session.execute(text("SELECT pg_notify('ccs_identity', :what)"), {"what": what})
