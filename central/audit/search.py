"""Searching the audit trail: who did what, when, and whose data it touched. Newest first, along an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, BigInteger, cast, func, tuple_
from sqlmodel import col, select

from central.audit.models import AuditEvent
from central.audit.tags import Tag
from central.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel.sql.expression import SelectOfScalar

    from central.kit.db import ReadSession

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR_CHARS_MAX = 36
"""Digits that no instant and no id outgrows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act, as it stands in the trail."""

    id: int
    at: datetime
    actor: str
    tag: str
    subject: str
    detail: dict[str, Any]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None and empty texts ask for nothing."""

    actors: Sequence[str] | None = None
    """`user:3`, `token:5`, `system:cli`; an empty list finds nobody's acts."""
    what: str = ""
    """A tag, or the part before its colon for everything done to that kind."""
    subject: str = ""
    """The whole subject, like `site:7`, or its beginning with `*` behind it."""
    workers: Sequence[int] | None = None
    """Whose data: acts that name one of these workers as their subject, in their facts or among those shown."""
    from_at: datetime | None = None
    until_at: datetime | None = None
    """Exclusive."""


def query_of(wanted: Wanted) -> SelectOfScalar[AuditEvent]:
    """Write the query for what is wanted, in no order yet. Raises `Invalid` for a tag that nothing can have."""
    query = select(AuditEvent)
    if wanted.actors is not None:
        query = query.where(col(AuditEvent.actor).in_(wanted.actors))
    if wanted.what:
        query = query.where(col(AuditEvent.tag).in_(tags_of(wanted.what)))
    if wanted.subject.endswith("*"):
        query = query.where(col(AuditEvent.subject).startswith(wanted.subject[:-1], autoescape=True))
    elif wanted.subject:
        query = query.where(AuditEvent.subject == wanted.subject)
    if wanted.workers is not None:
        touched = func.ccs_audit_workers(AuditEvent.subject, AuditEvent.detail, type_=ARRAY(BigInteger))
        query = query.where(touched.op("&&")(cast(list(wanted.workers), ARRAY(BigInteger))))
    if wanted.from_at is not None:
        query = query.where(col(AuditEvent.at) >= wanted.from_at)
    if wanted.until_at is not None:
        query = query.where(col(AuditEvent.at) < wanted.until_at)
    return query


def tags_of(what: str) -> list[str]:
    """Return the tags that `what` names: itself, or all of one kind."""
    found = [tag.value for tag in Tag if what in {tag.value, tag.value.partition(":")[0]}]
    if not found:
        raise Invalid(f"{what!r} is no act that is recorded: choose one of the list", field="what")
    return found


def kinds() -> dict[str, list[str]]:
    """List every tag by its kind, for a choice."""
    listed: dict[str, list[str]] = {}
    for tag in Tag:
        listed.setdefault(tag.value.partition(":")[0], []).append(tag.value)
    return listed


def newest_first(query: SelectOfScalar[AuditEvent], *, after: str, rows_max: int) -> SelectOfScalar[AuditEvent]:
    """Cut a query to a page and one row more, newest first; `after` is what `place_of` said of the last row shown."""
    if after:
        at_us, _, row_id = after.partition(".")
        if not (at_us.isdecimal() and row_id.isdecimal() and len(after) <= CURSOR_CHARS_MAX):
            raise Invalid("This page of the list is not one that was offered. Open the list again.")
        at = EPOCH + timedelta(microseconds=int(at_us))
        query = query.where(tuple_(col(AuditEvent.at), col(AuditEvent.id)) < tuple_(at, int(row_id)))
    return query.order_by(col(AuditEvent.at).desc(), col(AuditEvent.id).desc()).limit(rows_max + 1)


def find(session: ReadSession, wanted: Wanted, *, after: str = "", rows_max: int) -> list[Entry]:
    """Find acts, newest first: a page of them and one more, which says that others follow."""
    rows = session.exec(newest_first(query_of(wanted), after=after, rows_max=rows_max)).all()
    return [Entry(row.id or 0, row.at, row.actor, row.tag, row.subject, row.detail, row.hash) for row in rows]


def place_of(row: Entry) -> str:
    """Name a row as the last one of a page."""
    return f"{(row.at - EPOCH) // timedelta(microseconds=1)}.{row.id}"
