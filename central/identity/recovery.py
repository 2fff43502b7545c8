"""A forgotten password: a one-time link by mail. Whether an address has an account is told to its mailbox alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, repository, sessions, throttle, tickets
from central.identity.models import Attempt, User
from central.identity.passwords import passwords
from central.identity.rules import RECOVERY_LIFE
from central.identity.sessions import ADDRESS_CHARS_MAX
from central.identity.signin import EMAIL_CHARS_MAX, normal_email
from central.identity.tickets import TicketKind
from central.kit.db import read_session, write_session

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Letters


def request_recovery(
    engine: Engine, *, email: str, address: str, base_url: str, letters: Letters, now: datetime
) -> None:
    """Send a link to an open account's mailbox, and do nothing for any other address. Raises `TooManyAttempts`.

    Counted for every address alike, so that neither the answer nor the limit tells which ones have accounts.
    """
    account = normal_email(email)[:EMAIL_CHARS_MAX]
    named = hashlib.sha256(account.encode()).hexdigest()
    limits = {
        f"recovery:{named}": throttle.RECOVERY_EMAIL_MAX,
        f"recovery_from:{address[:ADDRESS_CHARS_MAX]}": throttle.RECOVERY_ADDRESS_MAX,
    }
    with write_session(engine) as session:
        repository.lock_subjects(session, list(limits))
        found = repository.failures_since(session, subjects=list(limits), since=now - throttle.WINDOW)
        throttle.check_limits(limits, found)
        session.add_all([Attempt(subject=subject, at=now) for subject in limits])
        user = repository.user_by_email(session, account)
        if user is None or user.disabled_at is not None:
            return
        secret = tickets.issue(session, kind=TicketKind.RECOVERY, life=RECOVERY_LIFE, now=now, user_id=user.id)
        link = f"{base_url}/recovery/{secret}"
        letters.recover(
            session, email=user.email, language=user.language, link=link, until=now + RECOVERY_LIFE, now=now
        )
        who = f"user:{user.id}"
        detail = {"address": address[:ADDRESS_CHARS_MAX]}
        audit.record(session, actor="system:web", tag=Tag.RECOVERY_REQUEST, subject=who, detail=detail, now=now)


def check_link(engine: Engine, *, secret: str, now: datetime) -> None:
    """Pass when a link can be used, without using it. Raises `LinkOver`."""
    with read_session(engine) as session:
        tickets.look(session, kind=TicketKind.RECOVERY, secret=secret, now=now)


def set_password(engine: Engine, *, secret: str, password: str, letters: Letters, now: datetime) -> None:
    """Give the account another password, end its sessions and its other links. The second factor stays asked for.

    Raises `LinkOver` for every caller but the first.
    """
    with read_session(engine) as session:
        ticket = tickets.look(session, kind=TicketKind.RECOVERY, secret=secret, now=now)
        owner = session.get_one(User, ticket.user_id)
    hashed = passwords().hash(password, about=(owner.email, owner.name))
    with write_session(engine) as session:
        found = tickets.redeem(session, kind=TicketKind.RECOVERY, secret=secret, now=now)
        user = session.get_one(User, found.user_id)
        user.password_hash = hashed
        user_id = user.id or 0
        account_repository.withdraw_tickets(session, kind=TicketKind.RECOVERY.value, user_id=user_id, now=now)
        sessions.cut_off(session, user_id=user_id, now=now)
        letters.warn(session, email=user.email, language=user.language, what="password_set", now=now)
        who = f"user:{user_id}"
        audit.record(session, actor=who, tag=Tag.PASSWORD_SET, subject=who, detail={"by": "recovery"}, now=now)
