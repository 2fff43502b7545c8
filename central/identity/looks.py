"""Every look at people's data is in the audit trail, with whose: exports always, pages once a minute a person."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.db import write_session

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Engine

    from central.identity.policy import Actor

AGAIN_AFTER_S = 60.0
REMEMBERED_MAX = 2_000


@dataclass(slots=True)
class _Noted:
    since_s: float
    workers: set[int] = field(default_factory=set)


class Looks:
    """Writes looks down before anything is shown. One a process; remembering less only means writing more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._noted: dict[tuple[str, Tag, str], _Noted] = {}
        self._lock = threading.Lock()

    def note(
        self,
        actor: Actor,
        tag: Tag,
        subject: str,
        *,
        now: datetime,
        detail: dict[str, Any],
        workers: Iterable[int] = (),
    ) -> None:
        """Record a look, unless it shows nobody who was not written down within the last minute. Blocks."""
        key, asked = (actor.key, tag, subject), set(workers)
        with self._lock:
            before = self._noted.get(key)
            if before is not None and time.monotonic() - before.since_s >= AGAIN_AFTER_S:
                before = None
            fresh = asked - before.workers if before is not None else asked
        if before is not None and not fresh:
            return
        self.record(actor, tag, subject, now=now, detail=detail, workers=fresh)
        with self._lock:
            if len(self._noted) >= REMEMBERED_MAX:
                self._noted.clear()
            noted = before or _Noted(time.monotonic())
            noted.workers |= fresh
            self._noted[key] = noted

    def record(
        self,
        actor: Actor,
        tag: Tag,
        subject: str,
        *,
        now: datetime,
        detail: dict[str, Any],
        workers: Iterable[int] = (),
    ) -> None:
        """Record a look, always. Blocks; when this raises, nothing may be shown."""
        named = sorted(set(workers))
        if named:
            detail = detail | {"workers": named}
        with write_session(self._engine) as session:
            audit.record(session, actor=actor.key, tag=tag, subject=subject, detail=detail, now=now)
