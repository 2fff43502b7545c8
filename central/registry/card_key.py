"""The system key under which card identities become tokens. Raw identities are never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.kit.config import BadSetting

if TYPE_CHECKING:
    from pathlib import Path

CARD_KEY_BYTES = 32


def load_card_key(path: Path | None) -> bytes | None:
    """Read the key: 64 hex characters. None when none is set; raise `BadSetting` when the file cannot be used."""
    if path is None:
        return None
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise BadSetting(
            f"CCS_CARD_KEY_FILE {path} cannot be read ({error.strerror}): check its path and rights"
        ) from error
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != CARD_KEY_BYTES:
        raise BadSetting(
            f"CCS_CARD_KEY_FILE {path} is not {CARD_KEY_BYTES} bytes in hex: make one with ccs-central keys create"
        )
    return key
