"""Signing in and out with a local account. Sessions are rows; the cookie's secret is nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import repository, sessions, throttle
from central.identity.models import Attempt, User
from central.identity.passwords import passwords
from central.identity.second_factor import count_attempt
from central.identity.sessions import ADDRESS_CHARS_MAX, From, Started
from central.kit.db import read_session, write_session
from central.kit.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.letters import Letters
    from central.kit.db import WriteSession

EMAIL_CHARS_MAX = 200


class WrongCredentials(AppError):
    """The account and the password do not go together; which of the two is wrong is not said."""

    status = 401
    code = "wrong_credentials"


def normal_email(text: str) -> str:
    """Return an address as accounts are stored under."""
    return text.strip().lower()


def sign_in(
    engine: Engine,
    *,
    email: str,
    password: str,
    address: str,
    previous_secret: str | None,
    now: datetime,
    agent: str = "",
) -> Started:
    """Check a password and start a session with a new secret, ending the one the browser came with.

    The attempt is counted before the password is checked (a success takes it back), so that guesses sent in parallel
    are throttled too; hence two transactions, and no lock held during the hash. Raises `TooManyAttempts`,
    `WrongCredentials` or `SignInBusy`.
    """
    account = normal_email(email)[:EMAIL_CHARS_MAX]
    subjects = throttle.subjects_of(account, address[:ADDRESS_CHARS_MAX])
    with write_session(engine) as session:
        repository.lock_subjects(session, subjects.all)
        since = now - throttle.WINDOW
        throttle.check(subjects, repository.failures_since(session, subjects=subjects.all, since=since))
        attempts = [Attempt(subject=subject, at=now) for subject in subjects.all]
        session.add_all(attempts)
        user = repository.user_by_email(session, account)
        known = user.password_hash if user is not None and user.disabled_at is None else None
    matched = passwords().matches(password, known)
    with write_session(engine) as session:
        if user is None or not matched:
            _note_refusal(session, user=user, address=address, now=now)
        else:
            repository.forget_attempts(session, ids=[row.id for row in attempts if row.id], subject=subjects.pair)
            return sessions.start(session, user=user, origin=From(address, agent, previous_secret), now=now)
    raise WrongCredentials("the e-mail address or the password is not right: check both and try again")


def change_password(
    engine: Engine, *, user_id: int, session_id: int, old: str, new: str, letters: Letters, now: datetime
) -> str:
    """Give somebody another password, proven by the old one; end their other sessions and return this one's new secret.

    Wrong ones are counted as wrong codes are. Raises `TooManyAttempts`, `WrongCredentials`, `Invalid`, `SignInBusy`.
    """
    attempt = count_attempt(engine, user_id=user_id, now=now)
    with read_session(engine) as session:
        owner = session.get_one(User, user_id)
    if not passwords().matches(old, owner.password_hash):
        raise WrongCredentials("the present password is not right: check it and try again")
    hashed = passwords().hash(new, about=(owner.email, owner.name))
    with write_session(engine) as session:
        user = session.get_one(User, user_id)
        user.password_hash = hashed
        repository.forget_attempts(session, ids=[attempt], subject=f"code:{user_id}")
        sessions.end_other_sessions(session, user_id=user_id, this=session_id, now=now)
        letters.warn(session, email=user.email, language=user.language, what="password_set", now=now)
        who = f"user:{user_id}"
        audit.record(session, actor=who, tag=Tag.PASSWORD_SET, subject=who, detail={"by": "owner"}, now=now)
        return sessions.another_secret(session, session_id=session_id, now=now)


def prove_again(engine: Engine, *, user_id: int, session_id: int, password: str, now: datetime) -> str:
    """Take the password of somebody signed in once more; return their session's new secret.

    Wrong ones are counted as wrong codes are. Raises `TooManyAttempts`, `WrongCredentials` or `SignInBusy`.
    """
    attempt = count_attempt(engine, user_id=user_id, now=now)
    with read_session(engine) as session:
        known = session.get_one(User, user_id).password_hash
    matched = passwords().matches(password, known)
    who = f"user:{user_id}"
    with write_session(engine) as session:
        tag = Tag.FACTOR_SHOW if matched else Tag.FACTOR_REFUSE
        audit.record(session, actor=who, tag=tag, subject=who, detail={"factor": "password"}, now=now)
        if matched:
            repository.forget_attempts(session, ids=[attempt], subject=f"code:{user_id}")
            return sessions.prove_again(session, session_id=session_id, now=now)
    raise WrongCredentials("the password is not right: check it and try again")


def _note_refusal(session: WriteSession, *, user: User | None, address: str, now: datetime) -> None:
    audit.record(
        session,
        actor="system:web",
        tag=Tag.SESSION_REFUSE,
        subject=f"user:{user.id}" if user is not None else "user:unknown",
        detail={"address": address[:ADDRESS_CHARS_MAX]},
        now=now,
    )


def sign_out(session: WriteSession, *, actor: str, session_id: int, now: datetime) -> None:
    """End a session everywhere, at once. Ending it twice is no error and is recorded once."""
    if repository.end_session(session, session_id=session_id, now=now):
        repository.notify_identity(session)
        audit.record(session, actor=actor, tag=Tag.SESSION_END, subject=actor, detail={"session": session_id}, now=now)
