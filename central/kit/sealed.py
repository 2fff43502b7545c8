"""Secrets and personal numbers at rest: AES-256-GCM under the installation's data key, bound to what they belong to.

A sealed value is one version byte, 12 random bytes, then ciphertext and tag. It opens only with the same `about`, so a
value copied to another row or column does not open there.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central.kit.config import BadSetting
from central.kit.errors import AppError

if TYPE_CHECKING:
    from pathlib import Path

DATA_KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class NoDataKey(AppError):
    """Something is to be sealed and this installation has no key for it."""

    status = 503
    code = "no_data_key"


class NotOurSeal(AppError):
    """A sealed value does not open: another key, another row, or changed bytes."""

    status = 500
    code = "not_our_seal"


class Seal:
    """Seals and opens. Without a key it does neither, and says so."""

    def __init__(self, key: bytes | None) -> None:
        if key is not None and len(key) != DATA_KEY_BYTES:
            raise ValueError(f"the data key has {len(key)} bytes: expected {DATA_KEY_BYTES}")
        self._cipher = AESGCM(key) if key is not None else None
        self._mark_key = hmac.digest(key, b"ccs mark", hashlib.sha256) if key is not None else b""

    @property
    def ready(self) -> bool:
        """Whether there is a key."""
        return self._cipher is not None

    def close(self, plain: bytes, *, about: str) -> bytes:
        """Seal `plain` for one place, e.g. `totp:17`. Raises `NoDataKey`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._ready().encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Open what was sealed for the same place. Raises `NoDataKey`, `NotOurSeal`."""
        cipher = self._ready()
        if sealed[:1] != _VERSION:
            raise NotOurSeal(f"what is kept for {about} was sealed by another release: update this one")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, body, about.encode())
        except InvalidTag as error:
            message = (
                f"what is kept for {about} does not open: check that CCS_DATA_KEY_FILE is the key it was made with"
            )
            raise NotOurSeal(message) from error

    def mark(self, plain: bytes, *, kind: str) -> bytes:
        """Return a mark by which the same value of a kind is found again without opening any. Raises `NoDataKey`."""
        self._ready()
        return hmac.digest(self._mark_key, kind.encode() + b"\0" + plain, hashlib.sha256)

    def _ready(self) -> AESGCM:
        if self._cipher is None:
            raise NoDataKey("this installation has no data key: ask a system operator to set CCS_DATA_KEY_FILE")
        return self._cipher


def load_data_key(path: Path | None) -> bytes | None:
    """Read the key: 64 hex characters. None when none is set; raise `BadSetting` when the file cannot be used."""
    if path is None:
        return None
    try:
        text = path.read_text().strip()
    except OSError as error:
        message = f"CCS_DATA_KEY_FILE {path} cannot be read ({error.strerror}): check its path and rights"
        raise BadSetting(message) from error
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != DATA_KEY_BYTES:
        message = (
            f"CCS_DATA_KEY_FILE {path} is not {DATA_KEY_BYTES} bytes in hex: make one with ccs-central keys create"
        )
        raise BadSetting(message)
    return key
