"""Accounts by invitation: a one-time link with an end. Whoever opens it chooses the password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, accounts, repository, sessions, tickets
from central.identity.accounts import Scope
from central.identity.letters import checked_language
from central.identity.passwords import passwords
from central.identity.rules import INVITATION_LIFE
from central.identity.tickets import TicketKind
from central.kit.db import read_session, write_session
from central.kit.errors import Conflict, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Letters
    from central.identity.sessions import From, Started
    from central.kit.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation that can still be accepted."""

    id: int
    email: str
    name: str
    role: str
    made_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invitation says to whoever opens it."""

    email: str
    name: str
    language: str
    role: str


def invite(  # noqa: PLR0913 - these are the account's facts
    session: WriteSession,
    *,
    email: str,
    name: str,
    role: str,
    scope: Scope,
    language: str,
    base_url: str,
    letters: Letters,
    actor: str,
    now: datetime,
) -> str:
    """Invite somebody to an account with one role; return the link, which opens once and for three days.

    Everything an account needs is checked now, so that accepting can only fail when somebody was faster. An earlier
    invitation to the same address ends. Raises `Invalid`, `Conflict`, `NotFound`.
    """
    address = accounts.checked_email(email)
    accounts.check_name(name)
    accounts.check_role(session, role=role, scope=scope, now=now)
    if repository.user_by_email(session, address) is not None:
        raise Conflict(f"{address} already has an account: give that account the role")
    account_repository.withdraw_tickets(session, kind=TicketKind.INVITATION.value, email=address, now=now)
    spoken = checked_language(language)
    place = {"site": scope.site, "project": scope.project, "organization": scope.organization}
    data = {"email": address, "name": name.strip(), "role": role, "language": spoken, **place}
    secret = tickets.issue(session, kind=TicketKind.INVITATION, life=INVITATION_LIFE, now=now, made_by=actor, data=data)
    link = f"{base_url}/invitation/{secret}"
    detail = {"role": role, **place}
    letters.invite(session, email=address, language=spoken, link=link, until=now + INVITATION_LIFE, now=now)
    audit.record(session, actor=actor, tag=Tag.INVITATION_CREATE, subject=f"email:{address}", detail=detail, now=now)
    return link


def invited(session: ReadSession, *, secret: str, now: datetime) -> Invited:
    """Say whom an invitation is for, without using it. Raises `LinkOver`."""
    found = tickets.look(session, kind=TicketKind.INVITATION, secret=secret, now=now)
    return Invited(found.data["email"], found.data["name"], found.data["language"], found.data["role"])


def accept(engine: Engine, *, secret: str, password: str, origin: From, now: datetime) -> Started:
    """Make the account that an invitation promises, with this password, and sign it in. Raises `LinkOver`, `Conflict`.

    The invitation is used up in the transaction that makes the account: of two who open it, one gets in.
    """
    with read_session(engine) as session:
        tickets.look(session, kind=TicketKind.INVITATION, secret=secret, now=now)
    hashed = passwords().hash(password)
    with write_session(engine) as session:
        return _take(session, secret=secret, hashed=hashed, origin=origin, now=now)


def _take(session: WriteSession, *, secret: str, hashed: str, origin: From, now: datetime) -> Started:
    found = tickets.redeem(session, kind=TicketKind.INVITATION, secret=secret, now=now)
    data = found.data
    user = accounts.add_user(
        session,
        email=data["email"],
        name=data["name"],
        password_hash=hashed,
        language=data["language"],
        now=now,
    )
    scope = Scope(data["site"], data["project"], data["organization"])
    who = f"user:{user.id}"
    accounts.add_membership(session, user_id=user.id or 0, role=data["role"], scope=scope, actor=found.made_by, now=now)
    detail = {"invited_by": found.made_by}
    audit.record(session, actor=who, tag=Tag.INVITATION_ACCEPT, subject=who, detail=detail, now=now)
    return sessions.start(session, user=user, origin=origin, method="invitation", now=now)


def open_invitations(session: ReadSession, *, now: datetime) -> list[InvitationView]:
    """Return the invitations that can still be accepted, newest first."""
    return [
        InvitationView(row.id or 0, row.data["email"], row.data["name"], row.data["role"], row.made_by, row.expires_at)
        for row in account_repository.open_tickets(session, kind=TicketKind.INVITATION.value, now=now)
    ]


def withdraw(session: WriteSession, *, invitation_id: int, actor: str, now: datetime) -> None:
    """End an invitation before it is accepted; raise `NotFound` when there is none to end."""
    ended = account_repository.withdraw_tickets(
        session, kind=TicketKind.INVITATION.value, ticket_id=invitation_id, now=now
    )
    if not ended:
        raise NotFound("there is no such open invitation: it was accepted, withdrawn, or is over")
    subject = f"invitation:{invitation_id}"
    audit.record(session, actor=actor, tag=Tag.INVITATION_WITHDRAW, subject=subject, detail={}, now=now)
