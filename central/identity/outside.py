"""Signing in through a provider: out with a ticket bound to the browser, back once, to an account linked before.

An address that a provider knows is no proof here: an account is linked by its owner, in a session of theirs that is
still there when they come back, and by nobody else. Its mailbox is told.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, invitations, repository, sessions, throttle, tickets
from central.identity.credentials import new_session_secret, secret_hash
from central.identity.models import Attempt, OutsideIdentity, User
from central.identity.outside_provider import OutsideRefused, OutsideUnavailable
from central.identity.rules import CHALLENGE_LIFE
from central.identity.tickets import TicketKind
from central.kit.db import write_session
from central.kit.errors import Conflict, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Change, Letters
    from central.identity.models import Ticket
    from central.identity.outside_provider import Providers, Vouched
    from central.identity.policy import Actor
    from central.identity.sessions import From, Started
    from central.kit.db import WriteSession

WAY_LIFE = CHALLENGE_LIFE * 2
METHOD = "oidc:"


class OutsideUnknown(OutsideRefused):
    """The provider vouched for somebody whose account here is not linked."""

    code = "outside_unknown"


@dataclass(frozen=True, slots=True)
class Leaving:
    """Where the browser goes, and what it must bring back in a cookie."""

    address: str
    binding: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """Who came back: a session that began, or (None) a link that was made. `target` is where they wanted to go."""

    started: Started | None
    target: str


def leave(  # noqa: PLR0913 - where to, back to where, and what for
    engine: Engine,
    providers: Providers,
    *,
    provider_id: str,
    back: str,
    target: str,
    address: str,
    now: datetime,
    link_for: Actor | None = None,
    invitation_id: int | None = None,
) -> Leaving:
    """Begin a way to a provider and back: to sign in, to link the account of `link_for`, or to accept an invitation.

    Raises `TooManyAttempts`.
    """
    provider = providers.get(provider_id)
    nonce, verifier, binding = new_session_secret(), new_session_secret(), new_session_secret()
    data = {
        "provider": provider_id,
        "nonce": nonce,
        "verifier": verifier,
        "binding": secret_hash(binding).hex(),
        "target": target,
        "invitation": invitation_id,
        "session": link_for.session_id if link_for is not None else None,
    }
    user_id = link_for.user_id if link_for is not None else None
    subject = f"outside_from:{address[: sessions.ADDRESS_CHARS_MAX]}"
    with write_session(engine) as session:
        begun = repository.failures_since(session, subjects=[subject], since=now - throttle.WINDOW)
        throttle.check_limits({subject: throttle.OUTSIDE_WAYS_MAX}, begun)
        session.add(Attempt(subject=subject, at=now))
        state = tickets.issue(session, kind=TicketKind.OUTSIDE, life=WAY_LIFE, now=now, user_id=user_id, data=data)
    onward = providers.way_out(provider, back=back, state=state, nonce=nonce, verifier=verifier, now=now)
    return Leaving(onward, binding)


def arrive(  # noqa: PLR0913 - what came back, and where from
    engine: Engine,
    providers: Providers,
    *,
    provider_id: str,
    back: str,
    state: str,
    code: str,
    binding: str,
    origin: From,
    letters: Letters,
    now: datetime,
) -> Arrived:
    """Take what a browser brings back. Raises `LinkOver` for a second time, `OutsideRefused`, `OutsideUnknown`.

    The ticket is used up before the provider is asked, so that a code is traded once.
    """
    with write_session(engine) as session:
        ticket = tickets.redeem(session, kind=TicketKind.OUTSIDE, secret=state, now=now)
    data = ticket.data
    mine = hmac.compare_digest(data["binding"], secret_hash(binding).hex())
    if not mine or data["provider"] != provider_id:
        raise OutsideRefused("this sign-in was begun in another browser: begin again here")
    provider = providers.get(provider_id)
    vouched = providers.vouched(provider, code=code, back=back, nonce=data["nonce"], verifier=data["verifier"], now=now)
    with write_session(engine) as session:
        if ticket.user_id is not None:
            _link_signed_in(session, ticket, vouched=vouched, origin=origin, letters=letters, now=now)
            return Arrived(None, data["target"])
        begin = _accept if data.get("invitation") else _sign_in
        started = begin(session, ticket=ticket, provider_id=provider_id, vouched=vouched, origin=origin, now=now)
    if started is None:
        raise OutsideUnknown(
            "this sign-in service knows you, and no account here is connected to it: sign in with your password,"
            " and connect it under Account"
        )
    return Arrived(started, data["target"])


def _accept(
    session: WriteSession, *, ticket: Ticket, provider_id: str, vouched: Vouched, origin: From, now: datetime
) -> Started:
    """Make the account that an invitation promises, linked to the provider and without a password, and sign it in."""
    found = tickets.redeem_known(session, kind=TicketKind.INVITATION, ticket_id=ticket.data["invitation"], now=now)
    user = invitations.new_account(session, found, None, now)
    _link(session, user_id=user.id or 0, provider_id=provider_id, vouched=vouched, now=now)
    return sessions.start(
        session, user=user, origin=origin, method=method_of(provider_id), factor=vouched.factor, now=now
    )


def _sign_in(
    session: WriteSession,
    *,
    ticket: Ticket,  # noqa: ARG001 - as `_accept`
    provider_id: str,
    vouched: Vouched,
    origin: From,
    now: datetime,
) -> Started | None:
    user_id = account_repository.user_of_outside(session, provider=provider_id, subject=vouched.subject)
    user = account_repository.user_by_id(session, user_id) if user_id is not None else None
    if user is None or user.disabled_at is not None:
        detail = {"method": method_of(provider_id), "address": origin.address[: sessions.ADDRESS_CHARS_MAX]}
        subject = f"user:{user_id}" if user_id is not None else "user:unknown"
        audit.record(session, actor="system:web", tag=Tag.SESSION_REFUSE, subject=subject, detail=detail, now=now)
        return None
    return sessions.start(
        session, user=user, origin=origin, method=method_of(provider_id), factor=vouched.factor, now=now
    )


def _link_signed_in(
    session: WriteSession, ticket: Ticket, *, vouched: Vouched, origin: From, letters: Letters, now: datetime
) -> None:
    """Link an account for the session that began it, and for no other: one that was ended meanwhile links nothing."""
    if not sessions.is_live(session, session_id=ticket.data["session"], secret=origin.previous_secret or "", now=now):
        raise OutsideRefused("you were signed out meanwhile: sign in, and connect your account again")
    user_id = ticket.user_id or 0
    _link(session, user_id=user_id, provider_id=ticket.data["provider"], vouched=vouched, now=now)
    _warn(session, user_id=user_id, what="outside_linked", letters=letters, now=now)


def _warn(session: WriteSession, *, user_id: int, what: Change, letters: Letters, now: datetime) -> None:
    user = session.get_one(User, user_id)
    letters.warn(session, email=user.email, language=user.language, what=what, now=now)


def _link(session: WriteSession, *, user_id: int, provider_id: str, vouched: Vouched, now: datetime) -> None:
    repository.lock_subjects(session, [f"outside:{provider_id}:{vouched.subject}"])
    there = account_repository.user_of_outside(session, provider=provider_id, subject=vouched.subject)
    if there is not None:
        raise Conflict("this sign-in service's account is connected to an account here already: disconnect it there")
    session.add(OutsideIdentity(user_id=user_id, provider=provider_id, subject=vouched.subject, linked_at=now))
    who = f"user:{user_id}"
    audit.record(session, actor=who, tag=Tag.OUTSIDE_LINK, subject=who, detail={"provider": provider_id}, now=now)


def method_of(provider_id: str) -> str:
    """Say in a session's row by which provider it began."""
    return f"{METHOD}{provider_id}"


def way_home(providers: Providers, *, method: str, back: str, now: datetime) -> str | None:
    """Return where a session that began at a provider is ended there too, or None when it does not say or not answer.

    Who signs out here is signed out here in any case.
    """
    try:
        return providers.way_home(providers.get(method.removeprefix(METHOD)), back=back, now=now)
    except (NotFound, OutsideRefused, OutsideUnavailable):
        return None


def unlink(session: WriteSession, *, user_id: int, provider_id: str, letters: Letters, now: datetime) -> None:
    """Take an account's link to a provider away; refused when there is no password to come in with."""
    user = account_repository.user_by_id(session, user_id)
    if user is None or user.password_hash is None:
        raise Conflict("this is your only way in: choose a password first, by 'Forgot your password?'")
    if not account_repository.unlink_outside(session, user_id=user_id, provider=provider_id):
        raise NotFound("this account is not connected to that sign-in service")
    who = f"user:{user_id}"
    audit.record(session, actor=who, tag=Tag.OUTSIDE_UNLINK, subject=who, detail={"provider": provider_id}, now=now)
    _warn(session, user_id=user_id, what="outside_unlinked", letters=letters, now=now)
