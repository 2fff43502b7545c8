"""Credentials to actors, remembered for a few seconds, so that a warm request asks the database nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from central.identity import repository
from central.identity.credentials import secret_hash
from central.identity.permissions import Permission
from central.identity.policy import Actor, Grant, standings_of
from central.kit.db import read_session, write_session
from central.kit.ids import SiteId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.repository import SiteRow
    from central.kit.clock import Clock

REMEMBER_S_MAX = 5.0
ENTRIES_MAX = 10_000
SESSION_IDLE_MAX = timedelta(hours=2)
SESSION_AGE_MAX = timedelta(hours=12)
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

    def __init__(self, engine: Engine, clock: Clock, *, remember_s: float = REMEMBER_S_MAX) -> None:
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
            if found is None or session_over(found[0].seen_at, found[0].expires_at, now=now):
                return None
            row, user = found
            standings = standings_of(repository.reached(session, user_id=user.id or 0, now=now))
        actor = Actor(f"user:{user.id}", user.name, user.language, session_id=row.id, standings=standings)
        if now - row.seen_at > SESSION_TOUCH_EVERY and row.id is not None:
            with write_session(self._engine) as writing:
                repository.touch_session(writing, session_id=row.id, now=now)
        self._actors.put(_key("session", secret), actor, generation=generation)
        return actor

    def load_token(self, secret: str) -> Actor | None:
        """Find which API token this is; None when it is unknown, revoked or expired. Blocks."""
        generation, now = self._actors.generation, self._clock.now()
        with read_session(self._engine) as session:
            token = repository.live_token(session, secret_hash(secret))
        if token is None or (token.expires_at is not None and token.expires_at <= now):
            return None
        site_id = SiteId(token.site_id) if token.site_id is not None else None
        known = {permission.value for permission in Permission}
        grants = tuple(Grant(Permission(scope), site_id) for scope in token.scopes if scope in known)
        actor = Actor(f"token:{token.id}", token.name, "en", grants)
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


def session_over(seen_at: datetime, expires_at: datetime, *, now: datetime) -> bool:
    """Whether a session has been idle too long or has reached its absolute end."""
    return now >= expires_at or now - seen_at >= SESSION_IDLE_MAX


def _key(kind: str, secret: str) -> bytes:
    return kind.encode() + secret_hash(secret)
