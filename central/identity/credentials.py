"""Secrets that are shown once and stored as SHA-256: they carry 256 random bits, so a slow hash adds nothing."""

from __future__ import annotations

import hashlib
import secrets

API_TOKEN_PREFIX = "ccs_"  # noqa: S105 - the public part of every token
SECRET_BYTES = 32
SECRET_CHARS_MAX = 100


def new_session_secret() -> str:
    """Make the value of a session cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_api_token() -> str:
    """Make an API token: `ccs_` and 43 characters."""
    return API_TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def new_password() -> str:
    """Make a password that a person can be handed: 20 characters of the URL-safe alphabet."""
    return secrets.token_urlsafe(15)


def secret_hash(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()
