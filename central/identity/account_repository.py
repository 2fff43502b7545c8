"""Queries on accounts, their roles, sessions, one-time links and delegations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import col, delete, func, select, update

from central.identity.models import (
    ApiToken,
    Delegation,
    Membership,
    OutsideIdentity,
    SignIn,
    Ticket,
    User,
)
from central.identity.rules import RoleRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from central.kit.db import ReadSession, WriteSession


_ROLES = text("""
SELECT m.id, m.user_id, m.role, coalesce(s.name, p.name, o.name, '') AS place, m.organization_id,
       d.id AS delegation_id, coalesce(d.lent_by, '') AS lent_by
FROM identity_membership m
LEFT JOIN registry_site s ON s.id = m.site_id
LEFT JOIN registry_project p ON p.id = m.project_id
LEFT JOIN registry_organization o ON o.id = m.organization_id
LEFT JOIN LATERAL (
    SELECT d.id, owner.name AS lent_by FROM identity_delegation d JOIN identity_user owner ON owner.id = m.user_id
    WHERE d.membership_id = m.id AND d.to_user_id = :user_id AND m.user_id <> :user_id AND owner.disabled_at IS NULL
      AND d.from_at <= :now AND d.until_at > :now AND d.ended_at IS NULL
    ORDER BY d.id LIMIT 1
) d ON true
WHERE m.ended_at IS NULL AND (m.user_id = :user_id OR d.id IS NOT NULL)
ORDER BY d.id NULLS FIRST, m.id
""")
"""A lent role is its owner's own; one that was lent to the owner is not among `m.user_id`'s: none is passed on."""


def roles_of(session: ReadSession | WriteSession, *, user_id: int, now: datetime) -> list[RoleRow]:
    """Return the roles that somebody may act in now: their own first, then those lent to them."""
    return [RoleRow(*row) for row in session.execute(_ROLES, {"user_id": user_id, "now": now})]


def projects_of_client(session: ReadSession | WriteSession, *, organization_id: int) -> list[tuple[int, str]]:
    """Return id and name of the projects that an organization ordered."""
    query = text("SELECT id, name FROM registry_project WHERE client_id = :id ORDER BY name, id LIMIT 500")
    return [(row.id, row.name) for row in session.execute(query, {"id": organization_id})]


def user_by_id(session: ReadSession | WriteSession, user_id: int) -> User | None:
    """Find an account."""
    return session.get(User, user_id)


def users(session: ReadSession, *, like: str, rows_max: int) -> Sequence[User]:
    """Return accounts whose name or address holds `like`, open ones first, then by name."""
    pattern = "%" + like.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    found = select(User).where(col(User.name).ilike(pattern) | col(User.email).ilike(pattern))
    return session.exec(
        found.order_by(col(User.disabled_at).is_not(None), col(User.name), col(User.id)).limit(rows_max)
    ).all()


def addresses_through(
    session: ReadSession | WriteSession, *, organization_id: int, roles: Sequence[str]
) -> list[tuple[str, str]]:
    """Return address and language of the people who hold one of these roles through an organization now."""
    found = (
        select(User.email, User.language)
        .join(Membership, col(Membership.user_id) == col(User.id))
        .where(
            Membership.organization_id == organization_id,
            col(Membership.role).in_(roles),
            col(Membership.ended_at).is_(None),
            col(User.disabled_at).is_(None),
        )
    )
    return [(email, language) for email, language in session.exec(found.distinct().limit(50)).all()]


def membership(session: ReadSession | WriteSession, membership_id: int) -> Membership | None:
    """Find a role that was not taken away."""
    found = session.get(Membership, membership_id)
    return found if found is not None and found.ended_at is None else None


def holds(session: WriteSession, row: Membership) -> bool:
    """Whether its person holds the same role in the same place already."""
    same = select(Membership.id).where(
        Membership.user_id == row.user_id,
        Membership.role == row.role,
        col(Membership.ended_at).is_(None),
        col(Membership.site_id).is_not_distinct_from(row.site_id),
        col(Membership.project_id).is_not_distinct_from(row.project_id),
        col(Membership.organization_id).is_not_distinct_from(row.organization_id),
    )
    return session.exec(same).first() is not None


def end_membership(session: WriteSession, *, membership_id: int, now: datetime) -> bool:
    """Take a role away; true for the one caller that did."""
    done = session.exec(
        update(Membership)
        .where(col(Membership.id) == membership_id, col(Membership.ended_at).is_(None))
        .values(ended_at=now)
        .returning(col(Membership.id))
    )
    return done.first() is not None


def colleagues(
    session: ReadSession, *, organization_ids: Sequence[int], rows_max: int
) -> list[tuple[User, Membership]]:
    """Return who holds a role through one of these organizations, by name."""
    return list(
        session.exec(
            select(User, Membership)
            .join(Membership, col(Membership.user_id) == col(User.id))
            .where(
                col(Membership.organization_id).in_(organization_ids),
                col(Membership.ended_at).is_(None),
                col(User.disabled_at).is_(None),
            )
            .order_by(col(User.name), col(User.id), col(Membership.id))
            .limit(rows_max)
        ).all()
    )


# -- sessions


def session_by_id(session: ReadSession | WriteSession, session_id: int) -> SignIn:
    """Return a session's row."""
    return session.get_one(SignIn, session_id)


def live_sessions(session: ReadSession, *, user_id: int, now: datetime) -> Sequence[SignIn]:
    """Return a person's sessions that were not ended and have not reached their end, newest use first."""
    return session.exec(
        select(SignIn)
        .where(SignIn.user_id == user_id, col(SignIn.ended_at).is_(None), col(SignIn.expires_at) > now)
        .order_by(col(SignIn.seen_at).desc())
    ).all()


def end_own_sessions(
    session: WriteSession, *, user_id: int, but: int | None, only: int | None, now: datetime
) -> list[int]:
    """End a person's sessions: `only` one, or all but one; return the ids of those that ended now."""
    query = update(SignIn).where(col(SignIn.user_id) == user_id, col(SignIn.ended_at).is_(None))
    if only is not None:
        query = query.where(col(SignIn.id) == only)
    if but is not None:
        query = query.where(col(SignIn.id) != but)
    return [row_id for (row_id,) in session.exec(query.values(ended_at=now).returning(col(SignIn.id))).all()]


def end_worker_sessions(session: WriteSession, *, worker_id: int, now: datetime) -> list[int]:
    """End a worker's sessions; return the ids of those that ended now."""
    query = update(SignIn).where(col(SignIn.worker_id) == worker_id, col(SignIn.ended_at).is_(None))
    return [row_id for (row_id,) in session.exec(query.values(ended_at=now).returning(col(SignIn.id))).all()]


def renew_session(session: WriteSession, *, session_id: int, hashed: bytes, now: datetime) -> bool:
    """Give a live session another secret; true unless it was ended."""
    done = session.exec(
        update(SignIn)
        .where(col(SignIn.id) == session_id, col(SignIn.ended_at).is_(None))
        .values(secret_hash=hashed, seen_at=now)
        .returning(col(SignIn.id))
    )
    return done.first() is not None


def note_factor(session: WriteSession, *, session_id: int, now: datetime) -> None:
    """Note that a second factor was shown in a session."""
    session.exec(update(SignIn).where(col(SignIn.id) == session_id).values(factor_at=now, proven_at=now))


def note_proof(session: WriteSession, *, session_id: int, now: datetime) -> None:
    """Note that a session's person showed again who they are."""
    session.exec(update(SignIn).where(col(SignIn.id) == session_id).values(proven_at=now))


def set_seat(
    session: WriteSession,
    *,
    session_id: int,
    membership_id: int | None,
    delegation_id: int | None,
    project_id: int | None,
) -> None:
    """Note which role a session acts in."""
    session.exec(
        update(SignIn)
        .where(col(SignIn.id) == session_id)
        .values(membership_id=membership_id, delegation_id=delegation_id, project_id=project_id)
    )


# -- one-time links


def ticket(session: ReadSession | WriteSession, *, kind: str, hashed: bytes) -> Ticket | None:
    """Find a ticket, used or not."""
    return session.exec(select(Ticket).where(Ticket.kind == kind, Ticket.secret_hash == hashed)).one_or_none()


def tickets_of(session: WriteSession, *, kind: str, number: str, since: datetime) -> int:
    """Count the tickets of a kind that were made for a number since an instant, used or not."""
    query = select(func.count()).select_from(Ticket)
    made = query.where(Ticket.kind == kind, col(Ticket.created_at) > since, col(Ticket.data)["number"].astext == number)
    return session.exec(made).one()


def use_ticket(
    session: WriteSession, *, kind: str, now: datetime, hashed: bytes | None = None, ticket_id: int | None = None
) -> int | None:
    """Use a ticket up, found by its secret's hash or its id; return its id to the one caller that did."""
    this = col(Ticket.secret_hash) == hashed if ticket_id is None else col(Ticket.id) == ticket_id
    done = session.exec(
        update(Ticket)
        .where(
            this,
            col(Ticket.kind) == kind,
            col(Ticket.used_at).is_(None),
            col(Ticket.expires_at) > now,
        )
        .values(used_at=now)
        .returning(col(Ticket.id))
    )
    found = done.first()
    return found[0] if found is not None else None


def open_tickets(session: ReadSession | WriteSession, *, kind: str, now: datetime) -> Sequence[Ticket]:
    """Return the tickets of a kind that can still be used, newest first."""
    return session.exec(
        select(Ticket)
        .where(Ticket.kind == kind, col(Ticket.used_at).is_(None), col(Ticket.expires_at) > now)
        .order_by(col(Ticket.id).desc())
    ).all()


def withdraw_tickets(
    session: WriteSession,
    *,
    kind: str,
    now: datetime,
    ticket_id: int | None = None,
    user_id: int | None = None,
    email: str | None = None,
    place: Mapping[str, str | int | None] | None = None,
    made_by: str | None = None,
) -> list[int]:
    """Use up the unused tickets of a kind that match; return their ids."""
    query = update(Ticket).where(col(Ticket.kind) == kind, col(Ticket.used_at).is_(None), col(Ticket.expires_at) > now)
    if ticket_id is not None:
        query = query.where(col(Ticket.id) == ticket_id)
    if user_id is not None:
        query = query.where(col(Ticket.user_id) == user_id)
    if email is not None:
        query = query.where(col(Ticket.data)["email"].astext == email)
    if place is not None:
        query = query.where(col(Ticket.data).contains(dict(place)))
    if made_by is not None:
        query = query.where(col(Ticket.made_by) == made_by)
    return [row_id for (row_id,) in session.exec(query.values(used_at=now).returning(col(Ticket.id))).all()]


def withdraw_worker_tickets(session: WriteSession, *, kinds: Sequence[str], worker_id: int, now: datetime) -> None:
    """Use up the unused tickets of these kinds that are about a worker."""
    about = col(Ticket.data).contains({"worker_id": worker_id})
    live = (col(Ticket.used_at).is_(None), col(Ticket.expires_at) > now)
    session.exec(update(Ticket).where(col(Ticket.kind).in_(kinds), about, *live).values(used_at=now))


def prune_tickets(session: WriteSession, *, before: datetime) -> int:
    """Delete tickets that ended long ago; return how many."""
    return session.exec(delete(Ticket).where(col(Ticket.expires_at) < before)).rowcount


# -- delegations


def delegations_of(session: ReadSession, *, user_id: int) -> list[tuple[Delegation, str, str, str]]:
    """Return what somebody lent or was lent, newest first: the row, the role, the owner's and the other's name."""
    rows = session.exec(
        select(Delegation, Membership)
        .join(Membership, col(Membership.id) == col(Delegation.membership_id))
        .where((col(Membership.user_id) == user_id) | (col(Delegation.to_user_id) == user_id))
        .order_by(col(Delegation.id).desc())
        .limit(100)
    ).all()
    ids = {held.user_id for _, held in rows} | {row.to_user_id for row, _ in rows}
    names = {user.id: user.name for user in session.exec(select(User).where(col(User.id).in_(ids)))}
    return [(row, held.role, names[held.user_id], names[row.to_user_id]) for row, held in rows]


def lent_at_once(session: WriteSession, *, membership_id: int, from_at: datetime, until_at: datetime) -> bool:
    """Whether a role is lent to anybody in that time already."""
    query = select(Delegation.id).where(
        Delegation.membership_id == membership_id,
        col(Delegation.ended_at).is_(None),
        col(Delegation.from_at) < until_at,
        col(Delegation.until_at) > from_at,
    )
    return session.exec(query).first() is not None


def end_delegation(session: WriteSession, *, delegation_id: int, user_id: int, now: datetime) -> bool:
    """End a delegation of a role that `user_id` owns, or that was lent to them; true for the one caller that did."""
    mine = select(Membership.id).where(Membership.user_id == user_id)
    done = session.exec(
        update(Delegation)
        .where(
            col(Delegation.id) == delegation_id,
            col(Delegation.ended_at).is_(None),
            col(Delegation.until_at) > now,
            col(Delegation.membership_id).in_(mine) | (col(Delegation.to_user_id) == user_id),
        )
        .values(ended_at=now)
        .returning(col(Delegation.id))
    )
    return done.first() is not None


# -- single sign-on


def user_of_outside(session: ReadSession | WriteSession, *, provider: str, subject: str) -> int | None:
    """Find whose account a provider's subject was linked to."""
    query = select(OutsideIdentity.user_id).where(
        OutsideIdentity.provider == provider, OutsideIdentity.subject == subject
    )
    return session.exec(query).one_or_none()


def outside_of(session: ReadSession, *, user_id: int) -> Sequence[OutsideIdentity]:
    """Return the links of an account."""
    return session.exec(select(OutsideIdentity).where(OutsideIdentity.user_id == user_id)).all()


def unlink_outside(session: WriteSession, *, user_id: int, provider: str) -> bool:
    """Take a link away; true for the one caller that did."""
    mine = (col(OutsideIdentity.user_id) == user_id) & (col(OutsideIdentity.provider) == provider)
    return session.exec(delete(OutsideIdentity).where(mine)).rowcount > 0


# -- a person's own API tokens


def own_tokens(session: ReadSession | WriteSession, *, user_id: int) -> Sequence[ApiToken]:
    """Return a person's tokens, newest first."""
    return session.exec(
        select(ApiToken).where(ApiToken.owner_id == user_id).order_by(col(ApiToken.id).desc()).limit(100)
    ).all()


def revoke_own_token(session: WriteSession, *, user_id: int, token_id: int, now: datetime) -> bool:
    """Revoke a token of this person; true for the one caller that did."""
    done = session.exec(
        update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.owner_id) == user_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
        .returning(col(ApiToken.id))
    )
    return done.first() is not None
