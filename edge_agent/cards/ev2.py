"""AES authentication of DESFire EV2/EV3 and NTAG 424 DNA (AuthenticateEV2First) and AN10922 key diversification.

Pure: bytes in, bytes out. The primitives are those of `cryptography`; what is here is only NXP's arrangement of them.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.cmac import CMAC

from edge_agent.cards.keystore import CardKey

BLOCK = 16
_ZERO_IV = bytes(BLOCK)
_DIVERSIFY_AES128 = b"\x01"
_DIVERSIFIED_BYTES_MIN, _DIVERSIFIED_BYTES_MAX = 17, 32
_SESSION_ENC, _SESSION_MAC = b"\xa5\x5a", b"\x5a\xa5"
_SESSION_LABEL = b"\x00\x01\x00\x80"
_TI_BYTES = 4


@dataclass(frozen=True, slots=True)
class AesKey:
    """A card's key in this process's memory."""

    key: bytes

    def __repr__(self) -> str:
        """Never show the key: it would end in a log."""
        return "AesKey(…)"

    def encrypt(self, data: bytes) -> bytes:
        """AES-CBC with a zero IV, no padding."""
        encryptor = Cipher(AES(self.key), CBC(_ZERO_IV)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def decrypt(self, data: bytes) -> bytes:
        """Undo `encrypt`."""
        decryptor = Cipher(AES(self.key), CBC(_ZERO_IV)).decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def cmac(self, data: bytes) -> bytes:
        """AES-CMAC, 16 bytes."""
        mac = CMAC(AES(self.key))
        mac.update(data)
        return mac.finalize()


class Underivable(ValueError):
    """No key follows from identifiers of these lengths; the message says what to choose."""


def diversify(master: bytes, uid: bytes, application: bytes, system_id: bytes) -> bytes:
    """Derive a card's AES-128 key from a master key as AN10922 says, over UID, application and system identifier.

    Raise `Underivable` when these are under 16 or over 31 bytes together: shorter input is padded differently there.
    """
    data = _DIVERSIFY_AES128 + uid + application + system_id
    if not _DIVERSIFIED_BYTES_MIN <= len(data) <= _DIVERSIFIED_BYTES_MAX:
        raise Underivable(
            f"UID, application and system identifier are {len(data) - 1} bytes together: "
            f"choose a system identifier that makes them 16 to 31"
        )
    return AesKey(master).cmac(data)


@dataclass(frozen=True, slots=True)
class Session:
    """What both sides share after mutual authentication."""

    transaction: bytes
    enc_key: bytes
    mac_key: bytes


class AuthenticationRefused(Exception):
    """The card does not hold the key it should; the message says at which step that showed."""


def rotate(block: bytes) -> bytes:
    """Rotate left by one byte."""
    return block[1:] + block[:1]


def session_keys(key: CardKey, rnd_a: bytes, rnd_b: bytes) -> tuple[bytes, bytes]:
    """Derive the encryption and MAC keys of a session from both random numbers, 16 bytes each."""
    mixed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[:6], strict=True))
    vector = _SESSION_LABEL + rnd_a[:2] + mixed + rnd_b[6:] + rnd_a[8:]
    return key.cmac(_SESSION_ENC + vector), key.cmac(_SESSION_MAC + vector)


def answer_challenge(key: CardKey, encrypted_rnd_b: bytes, rnd_a: bytes) -> tuple[bytes, bytes]:
    """Read the card's challenge; return its RndB and the 32 bytes to send, which prove this side and challenge it."""
    if len(encrypted_rnd_b) != BLOCK:
        raise AuthenticationRefused(f"the card's challenge has {len(encrypted_rnd_b)} bytes instead of {BLOCK}")
    rnd_b = key.decrypt(encrypted_rnd_b)
    return rnd_b, key.encrypt(rnd_a + rotate(rnd_b))


def check_proof(key: CardKey, proof: bytes, rnd_a: bytes, rnd_b: bytes) -> Session:
    """Check that the card knew our RndA, which only its key could tell it; raise `AuthenticationRefused`."""
    if len(proof) != 2 * BLOCK:
        raise AuthenticationRefused(f"the card's proof has {len(proof)} bytes instead of {2 * BLOCK}")
    plain = key.decrypt(proof)
    transaction, rotated = plain[:_TI_BYTES], plain[_TI_BYTES : _TI_BYTES + BLOCK]
    if not hmac.compare_digest(rotated, rotate(rnd_a)):
        raise AuthenticationRefused("the card's proof does not answer our challenge: it holds another key")
    enc_key, mac_key = session_keys(key, rnd_a, rnd_b)
    return Session(transaction, enc_key, mac_key)
