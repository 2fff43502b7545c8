"""The keys behind authenticated cards, as a port: a file for development, a SAM, TPM or PKCS#11 token in the field.

The port gives operations under a card's own key and never the key, so that a store may keep it in hardware.
"""

from __future__ import annotations

from typing import Protocol


class CardKey(Protocol):
    """AES-128 under one card's diversified key."""

    def encrypt(self, data: bytes) -> bytes:
        """AES-CBC with a zero IV, no padding; `data` is a multiple of 16 bytes."""
        ...

    def decrypt(self, data: bytes) -> bytes:
        """Undo `encrypt`."""
        ...

    def cmac(self, data: bytes) -> bytes:
        """AES-CMAC (RFC 4493), 16 bytes."""
        ...


class KeyStore(Protocol):
    """Where the keys of this site's cards come from."""

    @property
    def application(self) -> bytes:
        """What to select before authenticating: 3 bytes (DESFire AID, as sent) or an ISO DF name of 5 to 16."""
        ...

    @property
    def key_number(self) -> int:
        """The application's key that the card is asked to prove, 0 to 13."""
        ...

    @property
    def current_version(self) -> int:
        """The version that cards are given now, tried on cards that do not tell theirs."""
        ...

    def card_key(self, uid: bytes, key_version: int) -> CardKey:
        """The key of the card with this UID; raise `UnknownKeyVersion`, or `Underivable` for a UID of another size."""
        ...


class UnknownKeyVersion(LookupError):
    """The card says it holds a key version that this store has no master key for."""

    def __init__(self, key_version: int) -> None:
        super().__init__(f"no master key of version {key_version} in this terminal's key store")
        self.key_version = key_version
