"""Bytes to messages and back: event batches, hashes, signatures. An event is encoded once and never again."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature

from edge_agent.wire.ids import card_subject, event_id, sequence_text, source_urn
from edge_agent.wire.messages import Event, Signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

GENESIS_HASH = "0" * 64
"""`prevhash` of the first event of a journal."""

_encoder = msgspec.json.Encoder()
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_event = msgspec.json.Decoder(Event)
_signed = msgspec.json.Decoder(Signed)

T = TypeVar("T")


class BadSignature(ValueError):
    """A signed message does not verify under the key this terminal trusts."""


def encode(message: msgspec.Struct) -> bytes:
    """Encode one message (not an event) to JSON."""
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[T]) -> T:
    """Decode and validate one message; raise `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(payload, type=kind)


def event_hash(event_bytes: bytes) -> str:
    """Hash an event: SHA-256 of its bytes, hex."""
    return hashlib.sha256(event_bytes).hexdigest()


def time_text(instant: datetime) -> str:
    """Write an instant as RFC 3339 UTC with milliseconds."""
    # Milliseconds are cut off, not rounded. A tap waits for this: msgspec writes it ten times as fast as isoformat, but
    # leaves out a fraction that is zero.
    if instant.tzinfo is UTC and instant.microsecond:
        return _encoder.encode(instant)[1:24].decode() + "Z"
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def encode_event(  # noqa: PLR0913 - these are the attributes of the contract
    *,
    type_: str,
    site: str,
    terminal: str,
    journal_id: str,
    seq: int,
    at: datetime,
    boot_id: str,
    boottime_ns: int,
    clock_state: str,
    clock_error_ms: int,
    clock_epoch: int,
    prev_hash: str,
    data: Any,  # noqa: ANN401 - any JSON value or msgspec Struct
    token: str | None = None,
) -> bytes:
    """Serialise an event, once. These bytes are journalled, sent, hashed and archived."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "type": type_,
        "source": source_urn(site, terminal),
        "id": event_id(journal_id, seq),
        "sequence": sequence_text(seq),
        "time": time_text(at),
    }
    if token is not None:
        event["subject"] = card_subject(token)
    event |= {
        "datacontenttype": "application/json",
        "journalid": journal_id,
        "bootid": boot_id,
        "boottimens": str(boottime_ns),
        "clockstate": clock_state,
        "clockerrms": clock_error_ms,
        "clockepoch": clock_epoch,
        "prevhash": prev_hash,
        "data": data,
    }
    return _encoder.encode(event)


def decode_event(event_bytes: bytes | msgspec.Raw) -> Event:
    """Decode and validate one event; raise `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return _event.decode(event_bytes)


def join_batch(events: Iterable[bytes]) -> bytes:
    """Put events into one batch without touching their bytes."""
    return b"[" + b",".join(events) + b"]"


def split_batch(payload: bytes) -> list[bytes]:
    """Take a batch apart into each event's own bytes; raise `msgspec.DecodeError` when it is not a JSON array."""
    return [bytes(raw) for raw in _raw_list.decode(payload)]


def sign(body: msgspec.Struct, *, key: Ed25519PrivateKey, key_id: str) -> bytes:
    """Wrap `body` in a signed envelope."""
    text = _encoder.encode(body)
    signature = base64.b64encode(key.sign(text)).decode()
    return _encoder.encode(Signed(body=text.decode(), key=key_id, sig=signature))


def open_signed(payload: bytes, kind: type[T], *, key: Ed25519PublicKey) -> T:
    """Check the signature of an envelope and decode its body; raise `BadSignature` or a msgspec error."""
    envelope = _signed.decode(payload)
    body = envelope.body.encode()
    try:
        key.verify(base64.b64decode(envelope.sig, validate=True), body)
    except (InvalidSignature, ValueError) as exc:
        message = f"the signature under key {envelope.key!r} does not verify"
        raise BadSignature(message) from exc
    return msgspec.json.decode(body, type=kind)
