"""Every look at people's names is in the audit trail: lists once a minute a person and site, exports always."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.db import write_session

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.policy import Actor

AGAIN_AFTER_S = 60.0
REMEMBERED_MAX = 10_000


class Looks:
    """Writes looks down before anything is shown. One a process; remembering less only means writing more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[tuple[str, Tag, str], float] = {}
        self._lock = threading.Lock()

    def note(self, actor: Actor, tag: Tag, subject: str, *, now: datetime, detail: dict[str, Any]) -> None:
        """Record a look, unless the same one was recorded less than a minute ago. Blocks."""
        key = (actor.key, tag, subject)
        at_s = time.monotonic()
        with self._lock:
            if at_s - self._seen.get(key, -AGAIN_AFTER_S) < AGAIN_AFTER_S:
                return
        self.record(actor, tag, subject, now=now, detail=detail)
        with self._lock:
            if len(self._seen) >= REMEMBERED_MAX:
                self._seen.clear()
            self._seen[key] = at_s

    def record(self, actor: Actor, tag: Tag, subject: str, *, now: datetime, detail: dict[str, Any]) -> None:
        """Record a look, always. Blocks; when this raises, nothing may be shown."""
        with write_session(self._engine) as session:
            audit.record(session, actor=actor.key, tag=tag, subject=subject, detail=detail, now=now)
