"""The keys that receipts are signed with: made when first needed, put in another's place, withdrawn; and who verifies.

Verifying asks for a key and nothing else: it cannot tell more than whether the receipt is ours.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from central.audit import service as audit
from central.audit.tags import Tag
from central.kit.db import read_session, write_session
from central.kit.errors import Conflict, NotFound
from central.myself import receipts, repository
from central.myself.models import ReceiptKey
from central.myself.receipts import MARK_BYTES, NotAReceipt, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from central.attendance.own_taps import OwnTap
    from central.kit.db import ReadSession, WriteSession
    from central.kit.sealed import Seal

_LOCK = 0x72637074
"""Advisory lock: one process at a time makes the first key."""


class Verdict(StrEnum):
    """What can be said of a text that claims to be a receipt."""

    GENUINE = "genuine"
    NOT_GENUINE = "not_genuine"
    WITHDRAWN = "withdrawn"
    """Its signature is right, and its key became known to somebody else."""


class Verified(NamedTuple):
    """A verdict, with what the text says when it is believed."""

    verdict: Verdict
    receipt: Receipt | None


def receipt_of(engine: Engine, seal: Seal, *, tap: OwnTap, number: str | None, business_no: str, now: datetime) -> str:
    """Sign a receipt of a tap. Raises `NoDataKey`, `NotOurSeal`."""
    key_id, key = _signing(engine, seal, now=now)
    made = Receipt(
        key_id=key_id,
        journal_id=tap.journal_id,
        seq=tap.seq,
        event_hash=tap.hash,
        occurred_at=tap.occurred_at,
        time_error_ms=tap.time_error_ms,
        direction=tap.direction,
        site=tap.site,
        business_no=business_no,
        issued_at=now,
        mark=mark_of(seal, number, tap.journal_id.bytes, tap.seq) if number else bytes(MARK_BYTES),
    )
    return receipts.sign(made, key)


def mark_of(seal: Seal, number: str, journal: bytes, seq: int) -> bytes:
    """Return the mark of a worker's number in the receipt of one record: no two receipts show the same."""
    plain = journal + seq.to_bytes(8, "big") + number.encode()
    return seal.mark(plain, kind="receipt")[:MARK_BYTES]


def verify(session: ReadSession, text_: str) -> Verified:
    """Say whether a text is a receipt of ours."""
    try:
        found = receipts.read(text_)
    except NotAReceipt:
        return Verified(Verdict.NOT_GENUINE, None)
    key = repository.receipt_key(session, found.receipt.key_id)
    if key is None or not receipts.genuine(found, key.public_key):
        return Verified(Verdict.NOT_GENUINE, None)
    if key.withdrawn_at is not None:
        return Verified(Verdict.WITHDRAWN, None)
    return Verified(Verdict.GENUINE, found.receipt)


def belongs(seal: Seal, receipt: Receipt, number: str) -> bool:
    """Whether a genuine receipt is of the worker with this number. Count the tries before asking."""
    return receipt.mark == mark_of(seal, number, receipt.journal_id.bytes, receipt.seq)


def rotate(session: WriteSession, seal: Seal, *, actor: str, now: datetime) -> int:
    """Let a new key sign; the one before verifies from now on, and its private half is destroyed. Return the new id."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    before = repository.signing_key(session)
    if before is not None:
        before.retired_at, before.private_key = now, None
        session.flush()
    return _make(session, seal, actor=actor, now=now).id or 0


def withdraw(session: WriteSession, *, key_id: int, actor: str, now: datetime) -> None:
    """Believe nothing any more that a key signed: it became known to somebody else. Rotate first when it signs now."""
    key = repository.receipt_key(session, key_id)
    if key is None:
        raise NotFound(f"there is no receipt key {key_id}: list them first")
    if key.retired_at is None:
        raise Conflict("this key signs at the moment: put another in its place first, then withdraw it")
    if key.withdrawn_at is not None:
        raise Conflict("this key was withdrawn already")
    key.withdrawn_at = now
    subject = f"receipt_key:{key_id}"
    audit.record(session, actor=actor, tag=Tag.RECEIPT_KEY_WITHDRAW, subject=subject, detail={}, now=now)


def keys(session: ReadSession) -> Sequence[ReceiptKey]:
    """Return every key, newest first: the public halves are for everybody."""
    return repository.receipt_keys(session)


def _signing(engine: Engine, seal: Seal, *, now: datetime) -> tuple[int, Ed25519PrivateKey]:
    with read_session(engine) as session:
        row = repository.signing_key(session)
    if row is None:
        with write_session(engine) as session:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            row = repository.signing_key(session) or _make(session, seal, actor="system:web", now=now)
    private = seal.open(row.private_key or b"", about=_about(row.public_key))
    return row.id or 0, Ed25519PrivateKey.from_private_bytes(private)


def _make(session: WriteSession, seal: Seal, *, actor: str, now: datetime) -> ReceiptKey:
    pair = Ed25519PrivateKey.generate()
    public = pair.public_key().public_bytes_raw()
    row = ReceiptKey(
        public_key=public, private_key=seal.close(pair.private_bytes_raw(), about=_about(public)), made_at=now
    )
    session.add(row)
    session.flush()
    detail = {"public_key": public.hex()}
    audit.record(
        session, actor=actor, tag=Tag.RECEIPT_KEY_CREATE, subject=f"receipt_key:{row.id}", detail=detail, now=now
    )
    return row


def _about(public_key: bytes) -> str:
    return f"receipt:{public_key.hex()}"
