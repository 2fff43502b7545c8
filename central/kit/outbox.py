"""What leaves: a row written in the transaction that wants it sent, named before it is sent, relayed until it went.

A body may hold a one-time link, so it is sealed while it waits. Body and recipient are emptied when it went or is given
up: what is erased of a person elsewhere stays nowhere here.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel, col, delete, update

from central.kit.db import write_session
from central.kit.models import instant
from central.kit.sealed import NoDataKey, NotOurSeal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

    from central.kit.db import WriteSession
    from central.kit.sealed import Seal

LEASE = timedelta(minutes=2)
RETRY_MIN = timedelta(seconds=30)
RETRY_MAX = timedelta(hours=1)
ATTEMPTS_MAX = 12
AT_ONCE_MAX = 20
ERROR_CHARS_MAX = 300
BODY_BYTES_MAX = 20_000
GONE_KEPT = timedelta(days=90)


class Outgoing(SQLModel, table=True):
    """One message to the outside. Sent: `sent_at`; given up: `failed_at`; else due again at `due_at`."""

    __tablename__ = "kit_outgoing"
    id: str = Field(primary_key=True, max_length=36)
    """A UUID, the same at every attempt: the other side can tell a repetition."""
    channel: str = Field(max_length=20)
    recipient: str = Field(max_length=200)
    subject: str = Field(max_length=200)
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = instant()
    due_at: datetime = instant()
    useless_at: datetime | None = instant(nullable=True)
    """From when it is not sent any more: its link is over."""
    attempts: int = Field(default=0)
    sent_at: datetime | None = instant(nullable=True)
    failed_at: datetime | None = instant(nullable=True)
    error: str = Field(default="", max_length=ERROR_CHARS_MAX)
    __table_args__ = (
        Index("ix_kit_outgoing_due", "due_at", postgresql_where=text("sent_at IS NULL AND failed_at IS NULL")),
    )


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel sends. `id` is a UUID that stays the same over repetitions."""

    id: str
    recipient: str
    subject: str
    body: str


class SendRefused(Exception):
    """The other side will not take this message, now or later."""


class SendDelayed(Exception):
    """It did not go, or nobody knows whether it went: try the same message again later."""


def send_later(
    session: WriteSession,
    seal: Seal,
    *,
    channel: str,
    recipient: str,
    subject: str,
    body: str,
    now: datetime,
    useless_at: datetime | None = None,
) -> str:
    """Add a message to the transaction; return its name. Raises `NoDataKey`."""
    plain = body.encode()
    if len(plain) > BODY_BYTES_MAX:
        raise ValueError(f"a message has {len(plain)} bytes: {BODY_BYTES_MAX} at most")
    name = str(uuid.uuid4())
    session.add(
        Outgoing(
            id=name,
            channel=channel,
            recipient=recipient,
            subject=subject,
            body=seal.close(plain, about=f"outgoing:{name}"),
            created_at=now,
            due_at=now,
            useless_at=useless_at,
        )
    )
    return name


def retry_after(attempts: int) -> timedelta:
    """How long to wait after the `attempts`-th failure: doubling from half a minute to an hour."""
    doublings: int = min(attempts - 1, 20)
    return min(RETRY_MIN * (1 << doublings), RETRY_MAX)


def relay(
    engine: Engine, seal: Seal, *, channel: str, send: Callable[[Message], None], now: datetime
) -> dict[str, int]:
    """Send what is due, up to `AT_ONCE_MAX`; return how many went, wait, and were given up.

    A row is leased for two minutes before it is sent: whoever dies meanwhile leaves it to the next. Blocks.
    """
    with write_session(engine) as session:
        rows = _lease(session, channel=channel, now=now)
    count = {"sent": 0, "delayed": 0, "given_up": 0}
    for row in rows:
        outcome, error = _try(row, seal, send, now=now)
        with write_session(engine) as session:
            _note(session, row, outcome=outcome, error=error, now=now)
        count[outcome] += 1
    return {name: number for name, number in count.items() if number}


def _lease(session: WriteSession, *, channel: str, now: datetime) -> Sequence[Outgoing]:
    taken = session.execute(
        text("""
        UPDATE kit_outgoing SET due_at = :until, attempts = attempts + 1 WHERE id IN (
            SELECT id FROM kit_outgoing
            WHERE channel = :channel AND due_at <= :now AND sent_at IS NULL AND failed_at IS NULL
            ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED)
        RETURNING id"""),
        {"until": now + LEASE, "now": now, "channel": channel, "most": AT_ONCE_MAX},
    )
    return [session.get_one(Outgoing, row.id) for row in taken.all()]


def _try(row: Outgoing, seal: Seal, send: Callable[[Message], None], *, now: datetime) -> tuple[str, str]:
    if row.useless_at is not None and row.useless_at <= now:
        return "given_up", "it was over before it could be sent"
    try:
        body = seal.open(row.body, about=f"outgoing:{row.id}").decode()
        send(Message(row.id, row.recipient, row.subject, body))
    except SendRefused as refusal:
        return "given_up", str(refusal)
    except (SendDelayed, NoDataKey, NotOurSeal) as delay:
        return ("given_up" if row.attempts >= ATTEMPTS_MAX else "delayed"), str(delay)
    return "sent", ""


def _note(session: WriteSession, row: Outgoing, *, outcome: str, error: str, now: datetime) -> None:
    values: dict[str, object] = {"error": error[:ERROR_CHARS_MAX]}
    if outcome == "sent":
        values |= {"sent_at": now, "recipient": "", "body": b""}
    elif outcome == "given_up":
        values |= {"failed_at": now, "recipient": "", "body": b""}
    else:
        values |= {"due_at": now + retry_after(row.attempts)}
    session.exec(update(Outgoing).where(col(Outgoing.id) == row.id).values(**values))


def prune_outgoing(session: WriteSession, *, now: datetime) -> int:
    """Delete what went or was given up long ago; return how many."""
    over = col(Outgoing.created_at) < now - GONE_KEPT
    ended = col(Outgoing.sent_at).is_not(None) | col(Outgoing.failed_at).is_not(None)
    return session.exec(delete(Outgoing).where(over, ended)).rowcount
