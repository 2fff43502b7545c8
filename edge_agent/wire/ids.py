"""Names on the wire: site and terminal codes, journal ids, event ids and card tokens, parsed and built in one place."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
import uuid
from typing import NewType

SiteCode = NewType("SiteCode", str)
TerminalCode = NewType("TerminalCode", str)
JournalId = NewType("JournalId", str)
CardToken = NewType("CardToken", str)

# `(?!\n)`: in Python, unlike ECMA-262, `$` also stands before a last line feed.
CODE_PATTERN = r"^[a-z0-9-]{1,40}(?!\n)$"
JOURNAL_ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?!\n)$"
CARD_TOKEN_PATTERN = r"^[0-9a-f]{32}(?!\n)$"  # noqa: S105 - the shape of a pseudonym, no secret
SEQUENCE_DIGITS = 20
SEQUENCE_PATTERN = r"^[0-9]{20}(?!\n)$"

_CODE = re.compile(CODE_PATTERN)
_SOURCE = re.compile(r"^urn:ccs:([a-z0-9-]{1,40}):([a-z0-9-]{1,40})(?!\n)$")
_SUBJECT = re.compile(r"^card:([0-9a-f]{32})(?!\n)$")


class InvalidCode(ValueError):
    """A site or terminal code is not 1 to 40 characters of a-z, 0-9 and '-'."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{value!r} is not a code: use 1 to 40 characters of a-z, 0-9 and '-'")


def site_code(value: str) -> SiteCode:
    """Check a site code; raise `InvalidCode`."""
    if not _CODE.match(value):
        raise InvalidCode(value)
    return SiteCode(value)


def terminal_code(value: str) -> TerminalCode:
    """Check a terminal code; raise `InvalidCode`."""
    if not _CODE.match(value):
        raise InvalidCode(value)
    return TerminalCode(value)


def new_journal_id() -> JournalId:
    """Make a UUIDv7 (RFC 9562): new for every journal file, so that sequence numbers never repeat."""
    milliseconds = time.time_ns() // 1_000_000  # tidy: wall-clock only makes ids sortable, nothing is decided by it
    value = int.from_bytes(milliseconds.to_bytes(6, "big") + os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return JournalId(str(uuid.UUID(int=value)))


def sequence_text(seq: int) -> str:
    """Write a sequence number as the CloudEvents `sequence` attribute: 20 digits, zero-padded."""
    return f"{seq:020d}"


def event_id(journal_id: str, seq: int) -> str:
    """Build the CloudEvents `id`: `{journalid}-{sequence}`."""
    return f"{journal_id}-{seq:020d}"


def source_urn(site: str, terminal: str) -> str:
    """Build the CloudEvents `source` of a terminal."""
    return f"urn:ccs:{site}:{terminal}"


def parse_source(source: str) -> tuple[SiteCode, TerminalCode] | None:
    """Split a `source` into site and terminal, or None when it is not one of ours."""
    found = _SOURCE.match(source)
    return (SiteCode(found[1]), TerminalCode(found[2])) if found else None


def card_token(system_key: bytes, identity: bytes) -> CardToken:
    """Turn a card's identity into the pseudonym that travels: 16 bytes of HMAC-SHA-256 under the system key."""
    return CardToken(hmac.new(system_key, identity, hashlib.sha256).hexdigest()[:32])


def card_subject(token: str) -> str:
    """Build the CloudEvents `subject` of a tap."""
    return f"card:{token}"


def parse_subject(subject: str | None) -> CardToken | None:
    """Take the card token out of a `subject`, or None when there is none."""
    found = _SUBJECT.match(subject) if subject else None
    return CardToken(found[1]) if found else None
