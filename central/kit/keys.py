"""An installation's key files: the card key, the data key, and the pair under which central signs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from central.kit.errors import Conflict
from central.kit.sealed import DATA_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CARD_KEY_FILE = "card.key"
DATA_KEY_FILE = "data.key"
SIGNING_KEY_FILE = "signing.pem"
PUBLIC_KEY_FILE = "central-public.pem"
CARD_KEY_BYTES = 32
_OWNER_ONLY = 0o600
_ALL_READ = 0o644


class KeyThere(Conflict):
    """A key file exists; replacing it would orphan every card token or terminal."""

    code = "key_there"


def write_keys(folder: Path, *, random: Callable[[int], bytes]) -> list[Path]:
    """Write card key and data key (64 hex characters each) and an Ed25519 pair (PEM); return paths, or `KeyThere`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    signing = Ed25519PrivateKey.generate()
    private = signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = {
        CARD_KEY_FILE: (random(CARD_KEY_BYTES).hex().encode() + b"\n", _OWNER_ONLY),
        SIGNING_KEY_FILE: (private, _OWNER_ONLY),
        PUBLIC_KEY_FILE: (public, _ALL_READ),
        DATA_KEY_FILE: (random(DATA_KEY_BYTES).hex().encode() + b"\n", _OWNER_ONLY),
    }
    there = [name for name in content if (folder / name).exists()]
    if there:
        raise KeyThere(f"{folder} already holds {', '.join(there)}: choose another folder, or move them away first")
    return [_write(folder / name, data, mode) for name, (data, mode) in content.items()]


def _write(path: Path, data: bytes, mode: int) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return path
