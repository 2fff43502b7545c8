"""Sessions as rows: begun, renewed with another secret when more was proven, looked at by their owner, ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from central.audit import service as audit
from central.audit.tags import Tag
from central.identity import account_repository, repository, tickets
from central.identity.credentials import new_session_secret, secret_hash
from central.identity.models import SignIn, User
from central.identity.rules import SESSION_AGE_MAX, WORKER_SESSION_AGE_MAX, session_over
from central.kit.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from central.kit.db import ReadSession, WriteSession

ADDRESS_CHARS_MAX = 60
AGENT_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class From:
    """Where a request came from. `previous_secret` is the session cookie that it came with."""

    address: str
    agent: str = ""
    previous_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A session that began. `secret` goes into the cookie and is not kept."""

    secret: str
    user_id: int
    language: str


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as its owner sees it."""

    id: int
    started_at: datetime
    seen_at: datetime
    address: str
    agent: str
    method: str
    is_this: bool


def start(
    session: WriteSession, *, user: User, origin: From, now: datetime, method: str = "password", factor: bool = False
) -> Started:
    """Begin a session with a new secret and end the one that the browser came with.

    `factor`: whoever vouched for the person saw a second factor too.
    """
    _end_previous(session, origin, now)
    secret = new_session_secret()
    row = _row(secret, origin, method=method, now=now, life=SESSION_AGE_MAX)
    row.user_id, row.factor_at = user.id, now if factor else None
    _begin(session, row, who=f"user:{user.id}", now=now)
    return Started(secret, user.id or 0, user.language)


def start_worker(session: WriteSession, *, worker_id: int, origin: From, now: datetime, method: str) -> str:
    """Begin a worker's session in place of the one that the browser came with; return its secret."""
    _end_previous(session, origin, now)
    secret = new_session_secret()
    row = _row(secret, origin, method=method, now=now, life=WORKER_SESSION_AGE_MAX)
    row.worker_id = worker_id
    _begin(session, row, who=f"worker:{worker_id}", now=now)
    return secret


def end_worker_sessions(session: WriteSession, *, worker_id: int, now: datetime, actor: str | None = None) -> int:
    """End every session of a worker, on whatever phone; return how many ended. `actor`: who did, if not the worker."""
    ended = account_repository.end_worker_sessions(session, worker_id=worker_id, now=now)
    _note_ended(session, who=f"worker:{worker_id}", ended=ended, actor=actor, now=now)
    return len(ended)


def _row(secret: str, origin: From, *, method: str, now: datetime, life: timedelta) -> SignIn:
    return SignIn(
        secret_hash=secret_hash(secret),
        created_at=now,
        seen_at=now,
        proven_at=now,
        expires_at=now + life,
        method=method,
        address=origin.address[:ADDRESS_CHARS_MAX],
        agent=origin.agent[:AGENT_CHARS_MAX],
    )


def _begin(session: WriteSession, row: SignIn, *, who: str, now: datetime) -> None:
    session.add(row)
    detail = {"address": row.address, "method": row.method}
    audit.record(session, actor=who, tag=Tag.SESSION_START, subject=who, detail=detail, now=now)


def _end_previous(session: WriteSession, origin: From, now: datetime) -> None:
    if origin.previous_secret:
        repository.end_session_by_hash(session, hashed=secret_hash(origin.previous_secret), now=now)
        repository.notify_identity(session)


def renew(session: WriteSession, *, session_id: int, now: datetime) -> str:
    """Note that a second factor was shown; return the session's new secret: the old one opens nothing any more."""
    account_repository.note_factor(session, session_id=session_id, now=now)
    return another_secret(session, session_id=session_id, now=now)


def prove_again(session: WriteSession, *, session_id: int, now: datetime) -> str:
    """Note that a session's person showed again who they are; return the session's new secret."""
    account_repository.note_proof(session, session_id=session_id, now=now)
    return another_secret(session, session_id=session_id, now=now)


def another_secret(session: WriteSession, *, session_id: int, now: datetime) -> str:
    """Give a live session another secret; return it. Raises `NotFound` for one that was ended meanwhile."""
    secret = new_session_secret()
    if not account_repository.renew_session(session, session_id=session_id, hashed=secret_hash(secret), now=now):
        raise NotFound("this session was ended meanwhile: sign in again")
    repository.notify_identity(session)
    return secret


def sessions_of(session: ReadSession, *, user_id: int, this: int | None, now: datetime) -> list[SessionView]:
    """Return where somebody is signed in now, newest use first."""
    rows = account_repository.live_sessions(session, user_id=user_id, now=now)
    return [
        SessionView(row.id or 0, row.created_at, row.seen_at, row.address, row.agent, row.method, row.id == this)
        for row in rows
        if not session_over(row.seen_at, row.expires_at, now=now)
    ]


def end_session_of(session: WriteSession, *, user_id: int, session_id: int, now: datetime) -> None:
    """End one session of somebody, everywhere; raise `NotFound` for one that is not theirs or has ended."""
    ended = _end_own(session, user_id=user_id, only=session_id, now=now)
    if not ended:
        raise NotFound("there is no such session of yours: it may have ended already")
    _note_ended(session, who=f"user:{user_id}", ended=ended, now=now)


def end_other_sessions(session: WriteSession, *, user_id: int, this: int | None, now: datetime) -> int:
    """End every session of somebody but this one (None: every one); return how many ended."""
    ended = _end_own(session, user_id=user_id, but=this, now=now)
    _note_ended(session, who=f"user:{user_id}", ended=ended, now=now)
    return len(ended)


def end_sessions_for(session: WriteSession, *, user_id: int, actor: str, now: datetime) -> None:
    """End every session of somebody else, e.g. after a phone was stolen."""
    ended = _end_own(session, user_id=user_id, now=now)
    _note_ended(session, who=f"user:{user_id}", ended=ended, actor=actor, now=now)


def cut_off(session: WriteSession, *, user_id: int, now: datetime) -> None:
    """End every session of an account, as part of an act that is recorded under its own name."""
    _end_own(session, user_id=user_id, now=now)
    repository.notify_identity(session)


def is_live(session: WriteSession, *, session_id: int, secret: str, now: datetime) -> bool:
    """Whether a browser's cookie is still that of this session."""
    found = repository.live_session(session, secret_hash(secret))
    if found is None or found[0].id != session_id:
        return False
    return not session_over(found[0].seen_at, found[0].expires_at, now=now)


def _end_own(
    session: WriteSession, *, user_id: int, now: datetime, but: int | None = None, only: int | None = None
) -> list[int]:
    """End sessions of somebody, and whatever was begun in one and not finished; return which ended now."""
    tickets.end_begun(session, user_id=user_id, now=now)
    return account_repository.end_own_sessions(session, user_id=user_id, but=but, only=only, now=now)


def _note_ended(session: WriteSession, *, who: str, ended: list[int], now: datetime, actor: str | None = None) -> None:
    if not ended:
        return
    repository.notify_identity(session)
    acts = [audit.Act(Tag.SESSION_END, who, {"session": session_id}) for session_id in ended]
    audit.record_many(session, actor=actor or who, acts=acts, now=now)
