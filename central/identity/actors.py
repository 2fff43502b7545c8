"""Credentials to actors, remembered for a few seconds, so that a warm request asks the database nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from central.identity import account_repository, factor_repository, repository
from central.identity.colleagues import openings_of
from central.identity.credentials import secret_hash
from central.identity.permissions import Permission
from central.identity.policy import Actor, Grant, standings_of
from central.identity.rules import WORKER_SESSION_IDLE_MAX, Stage, session_over, stage_of
from central.identity.seats import actor_key, cut, seat_of
from central.kit.db import read_session, write_session
from central.kit.ids import SiteId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.models import ApiToken, SignIn, User
    from central.identity.repository import SiteRow
    from central.kit.clock import Clock
    from central.kit.db import ReadSession

REMEMBER_S_MAX = 5.0
ENTRIES_MAX = 10_000
SESSION_TOUCH_EVERY = timedelta(minutes=1)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[Value]):
    value: Value
    until_s: float
    """On the monotonic clock."""


class _Memory(Generic[Value]):
    """A bounded map whose entries end after a few seconds, and at once when flushed, even while one is being read."""

    def __init__(self, *, remember_s: float) -> None:
        self._remember_s = remember_s
        self._entries: dict[bytes, _Remembered[Value]] = {}
        self._generation = 0
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        return self._generation

    def get(self, key: bytes) -> Value | None:
        entry = self._entries.get(key)
        return entry.value if entry is not None and entry.until_s > time.monotonic() else None

    def put(self, key: bytes, value: Value, *, generation: int) -> None:
        """Keep what was read; not when a flush came after the reading began."""
        with self._lock:
            if generation != self._generation:
                return
            if len(self._entries) >= ENTRIES_MAX:
                self._entries.clear()
            self._entries[key] = _Remembered(value, time.monotonic() + self._remember_s)

    def flush(self) -> None:
        with self._lock:
            self._generation += 1
            self._entries.clear()


class ActorCache:
    """Loads actors and sites and remembers them `remember_s` long. `flush` on NOTIFY ccs_identity and ccs_registry."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        remember_s: float = REMEMBER_S_MAX,
        second_factor_required: bool = False,
    ) -> None:
        self._second_factor_required = second_factor_required
        self._engine = engine
        self._clock = clock
        self._actors: _Memory[Actor] = _Memory(remember_s=remember_s)
        self._sites: _Memory[SiteRow] = _Memory(remember_s=remember_s)

    def flush(self) -> None:
        """Forget everything."""
        self._actors.flush()
        self._sites.flush()

    def remembered_actor(self, kind: str, secret: str) -> Actor | None:
        """Return a remembered actor without touching the database."""
        return self._actors.get(_key(kind, secret))

    def load_session(self, secret: str) -> Actor | None:
        """Find who a session cookie belongs to; None when it is unknown, ended, idle too long or too old. Blocks."""
        generation, now = self._actors.generation, self._clock.now()
        with read_session(self._engine) as session:
            found = repository.live_session(session, secret_hash(secret))
            if found is None:
                actor, seen_at = _own_view(session, secret, now=now)
            elif session_over(found[0].seen_at, found[0].expires_at, now=now):
                return None
            else:
                actor, seen_at = self._person(session, *found, now=now), found[0].seen_at
        if actor is None:
            return None
        if now - seen_at > SESSION_TOUCH_EVERY and actor.session_id is not None:
            with write_session(self._engine) as writing:
                repository.touch_session(writing, session_id=actor.session_id, now=now)
        self._actors.put(_key("session", secret), actor, generation=generation)
        return actor

    def _person(self, session: ReadSession, row: SignIn, user: User, *, now: datetime) -> Actor:
        """Everything somebody holds at this moment, or nothing before the session has come far enough."""
        user_id = user.id or 0
        roles = account_repository.roles_of(session, user_id=user_id, now=now)
        seat = seat_of(
            roles, membership_id=row.membership_id, delegation_id=row.delegation_id, project_id=row.project_id
        )
        reached = repository.reached(session, membership_ids=seat.membership_ids, now=now)
        in_mode = [one for one in reached if seat.project_id in {None, one.project_id}]
        standings = standings_of(in_mode)
        stage = stage_of(
            {permission.value for one in standings for permission in one.permissions},
            has_factor=factor_repository.has_factor(session, user_id),
            shown=row.factor_at is not None,
            required=self._second_factor_required,
        )
        return Actor(
            actor_key(user_id, seat.role),
            user.name,
            user.language,
            session_id=row.id,
            standings=standings if stage is Stage.FULL else (),
            user_id=user_id,
            stage=stage,
            seat=seat.role,
            method=row.method,
            brings_in=bool(openings_of(roles, seat=seat.role)),
            proven_at=row.proven_at,
            roles=frozenset(one.role for one in roles if one.membership_id in seat.membership_ids),
        )

    def load_token(self, secret: str) -> Actor | None:
        """Find which API token this is; None when it is unknown, revoked or expired. Blocks."""
        generation, now = self._actors.generation, self._clock.now()
        with read_session(self._engine) as session:
            token = repository.live_token(session, secret_hash(secret))
            if token is None or (token.expires_at is not None and token.expires_at <= now):
                return None
            actor = _own_machine(session, token, now=now) if token.owner_id is not None else _machine(token)
        if actor is None:
            return None
        self._actors.put(_key("token", secret), actor, generation=generation)
        return actor

    def remembered_site(self, code: str) -> SiteRow | None:
        """Return a remembered site without touching the database."""
        return self._sites.get(code.encode())

    def load_site(self, code: str) -> SiteRow | None:
        """Find a site by its code. Blocks."""
        generation = self._sites.generation
        with read_session(self._engine) as session:
            row = repository.site_by_code(session, code)
        if row is not None:
            self._sites.put(code.encode(), row, generation=generation)
        return row


def _own_view(session: ReadSession, secret: str, *, now: datetime) -> tuple[Actor | None, datetime]:
    """A worker at their own view, and when the session was last used."""
    row = repository.live_worker_session(session, secret_hash(secret))
    if row is None or session_over(row.seen_at, row.expires_at, now=now, idle_max=WORKER_SESSION_IDLE_MAX):
        return None, now
    who = f"worker:{row.worker_id}"
    actor = Actor(who, row.name, row.language, session_id=row.id, worker_id=row.worker_id, method=row.method)
    return actor, row.seen_at


def _machine(token: ApiToken) -> Actor:
    """A token that stands by itself, with its scopes on its site or everywhere."""
    site_id = SiteId(token.site_id) if token.site_id is not None else None
    known = {permission.value for permission in Permission}
    grants = tuple(Grant(Permission(scope), site_id) for scope in token.scopes if scope in known)
    return Actor(f"token:{token.id}", token.name, "en", grants)


def _own_machine(session: ReadSession, token: ApiToken, *, now: datetime) -> Actor | None:
    """A person's token: never more than its owner holds now, nothing that was lent; None for a closed account."""
    owner = account_repository.user_by_id(session, token.owner_id or 0)
    if owner is None or owner.disabled_at is not None:
        return None
    roles = account_repository.roles_of(session, user_id=token.owner_id or 0, now=now)
    seat = seat_of(roles, membership_id=None, delegation_id=None)
    held = standings_of(repository.reached(session, membership_ids=seat.membership_ids, now=now))
    site_id = SiteId(token.site_id) if token.site_id is not None else None
    standings = cut(held, scopes=frozenset(token.scopes), site_id=site_id)
    return Actor(f"token:{token.id}", token.name, owner.language, standings=standings)


def _key(kind: str, secret: str) -> bytes:
    return kind.encode() + secret_hash(secret)
