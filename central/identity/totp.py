"""One-time codes of an authenticator app: RFC 6238 with SHA-1, six digits, 30 seconds. Pure."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

if TYPE_CHECKING:
    from datetime import datetime

SECRET_BYTES = 20
STEP_S = 30
DIGITS = 6
STEPS_ASIDE = 1
"""A phone's clock may be so many steps off, either way."""


def step_at(now: datetime) -> int:
    """Return the number of the 30-second step."""
    return int(now.timestamp()) // STEP_S


def code_of(secret: bytes, step: int) -> str:
    """Return the six digits of a step."""
    return HOTP(secret, DIGITS, SHA1(), enforce_key_length=False).generate(step).decode()  # noqa: S303 - what every app computes


def step_of_code(secret: bytes, code: str, *, now: datetime, after: int) -> int | None:
    """Return the step that `code` is of; None when it is wrong, too old, or of a step not later than `after`.

    `after` is the newest step taken before, so that a code is good once.
    """
    middle = step_at(now)
    found: int | None = None
    for step in range(middle - STEPS_ASIDE, middle + STEPS_ASIDE + 1):
        if hmac.compare_digest(code_of(secret, step).encode(), code.encode()) and step > after:
            found = step
    return found


def written(secret: bytes) -> str:
    """Write a secret as apps take it by hand: base32."""
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, *, account: str, issuer: str) -> str:
    """Return the `otpauth://` address that apps read from a QR code."""
    query = urlencode({"secret": written(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_S})
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{query}"
