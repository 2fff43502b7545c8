"""Queries of identity. It stands below the registry, so the few columns it scopes by are read by table name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, func, select, update

from central.identity.models import ApiToken, Attempt, SignIn, User, WriteOnce
from central.identity.policy import Reached
from central.kit.ids import OrganizationId, ProjectId, SiteId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.kit.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class SiteRow:
    """What a guard needs to know of a site."""

    id: int
    code: str
    name: str
    timezone: str


_SITE = text("SELECT id, code, name, timezone FROM registry_site WHERE code = :code")

_REACHED = text("""
SELECT m.role, r.via, r.site_id, r.project_id, m.organization_id
FROM identity_membership m
JOIN LATERAL (
    SELECT 'everywhere' AS via, NULL::bigint AS site_id, NULL::bigint AS project_id
    WHERE num_nonnulls(m.site_id, m.project_id, m.organization_id) = 0
    UNION ALL
    SELECT 'site', s.id, s.project_id FROM registry_site s WHERE s.id = m.site_id
    UNION ALL
    SELECT 'project', s.id, p.id
    FROM registry_project p LEFT JOIN registry_site s ON s.project_id = p.id WHERE p.id = m.project_id
    UNION ALL
    SELECT 'client', s.id, p.id
    FROM registry_project p LEFT JOIN registry_site s ON s.project_id = p.id WHERE p.client_id = m.organization_id
    UNION ALL
    SELECT way.via, s.id, s.project_id
    FROM registry_site_employer e JOIN registry_site s ON s.id = e.site_id
    JOIN (VALUES ('employer'), ('prime')) AS way (via) ON way.via = 'employer' OR e.tier = 'prime'
    WHERE e.organization_id = m.organization_id
      AND daterange(e.from_on, e.until_on) @> (CAST(:now AS timestamptz) AT TIME ZONE s.timezone)::date
    UNION ALL
    SELECT CASE c.kind WHEN 'prime' THEN 'prime' WHEN 'supervision' THEN 'supervision' ELSE 'employer' END,
      s.id, c.project_id
    FROM registry_contract c LEFT JOIN registry_site s ON s.project_id = c.project_id AND c.kind = 'supervision'
    WHERE c.contractor_id = m.organization_id
      AND (c.closed_on IS NULL OR c.closed_on > (CAST(:now AS timestamptz) AT TIME ZONE 'Asia/Seoul')::date)
) r ON true
WHERE m.id = ANY(:membership_ids)
""")
"""What each membership reaches, and by which way; `permissions.ROLE_REACH` says which ways its role may go."""


def site_by_code(session: ReadSession | WriteSession, code: str) -> SiteRow | None:
    """Find a site by its code."""
    row = session.execute(_SITE, {"code": code}).one_or_none()
    return SiteRow(*row) if row else None


def live_session(session: ReadSession | WriteSession, secret_hash: bytes) -> tuple[SignIn, User] | None:
    """Find a session that was not ended, with its user, unless the account is disabled."""
    return session.exec(
        select(SignIn, User)
        .join(User, col(User.id) == col(SignIn.user_id))
        .where(SignIn.secret_hash == secret_hash, col(SignIn.ended_at).is_(None), col(User.disabled_at).is_(None))
    ).one_or_none()


_WORKER = text("""
SELECT s.id, s.seen_at, s.expires_at, s.method, coalesce(kept.id, w.id) AS worker_id,
       coalesce(kept.name, w.name) AS name, coalesce(kept.language, w.language) AS language
FROM identity_session s
JOIN registry_worker w ON w.id = s.worker_id
LEFT JOIN registry_worker kept ON kept.id = w.merged_into_id
WHERE s.secret_hash = :hash AND s.ended_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class WorkerSession:
    """A worker's live session, and who they are: the entry that is kept, where two turned out to be one person."""

    id: int
    seen_at: datetime
    expires_at: datetime
    method: str
    worker_id: int
    name: str
    language: str


def live_worker_session(session: ReadSession, secret_hash: bytes) -> WorkerSession | None:
    """Find a worker's session that was not ended."""
    row = session.execute(_WORKER, {"hash": secret_hash}).one_or_none()
    return WorkerSession(*row) if row else None


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


def reached(session: ReadSession, *, membership_ids: Sequence[int], now: datetime) -> list[Reached]:
    """Return what each of these memberships reaches at `now`."""
    rows = session.execute(_REACHED, {"membership_ids": list(membership_ids), "now": now})
    return [
        Reached(role, via, _site(site_id), _project(project_id), _organization(organization_id))
        for role, via, site_id, project_id, organization_id in rows
    ]


def _site(row_id: int | None) -> SiteId | None:
    return None if row_id is None else SiteId(row_id)


def _project(row_id: int | None) -> ProjectId | None:
    return None if row_id is None else ProjectId(row_id)


def _organization(row_id: int | None) -> OrganizationId | None:
    return None if row_id is None else OrganizationId(row_id)


def live_token(session: ReadSession, secret_hash: bytes) -> ApiToken | None:
    """Find an API token that was not revoked."""
    return session.exec(
        select(ApiToken).where(ApiToken.secret_hash == secret_hash, col(ApiToken.revoked_at).is_(None))
    ).one_or_none()


def user_by_email(session: ReadSession | WriteSession, email: str) -> User | None:
    """Find an account by its lower-case address."""
    return session.exec(select(User).where(User.email == email)).one_or_none()


def failures_since(session: ReadSession | WriteSession, *, subjects: Sequence[str], since: datetime) -> dict[str, int]:
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


def forget_attempts(session: WriteSession, *, ids: Sequence[int], subject: str) -> None:
    """Take back what a success had counted, and the failures of this account from this address."""
    session.exec(delete(Attempt).where(col(Attempt.id).in_(ids) | (col(Attempt.subject) == subject)))


def end_session_by_hash(session: WriteSession, *, hashed: bytes, now: datetime) -> None:
    """End the session that a cookie belongs to, if any."""
    session.exec(
        update(SignIn).where(col(SignIn.secret_hash) == hashed, col(SignIn.ended_at).is_(None)).values(ended_at=now)
    )


def project_id_by_code(session: ReadSession | WriteSession, code: str) -> int | None:
    """Find a project by its code."""
    return session.execute(text("SELECT id FROM registry_project WHERE code = :code"), {"code": code}).scalar()


def organization_id_by_number(session: ReadSession | WriteSession, business_no: str) -> int | None:
    """Find an organization by its business number."""
    query = text("SELECT id FROM registry_organization WHERE business_no = :number")
    return session.execute(query, {"number": business_no}).scalar()


def tokens(session: ReadSession) -> Sequence[tuple[ApiToken, str | None]]:
    """Return every API token with its site's code, newest first."""
    rows = session.execute(
        text("SELECT t.id, s.code FROM identity_api_token t LEFT JOIN registry_site s ON s.id = t.site_id")
    ).all()
    codes: dict[int, str | None] = {row.id: row.code for row in rows}
    found = session.exec(select(ApiToken).order_by(col(ApiToken.id).desc())).all()
    return [(token, codes.get(token.id or 0)) for token in found]


def revoke_token(session: WriteSession, *, token_id: int, now: datetime) -> bool:
    """Revoke a token; true for the one caller that revoked it."""
    done = session.exec(
        update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
        .returning(col(ApiToken.id))
    )
    return done.first() is not None


def expire_tokens(session: WriteSession, *, now: datetime) -> list[int]:
    """Mark tokens whose time is over as revoked at that time; return their ids."""
    done = session.exec(
        update(ApiToken)
        .where(col(ApiToken.expires_at) <= now, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=col(ApiToken.expires_at))
        .returning(col(ApiToken.id))
    )
    return [token_id for (token_id,) in done.all()]


def prune(
    session: WriteSession, *, attempts_before: datetime, sessions_before: datetime, writes_before: datetime
) -> int:
    """Delete old attempts, long-ended sessions and kept answers; return how many rows went."""
    gone = session.exec(delete(Attempt).where(col(Attempt.at) < attempts_before)).rowcount
    gone += session.exec(delete(SignIn).where(col(SignIn.expires_at) < sessions_before)).rowcount
    return gone + session.exec(delete(WriteOnce).where(col(WriteOnce.at) < writes_before)).rowcount


def claim_write(session: WriteSession, *, actor: str, key: str, fingerprint: bytes, now: datetime) -> WriteOnce | None:
    """Claim a write's name; None when it is ours, else the row of the write that had it. Waits for one in flight."""
    made = session.execute(
        insert(WriteOnce)
        .values(actor=actor, key=key, fingerprint=fingerprint, status=0, answer={}, at=now)
        .on_conflict_do_nothing()
        .returning(col(WriteOnce.key))
    )
    return None if made.first() is not None else session.get_one(WriteOnce, (actor, key))


def keep_answer(session: WriteSession, *, actor: str, key: str, status: int, answer: dict[str, Any]) -> None:
    """Keep the answer of a claimed write."""
    session.exec(
        update(WriteOnce)
        .where(col(WriteOnce.actor) == actor, col(WriteOnce.key) == key)
        .values(status=status, answer=answer)
    )
