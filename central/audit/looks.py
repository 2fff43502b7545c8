"""Looks at personal data, each recorded at most once a minute for an actor and a subject (PRV-01)."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from central.audit import service
from central.kit.db import write_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Engine

LOOK_EVERY = timedelta(minutes=1)
REMEMBERED_MAX = 50_000


class LookLog:
    """One a process. What is remembered here only saves repetitions; forgetting it records a look once more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str, str], datetime] = {}

    def due(self, *, actor: str, tag: str, subject: str, now: datetime) -> bool:
        """Whether this look is to be recorded now; true for one asker. Never blocks."""
        key = (actor, tag, subject)
        with self._lock:
            last = self._last.get(key)
            if last is not None and timedelta() <= now - last < LOOK_EVERY:
                return False
            if len(self._last) >= REMEMBERED_MAX:
                self._last.clear()
            self._last[key] = now
            return True

    def note(
        self, *, actor: str, tag: str, subject: str, now: datetime, detail: Mapping[str, object] | None = None
    ) -> None:
        """Record a look before the data is given, unless it was recorded less than a minute ago. Blocks."""
        if self.due(actor=actor, tag=tag, subject=subject, now=now):
            with write_session(self._engine) as session:
                service.record(session, actor=actor, tag=tag, subject=subject, detail=detail or {}, now=now)
