"""The key files of an examination: the card key, and central's signing pair. Made when they are not there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

if TYPE_CHECKING:
    from pathlib import Path

CARD_KEY_BYTES = 32


class KeysUnusable(ValueError):
    """A key file cannot be used; the message names it."""


@dataclass(frozen=True)
class KitKeys:
    """What an examination signs and makes tokens with."""

    folder: Path
    card: bytes
    signing: Ed25519PrivateKey


def load_keys(folder: Path) -> KitKeys:
    """Read the key files, or make them; raise `KeysUnusable` or `OSError`."""
    card, signing, public = folder / "card.key", folder / "signing.pem", folder / "central-public.pem"
    if not card.exists() and not signing.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pair = Ed25519PrivateKey.generate()
        _write(card, secrets.token_hex(CARD_KEY_BYTES).encode())
        _write(signing, pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _write(public, pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return KitKeys(folder, load_card_key(card), _load_signing(signing))


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def load_card_key(path: Path) -> bytes:
    """Read a system key: 32 bytes as hex; raise `KeysUnusable` or `OSError`."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError as exc:
        raise KeysUnusable(f"{path} is not hex: expected {CARD_KEY_BYTES} bytes as hex digits") from exc
    if len(key) != CARD_KEY_BYTES:
        raise KeysUnusable(f"{path} has {len(key)} bytes: expected {CARD_KEY_BYTES} as hex digits")
    return key


def _load_signing(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as exc:
        raise KeysUnusable(f"{path} is no unencrypted PEM private key: {exc}") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysUnusable(f"{path} holds a {type(key).__name__}: expected an Ed25519 key")
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """Read central's public key; raise `KeysUnusable` or `OSError`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError as exc:
        raise KeysUnusable(f"{path} is no PEM public key: {exc}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise KeysUnusable(f"{path} holds a {type(key).__name__}: expected an Ed25519 key")
    return key
