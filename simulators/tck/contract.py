"""The wire contract, read afresh from its documents: names, limits, hashes, tokens, signatures.

Nothing here comes from the product's code, on purpose: where the two readings differ, the kit finds it. Shared are
only the published JSON Schemas (`schema.py`) and `docs/write-your-own-terminal.md`, of which this is a second reading.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ROOT = "ccs/v1"
CENTRAL_STATE = f"{ROOT}/central/state"
ZEROS = "0" * 64
EVENTS_A_BATCH_MAX = 64
BATCH_BYTES_MAX = 131_072
EVENT_BYTES_MAX = 16_384
BATCH_TYPE = "application/cloudevents-batch+json"
HEARTBEAT_S = 15.0
REPEAT_S = 60.0
SPOKEN = ("events", "live", "birth", "state", "heartbeat", "reply")
"""Kinds of topics that a terminal speaks on."""
HEARD = ("ack", "command")
"""Kinds of topics that it listens to, besides the site's and central's."""


class NotABatch(ValueError):
    """A payload is no JSON array of events."""


def topic(site: str, terminal: str, kind: str) -> str:
    """Name a terminal's topic."""
    return f"{ROOT}/{site}/{terminal}/{kind}"


def source(site: str, terminal: str) -> str:
    """Name a terminal as the `source` of its events."""
    return f"urn:ccs:{site}:{terminal}"


def hash_of(raw: bytes) -> str:
    """Hash an event's own bytes: SHA-256, lower-case hex."""
    return hashlib.sha256(raw).hexdigest()


def token_of(key: bytes, identity: bytes) -> str:
    """Turn a card's identity into its token: the first 32 hex digits of HMAC-SHA256 under the system key."""
    return hmac.new(key, identity, hashlib.sha256).hexdigest()[:32]


def split_batch(payload: bytes) -> list[bytes]:
    """Cut a batch into its events' own bytes, as they stand; raise `NotABatch`."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as exc:
        raise NotABatch(f"it is not UTF-8 ({exc.reason} at byte {exc.start})") from exc
    decoder, events = json.JSONDecoder(), []
    at = _past_space(text, 0)
    if text[at : at + 1] != "[":
        raise NotABatch(f"it begins with {text[:20]!r}, expected '['")
    at = _past_space(text, at + 1)
    try:
        while text[at : at + 1] != "]":
            _, end = decoder.raw_decode(text, at)
            events.append(text[at:end].encode())
            at = _past_space(text, end)
            if text[at : at + 1] == ",":
                at = _past_space(text, at + 1)
            elif text[at : at + 1] != "]":
                raise NotABatch(f"neither ',' nor ']' behind event {len(events)}")
    except ValueError as exc:
        raise NotABatch(f"event {len(events) + 1} is not JSON: {exc}") from exc
    if text[at + 1 :].strip():
        raise NotABatch("something follows the closing ']'")
    return events


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in " \t\r\n":
        at += 1
    return at


def join_batch(events: Iterable[bytes]) -> bytes:
    """Put events into one batch without touching their bytes."""
    return b"[" + b",".join(events) + b"]"


def time_text(at: datetime) -> str:
    """Write an instant as RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """Read an RFC 3339 instant; raise `ValueError` when it is none or names no zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        message = f"{text!r} names no time zone"
        raise ValueError(message)
    return found


def ranges_of(numbers: Iterable[int]) -> list[list[int]]:
    """Fold numbers into ranges, both ends included."""
    folded: list[list[int]] = []
    for number in sorted(set(numbers)):
        if folded and number == folded[-1][1] + 1:
            folded[-1][1] = number
        else:
            folded.append([number, number])
    return folded


@dataclass(frozen=True)
class Voice:
    """Central's signing key and its name."""

    key: Ed25519PrivateKey
    name: str = "tck"

    def sign(self, body: dict[str, Any]) -> bytes:
        """Wrap a body in a signed envelope."""
        text = json.dumps(body, ensure_ascii=False)
        signature = base64.b64encode(self.key.sign(text.encode())).decode()
        return json.dumps({"body": text, "key": self.name, "sig": signature}, ensure_ascii=False).encode()


def open_signed(payload: bytes, key: Ed25519PublicKey | None) -> dict[str, Any]:
    """Open a signed envelope; without a key the signature is not checked. Raise `ValueError` with what is wrong."""
    from cryptography.exceptions import InvalidSignature

    envelope = json.loads(payload)
    body = envelope["body"]
    if key is not None:
        try:
            key.verify(base64.b64decode(envelope["sig"], validate=True), body.encode())
        except InvalidSignature as exc:
            message = f"the signature under key {envelope['key']!r} does not verify"
            raise ValueError(message) from exc
    return dict(json.loads(body))
