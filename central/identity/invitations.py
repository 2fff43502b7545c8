"""Invitations: a one-time link with an end, to a role, and to an account for who has none.

Who has no account gets one with the link, by a password or single sign-on; who has one takes the role on, signed in as
themselves. Only the mailbox is told which of the two it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
from central.kit.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Letters
    from central.identity.models import Ticket, User
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
    organization_id: int | None


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invitation says to whoever opens it."""

    id: int
    user_id: int | None
    """The account that the role is offered to; None: one is made."""
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
    """Invite somebody to a role, and to an account where they have none; return the link, good once for three days.

    Everything it needs is checked now, so that accepting can only fail when somebody was faster. An earlier
    invitation of the same address to the same place ends. Raises `Invalid`, `NotFound`.
    """
    address = accounts.checked_email(email)
    accounts.check_name(name)
    accounts.check_role(session, role=role, scope=scope, now=now)
    there = repository.user_by_email(session, address)
    account_repository.withdraw_tickets(
        session, kind=TicketKind.INVITATION.value, email=address, place=asdict(scope), now=now
    )
    spoken = there.language if there is not None else checked_language(language)
    data = {"email": address, "name": name.strip(), "role": role, "language": spoken, **asdict(scope)}
    secret = tickets.issue(
        session,
        kind=TicketKind.INVITATION,
        life=INVITATION_LIFE,
        now=now,
        user_id=there.id if there is not None else None,
        made_by=actor,
        data=data,
    )
    link, until = f"{base_url}/invitation/{secret}", now + INVITATION_LIFE
    detail = {"role": role, **asdict(scope)}
    if there is None or there.disabled_at is None:
        send = letters.invite if there is None else letters.offer
        send(session, email=address, language=spoken, link=link, until=until, now=now)
    audit.record(session, actor=actor, tag=Tag.INVITATION_CREATE, subject=f"email:{address}", detail=detail, now=now)
    return link


def invited(session: ReadSession, *, secret: str, now: datetime) -> Invited:
    """Say whom an invitation is for, without using it. Raises `LinkOver`."""
    found = tickets.look(session, kind=TicketKind.INVITATION, secret=secret, now=now)
    data = found.data
    return Invited(found.id or 0, found.user_id, data["email"], data["name"], data["language"], data["role"])


def accept(engine: Engine, *, secret: str, password: str, origin: From, now: datetime) -> Started:
    """Make the account that an invitation promises, with this password, and sign it in. Raises `LinkOver`, `Conflict`.

    The invitation is used up in the transaction that makes the account: of two who open it, one gets in.
    """
    with read_session(engine) as session:
        found = invited(session, secret=secret, now=now)
    hashed = passwords().hash(password, about=(found.email, found.name))
    with write_session(engine) as session:
        return _take(session, secret=secret, hashed=hashed, origin=origin, now=now)


def _take(session: WriteSession, *, secret: str, hashed: str, origin: From, now: datetime) -> Started:
    found = tickets.redeem(session, kind=TicketKind.INVITATION, secret=secret, now=now)
    return sessions.start(
        session, user=new_account(session, found, hashed, now), origin=origin, method="invitation", now=now
    )


def new_account(session: WriteSession, found: Ticket, password_hash: str | None, now: datetime) -> User:
    """Make the account that a used invitation promised; None: it signs in by single sign-on only. Raises `Conflict`."""
    data = found.data
    user = accounts.add_user(
        session,
        email=data["email"],
        name=data["name"],
        password_hash=password_hash,
        language=data["language"],
        now=now,
    )
    _give(session, found, user_id=user.id or 0, now=now)
    return user


def take_on(session: WriteSession, *, secret: str, user_id: int, now: datetime) -> None:
    """Take on the role that an invitation offers to this account. Raises `LinkOver`, `NotFound` for another's."""
    found = tickets.redeem(session, kind=TicketKind.INVITATION, secret=secret, now=now)
    if found.user_id != user_id:
        raise NotFound("this invitation is for another account: sign in with that one, and open the link again")
    _give(session, found, user_id=user_id, now=now)


def _give(session: WriteSession, found: Ticket, *, user_id: int, now: datetime) -> None:
    data, who = found.data, f"user:{user_id}"
    scope = Scope(data["site"], data["project"], data["organization"], data.get("organization_id"))
    accounts.add_membership(session, user_id=user_id, role=data["role"], scope=scope, actor=found.made_by, now=now)
    detail = {"invited_by": found.made_by}
    audit.record(session, actor=who, tag=Tag.INVITATION_ACCEPT, subject=who, detail=detail, now=now)


def open_invitations(session: ReadSession | WriteSession, *, now: datetime) -> list[InvitationView]:
    """Return the invitations that can still be accepted, newest first."""
    return [
        InvitationView(
            row.id or 0,
            row.data["email"],
            row.data["name"],
            row.data["role"],
            row.made_by,
            row.expires_at,
            row.data.get("organization_id"),
        )
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
