"""The audit trail: one hash chain, appended in the caller's transaction, checked from the first row to the last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from central.audit import repository
from central.audit.models import AuditEvent
from central.audit.tags import Tag
from central.kit.at_commit import AtCommit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from central.kit.db import ReadSession, WriteSession

GENESIS_HASH = bytes(32)
VERIFY_ROWS_A_READ = 2_000


@dataclass(frozen=True, slots=True)
class Act:
    """What one audit row says, before it is chained."""

    tag: str
    subject: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Pending:
    at: datetime
    actor: str
    tag: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of walking the chain. `head` is the last row's hash: kept elsewhere, it proves nothing was cut off."""

    rows: int
    head: bytes
    broken_at: int | None = None
    """Id of the first row that does not fit."""
    reason: str = ""
    seen_expected: bool = False
    """Whether the hash asked for was met on the way."""
    heads: Mapping[int, bytes] = field(default_factory=dict)
    """The head after as many rows as was asked for."""


def record(
    session: WriteSession, *, actor: str, tag: str, subject: str, detail: Mapping[str, Any], now: datetime
) -> None:
    """Add one act to the transaction: it is chained at the commit, in the order recorded, or gone with a rollback."""
    record_many(session, actor=actor, acts=[Act(tag, subject, detail)], now=now)


def record_many(session: WriteSession, *, actor: str, acts: Iterable[Act], now: datetime) -> None:
    """Add several acts of one actor at one instant. Details hold text, whole numbers, flags, dates and lists."""
    pending = [_Pending(now, actor, Tag(act.tag).value, act.subject, _plain(dict(act.detail))) for act in acts]
    _RECORDED.note(session, pending)


def _chain(session: WriteSession, pending: Sequence[_Pending]) -> None:
    """Chain what was recorded. At the commit, so that writers wait for each other for an instant, not a transaction."""
    repository.lock_chain(session)
    previous = repository.last_hash(session) or GENESIS_HASH
    rows = []
    for act in pending:
        digest = row_hash(previous, at=act.at, actor=act.actor, tag=act.tag, subject=act.subject, detail=act.detail)
        rows.append(
            AuditEvent(
                at=act.at,
                actor=act.actor,
                tag=act.tag,
                subject=act.subject,
                detail=act.detail,
                prev_hash=previous,
                hash=digest,
            )
        )
        previous = digest
    repository.append(session, rows)


_RECORDED = AtCommit[_Pending]("audit", _chain)


def row_hash(previous: bytes, *, at: datetime, actor: str, tag: str, subject: str, detail: Mapping[str, Any]) -> bytes:
    """Hash a row's content together with its predecessor's hash."""
    content = [at.astimezone(UTC).isoformat(timespec="microseconds"), actor, tag, subject, detail]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(previous + text.encode()).digest()


def verify_chain(session: ReadSession, *, expected: bytes | None = None, heads_at: Collection[int] = ()) -> ChainReport:
    """Walk the whole chain in bounded reads and stop at the first row that was edited, or whose predecessor is gone.

    Notes what the head was after as many rows as each of `heads_at` says.
    """
    previous, rows, after = GENESIS_HASH, 0, 0
    seen, heads = expected == GENESIS_HASH, {0: GENESIS_HASH}
    while True:
        batch = repository.rows_after(session, after=after, rows_max=VERIFY_ROWS_A_READ)
        if not batch:
            return ChainReport(rows, previous, seen_expected=seen, heads=heads)
        for row in batch:
            reason = _fault(row, previous)
            if reason:
                return ChainReport(rows, previous, row.id, reason, seen, heads)
            previous, after, rows = row.hash, row.id or 0, rows + 1
            seen = seen or previous == expected
            if rows in heads_at:
                heads[rows] = previous
        session.expunge_all()  # the walk holds one batch of rows, not the whole trail


def _fault(row: AuditEvent, previous: bytes) -> str:
    if row.prev_hash != previous:
        return "its predecessor is missing or was replaced"
    digest = row_hash(previous, at=row.at, actor=row.actor, tag=row.tag, subject=row.subject, detail=row.detail)
    return "" if digest == row.hash else "its content was edited after it was written"


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Keep what JSONB gives back unchanged; refuse the rest, so that a hash never depends on how a number prints."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"an audit detail holds {type(value).__name__}: use text, whole numbers, flags, dates and lists")
