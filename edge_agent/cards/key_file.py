"""A key store in a file, for development and sites without a SAM: TOML, readable by its owner only.

application = "f58110"      # what to select: DESFire AID as sent, or an ISO DF name, hex
key_number = 1
system_id = "…"             # AN10922's system identifier, hex; 6 bytes or more
[[master_key]]
version = 2
key = "…"                   # 32 hex digits
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Annotated

import msgspec

from edge_agent.cards.ev2 import AesKey, Underivable, diversify
from edge_agent.cards.keystore import UnknownKeyVersion
from edge_agent.config import read_named

CARD_UID_BYTES = 7
"""Of every card that can prove itself (DESFire, NTAG 424 DNA)."""
_FILE_BYTES_MAX = 64 * 1024


class KeyFileUnusable(RuntimeError):
    """The key file was looked at and cannot be used; the message names the file and what to do."""


class _MasterKey(msgspec.Struct, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=0, le=255)]
    key: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{32}$")]


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    application: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-fA-F]{2}){3}(([0-9a-fA-F]{2}){2,13})?$")]
    key_number: Annotated[int, msgspec.Meta(ge=0, le=13)]
    system_id: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-fA-F]{2}){6,21}$")]
    master_key: Annotated[list[_MasterKey], msgspec.Meta(min_length=1, max_length=256)]


class FileKeyStore:
    """Master keys in this process's memory; each card's own key is derived from its UID.

    Raises `KeyFileUnusable`, or `FileUnreadable` when trying again may help.
    """

    def __init__(self, path: Path) -> None:
        contents = _load(path)
        self.application = bytes.fromhex(contents.application)
        self.key_number = contents.key_number
        self.current_version = max(master.version for master in contents.master_key)
        self._system_id = bytes.fromhex(contents.system_id)
        self._masters = {master.version: bytes.fromhex(master.key) for master in contents.master_key}

    def card_key(self, uid: bytes, key_version: int) -> AesKey:
        """The key of the card with this UID; raise `UnknownKeyVersion`, or `Underivable` for a UID of another size."""
        master = self._masters.get(key_version)
        if master is None:
            raise UnknownKeyVersion(key_version)
        return AesKey(diversify(master, uid, self.application, self._system_id))


def _load(path: Path) -> _KeyFile:
    text = read_named(path, "keys.site_keys_file")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileUnusable(f"key file {path} can be read by others: chmod 600 {path}")
    if len(text) > _FILE_BYTES_MAX:
        raise KeyFileUnusable(f"key file {path} is over {_FILE_BYTES_MAX} bytes: it is something else")
    try:
        found = msgspec.toml.decode(text, type=_KeyFile)
        for master in found.master_key:  # now rather than at the first card
            diversify(
                bytes.fromhex(master.key),
                bytes(CARD_UID_BYTES),
                bytes.fromhex(found.application),
                bytes.fromhex(found.system_id),
            )
    except (msgspec.MsgspecError, Underivable) as exc:
        raise KeyFileUnusable(f"key file {path}: {exc}") from exc
    return found
