"""A worker's telephone opens their own view: whoever else changes it does so in the worker's sight."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from central.identity.sessions import end_worker_sessions
from central.identity.tickets import withdraw_of_worker
from central.registry import merge_repository as repository

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import WriteSession
    from central.kit.sms import Texts
    from central.registry.models import Worker

CHANGED = "[건설현장] 전화번호가 변경되었습니다. 모르는 일이면 현장에 알리세요. Phone changed: /me"
"""To the number that was. Korean carriers carry no other script: see `kit.sms`."""
TOLD_WITHIN = timedelta(days=1)


def note_change(
    session: WriteSession, *, worker: Worker, before: str | None, texts: Texts, actor: str, now: datetime
) -> None:
    """Tell the number that was, end what came in by it, and note when: until then, and a while after, see `myself`.

    `worker` holds the new number already; `before` is the one that opened the worker's own view until now.
    """
    if worker.phone == before:
        return
    worker.phone_changed_at = now
    for entry in repository.entries_of(session, worker_id=worker.id or 0):
        withdraw_of_worker(session, worker_id=entry, now=now)
        end_worker_sessions(session, worker_id=entry, actor=actor, now=now)
    if before:
        texts.put(session, to=before, text=CHANGED, now=now, useless_at=now + TOLD_WITHIN)
