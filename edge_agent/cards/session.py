"""What to say to a card and what its answers mean, as a conversation without input or output of its own.

A conversation is a generator: it yields a command APDU, is sent the response with its status word, and returns what the
card turned out to be. Any driver that can exchange APDUs can hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from edge_agent.cards.ev2 import BLOCK, AuthenticationRefused, Underivable, answer_challenge, check_proof
from edge_agent.cards.keystore import KeyStore, UnknownKeyVersion
from edge_agent.wire.messages import Credential

GET_UID = bytes.fromhex("FFCA000000")
EXCHANGES_MAX = 12
"""More than any conversation here needs: a card that keeps asking for more is not going to keep the gate."""

_OK, _DESFIRE_OK, _DESFIRE_MORE = b"\x90\x00", b"\x91\x00", b"\x91\xaf"
_AID_BYTES = 3
_UID_LENGTHS = (4, 7, 8, 10)
_RANDOM_UID_BYTES, _RANDOM_UID_FIRST = 4, 0x08


@dataclass(frozen=True, slots=True)
class CardRead:
    """A card's identity and how sure we are of it; `refused` says why when it should have proved itself and did not."""

    identity: bytes
    credential: Credential
    refused: str = ""


Conversation: TypeAlias = Generator[bytes, bytes, CardRead]


class CardNotUsable(Exception):
    """The card answers, but gives no identity that could be recorded; the message says why."""


ID_ONLY = Credential("id_only", 0)


def check_identity(uid: bytes) -> bytes:
    """Refuse what is no identity: random identifiers, which phones and cards in privacy mode change each time."""
    if len(uid) not in _UID_LENGTHS:
        raise CardNotUsable(f"the card's identifier has {len(uid)} bytes, which no known card has")
    if len(uid) == _RANDOM_UID_BYTES and uid[0] == _RANDOM_UID_FIRST:
        raise CardNotUsable("this is a phone, or a card that hides its number: use the site's own card")
    return uid


def read_card(keys: KeyStore | None, random_bytes: Callable[[int], bytes]) -> Conversation:
    """Read a card's identifier and, with keys, have it prove itself. Raise `CardNotUsable`.

    A card without our application is read by its identifier, assurance 0; one that has it must prove its key.
    """
    response = yield GET_UID
    if response[-2:] != _OK:
        raise CardNotUsable(f"the card gives no identifier (status {response[-2:].hex()})")
    uid = check_identity(response[:-2])
    if keys is None:
        return CardRead(uid, ID_ONLY)
    response = yield select_application(keys.application)
    if response[-2:] not in {_OK, _DESFIRE_OK}:
        return CardRead(uid, ID_ONLY)
    try:
        version = yield from _prove(keys, uid, random_bytes)
    except (AuthenticationRefused, UnknownKeyVersion, Underivable) as exc:
        return CardRead(uid, Credential("desfire_ev2", 0), refused=str(exc))
    return CardRead(uid, Credential("desfire_ev2", 3, version))


def _prove(keys: KeyStore, uid: bytes, random_bytes: Callable[[int], bytes]) -> Generator[bytes, bytes, int]:
    """Mutual authentication; returns the version of the key that the card proved."""
    response = yield native(0x64, bytes([keys.key_number]))
    # NTAG 424 DNA tells its key version only to those already authenticated
    version = response[0] if response[-2:] == _DESFIRE_OK and len(response) == 3 else keys.current_version  # noqa: PLR2004
    key = keys.card_key(uid, version)
    challenge = yield native(0x71, bytes([keys.key_number, 0]))
    if challenge[-2:] != _DESFIRE_MORE:
        raise AuthenticationRefused(f"the card refuses to authenticate with this key (status {challenge[-2:].hex()})")
    rnd_a = random_bytes(BLOCK)
    rnd_b, reply = answer_challenge(key, challenge[:-2], rnd_a)
    proof = yield native(0xAF, reply)
    if proof[-2:] != _DESFIRE_OK:
        raise AuthenticationRefused(f"the card does not accept this terminal's key (status {proof[-2:].hex()})")
    check_proof(key, proof[:-2], rnd_a, rnd_b)
    return version


def native(command: int, data: bytes = b"") -> bytes:
    """Wrap a DESFire native command in an ISO 7816 APDU."""
    return bytes([0x90, command, 0, 0]) + (bytes([len(data)]) + data if data else b"") + b"\x00"


def select_application(application: bytes) -> bytes:
    """Select by DESFire AID (3 bytes, as sent) or by ISO DF name."""
    if len(application) == _AID_BYTES:
        return native(0x5A, application)
    return bytes([0x00, 0xA4, 0x04, 0x00, len(application)]) + application + b"\x00"


def converse(conversation: Conversation, exchange: Callable[[bytes], bytes]) -> CardRead:
    """Hold a conversation over a channel; raise what the channel raises, or `CardNotUsable`."""
    try:
        command = next(conversation)
        for _ in range(EXCHANGES_MAX):
            response = exchange(command)
            if len(response) < len(_OK):
                raise CardNotUsable(f"the card answers {len(response)} bytes, less than a status word")
            command = conversation.send(response)
    except StopIteration as done:
        result: CardRead = done.value
        return result
    raise CardNotUsable(f"the card did not come to an end within {EXCHANGES_MAX} commands")
