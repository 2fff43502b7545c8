"""Queries on the audit table. There is no update and no delete here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import col, select

from central.audit.models import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.kit.db import ReadSession, WriteSession

CHAIN_LOCK = 0x61756469
"""Advisory lock key: one transaction at a time appends to the chain."""


def lock_chain(session: WriteSession) -> None:
    """Wait until no other transaction is appending; held until this one ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})


def last_hash(session: WriteSession) -> bytes | None:
    """Return the newest row's hash, or None when there is none."""
    return session.exec(select(AuditEvent.hash).order_by(col(AuditEvent.id).desc()).limit(1)).first()


def append(session: WriteSession, rows: Sequence[AuditEvent]) -> None:
    """Insert rows in order, now: their ids must rise while the lock is held."""
    session.add_all(rows)
    session.flush()


def rows_after(session: ReadSession, *, after: int, rows_max: int) -> Sequence[AuditEvent]:
    """Return rows with an id above `after`, oldest first."""
    return session.exec(
        select(AuditEvent).where(col(AuditEvent.id) > after).order_by(col(AuditEvent.id)).limit(rows_max)
    ).all()
