"""Things that may be done once, by whoever holds a secret: one door to make one, one to use it up."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from central.identity import account_repository as repository
from central.identity.credentials import SECRET_CHARS_MAX, new_session_secret, secret_hash
from central.identity.models import Ticket
from central.kit.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from central.kit.db import ReadSession, WriteSession


class TicketKind(StrEnum):
    """What a ticket is good for; one of a kind opens nothing of another."""

    APP_ADD = "app_add"
    """An authenticator app that was offered and has not shown its first code."""
    INVITATION = "invitation"
    OUTSIDE = "outside"
    """A way to a single-sign-on provider and back."""
    PASSKEY_ADD = "passkey_add"
    PASSKEY_SHOW = "passkey_show"
    RECOVERY = "recovery"
    WORKER_CARD = "worker_card"
    """A worker's way in by holding their card to a terminal."""
    WORKER_CODE = "worker_code"
    """A worker's way in by a code in a text message."""
    WORKER_DESK = "worker_desk"
    """A code that the contractor's desk gives to a worker without a phone; the code itself is the secret."""


BEGUN = (TicketKind.APP_ADD, TicketKind.OUTSIDE, TicketKind.PASSKEY_ADD)
"""What somebody who is signed in begins, to change how they sign in, and finishes later."""


class LinkOver(AppError):
    """The link is unknown, used, withdrawn, or its time is over; which, is not said."""

    status = 410
    code = "link_over"


def issue(
    session: WriteSession,
    *,
    kind: TicketKind,
    life: timedelta,
    now: datetime,
    user_id: int | None = None,
    made_by: str = "",
    data: Mapping[str, Any] | None = None,
    secret: str | None = None,
) -> str:
    """Make a ticket; return its secret, which is kept nowhere. `secret`: one that a person can type."""
    secret = secret or new_session_secret()
    session.add(
        Ticket(
            kind=kind.value,
            secret_hash=secret_hash(secret),
            user_id=user_id,
            made_by=made_by,
            data=dict(data or {}),
            created_at=now,
            expires_at=now + life,
        )
    )
    return secret


def look(session: ReadSession | WriteSession, *, kind: TicketKind, secret: str, now: datetime) -> Ticket:
    """Return a ticket that can be used, without using it. Raises `LinkOver`."""
    found = repository.ticket(session, kind=kind.value, hashed=secret_hash(secret[:SECRET_CHARS_MAX]))
    if found is None or found.used_at is not None or found.expires_at <= now:
        raise LinkOver("this link was used already or its time is over: ask for a new one")
    return found


def made_for(session: WriteSession, *, kind: TicketKind, number: str, since: datetime) -> int:
    """Count the tickets whose data names a number, made since an instant."""
    return repository.tickets_of(session, kind=kind.value, number=number, since=since)


def withdraw_of_worker(session: WriteSession, *, worker_id: int, now: datetime) -> None:
    """Use up every code that a worker could still come in with, whoever asked for it or gave it."""
    kinds = [TicketKind.WORKER_CARD.value, TicketKind.WORKER_CODE.value, TicketKind.WORKER_DESK.value]
    repository.withdraw_worker_tickets(session, kinds=kinds, worker_id=worker_id, now=now)


def redeem(session: WriteSession, *, kind: TicketKind, secret: str, now: datetime) -> Ticket:
    """Use a ticket up, in the transaction of what it is good for. Raises `LinkOver` for every caller but one."""
    hashed = secret_hash(secret[:SECRET_CHARS_MAX])
    return _used(session, repository.use_ticket(session, kind=kind.value, hashed=hashed, now=now))


def redeem_known(session: WriteSession, *, kind: TicketKind, ticket_id: int, now: datetime) -> Ticket:
    """Use a ticket up whose secret was seen earlier on the same way. Raises `LinkOver` for every caller but one."""
    return _used(session, repository.use_ticket(session, kind=kind.value, ticket_id=ticket_id, now=now))


def end_begun(session: WriteSession, *, user_id: int, now: datetime) -> None:
    """End what an account began and has not finished: who is signed out, or whose password changed, begins again."""
    for kind in BEGUN:
        repository.withdraw_tickets(session, kind=kind.value, user_id=user_id, now=now)


def _used(session: WriteSession, used: int | None) -> Ticket:
    if used is None:
        raise LinkOver("this link was used already or its time is over: ask for a new one")
    return session.get_one(Ticket, used)
