"""A receipt of a tap: a statement that fits into a QR code, signed with Ed25519. Pure: bytes in, bytes out.

It says where, when, which way and for whom (the employer's business number), which record of which terminal proves it,
and a mark by which whoever knows the worker's number can tell whose it is. No name is in it. docs/workers.md has the
layout, so that anyone may check a receipt with a key of ours and a program of their own.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VERSION = 1
CONTEXT = b"ccs receipt 1\0"
"""Signed before the statement, so that no other signature of ours can be taken for a receipt's."""
MARK_BYTES = 16
SIGNATURE_BYTES = 64
SITE_BYTES_MAX = 40
TEXT_CHARS_MAX = 600
DIRECTIONS = ("in", "out", "tap", "muster")
_UNKNOWN_ERROR = 2**32 - 1
_FIXED = struct.Struct(">BI16sQ32sqIBQq16s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotAReceipt(ValueError):
    """The text is none, or a part of one."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says."""

    key_id: int
    journal_id: UUID
    seq: int
    event_hash: bytes
    """SHA-256 of the terminal's own record, 32 bytes."""
    occurred_at: datetime
    time_error_ms: int | None
    direction: str
    site: str
    """The site's code."""
    business_no: str
    """The employer's, ten digits; empty where none is on record."""
    issued_at: datetime
    mark: bytes
    """16 bytes of HMAC of the worker's number and the record: another mark on every receipt. Zero: no number."""


class Read(NamedTuple):
    """A receipt that was read, not yet believed."""

    receipt: Receipt
    signed: bytes
    signature: bytes


def statement(receipt: Receipt) -> bytes:
    """Write what is signed, after `CONTEXT`."""
    site = receipt.site.encode()
    if len(site) > SITE_BYTES_MAX:
        raise ValueError(f"the site's code has {len(site)} bytes: {SITE_BYTES_MAX} at most")
    fixed = _FIXED.pack(
        VERSION,
        receipt.key_id,
        receipt.journal_id.bytes,
        receipt.seq,
        receipt.event_hash,
        _ms(receipt.occurred_at),
        _UNKNOWN_ERROR if receipt.time_error_ms is None else min(receipt.time_error_ms, _UNKNOWN_ERROR - 1),
        DIRECTIONS.index(receipt.direction),
        int(receipt.business_no or 0),
        _ms(receipt.issued_at),
        receipt.mark,
    )
    return fixed + site


def sign(receipt: Receipt, key: Ed25519PrivateKey) -> str:
    """Return the text that goes into the QR code."""
    said = statement(receipt)
    return base64.urlsafe_b64encode(said + key.sign(CONTEXT + said)).rstrip(b"=").decode()


def read(text: str) -> Read:
    """Read a receipt without believing it: `genuine` says whether to. Raises `NotAReceipt`."""
    if len(text) > TEXT_CHARS_MAX or not text.isascii():
        raise NotAReceipt("it is too long, or holds other marks than a receipt")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAReceipt("it is not written like a receipt") from error
    signed, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text or len(signed) <= _FIXED.size:
        raise NotAReceipt("it is not written like a receipt")
    version, key_id, journal, seq, digest, at, error_ms, way, business, issued, mark = _FIXED.unpack_from(signed)
    try:
        site = signed[_FIXED.size :].decode("ascii")
        times = _at(at), _at(issued)
        direction = DIRECTIONS[way]
    except (UnicodeDecodeError, OverflowError, IndexError) as error:
        raise NotAReceipt("it says what no receipt says") from error
    if version != VERSION:
        raise NotAReceipt("it is of another version")
    receipt = Receipt(
        key_id=key_id,
        journal_id=UUID(bytes=journal),
        seq=seq,
        event_hash=digest,
        occurred_at=times[0],
        time_error_ms=None if error_ms == _UNKNOWN_ERROR else error_ms,
        direction=direction,
        site=site,
        business_no=f"{business:010d}" if business else "",
        issued_at=times[1],
        mark=mark,
    )
    return Read(receipt, signed, signature)


def genuine(found: Read, public_key: bytes) -> bool:
    """Whether the key's owner signed exactly this."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(found.signature, CONTEXT + found.signed)
    except InvalidSignature:
        return False
    return True


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _at(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
