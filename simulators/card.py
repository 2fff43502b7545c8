"""Virtual cards for vpcd: what a card answers, and a hand that holds it to a virtual PC/SC reader.

A reader's own commands (FF …: read the identifier, show a colour) reach vpcd's card too, so the cards answer those.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.cards.ev2 import BLOCK, AesKey, Session, rotate, session_keys
from simulators.servers import wait_until

STORAGE_ATR = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
DESFIRE_ATR = bytes.fromhex("3b8180018080")

_OK = b"\x90\x00"
_NO_SUCH_COMMAND = b"\x6d\x00"
_HEADER_BYTES = 5
_MORE = 0xAF
_VERSION_FRAMES = (bytes.fromhex("04010112001a05"), bytes.fromhex("04010102011a05"))
_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4


class VirtualCard(Protocol):
    """A card behind an APDU interface."""

    @property
    def atr(self) -> bytes:
        """Its answer to reset."""
        ...

    def power(self) -> None:
        """Forget the session: the card was powered or reset."""
        ...

    def answer(self, apdu: bytes) -> bytes:
        """Answer one command, status word included."""
        ...


@dataclass
class StorageCard:
    """A memory card: an identifier and nothing that proves it. `signals` is what its reader was told to show."""

    uid: bytes
    atr: bytes = STORAGE_ATR
    signals: list[bytes] = field(default_factory=list)

    def power(self) -> None:
        """Nothing to forget."""

    def answer(self, apdu: bytes) -> bytes:
        """Answer the reader's own commands."""
        if apdu[:2] == b"\xff\xca":
            return self.uid + _OK
        if apdu[:3] == b"\xff\x00\x40":
            self.signals.append(apdu)
            return _OK
        return _NO_SUCH_COMMAND


@dataclass
class DesfireCard(StorageCard):
    """DESFire EV2 as far as a gate goes: GetVersion, application selection, key version, EV2 mutual authentication.

    `key` is the card's own, already diversified. Native commands come wrapped in ISO 7816; long answers in frames.
    """

    atr: bytes = DESFIRE_ATR
    application: bytes = bytes.fromhex("f58110")
    key: bytes = bytes(16)
    key_version: int = 1
    tells_key_version: bool = True
    session: Session | None = field(default=None, init=False)
    _selected: bool = field(default=False, init=False)
    _frames: list[bytes] = field(default_factory=list, init=False)
    _rnd_b: bytes = field(default=b"", init=False)

    def power(self) -> None:
        """Lose the session, the selection and whatever was in mid-answer."""
        self.session, self._selected, self._frames, self._rnd_b = None, False, [], b""

    def answer(self, apdu: bytes) -> bytes:
        """Answer a wrapped native command, an ISO selection, or the reader's own command."""
        if apdu[:1] == b"\xff":
            return super().answer(apdu)
        data = apdu[5 : 5 + apdu[4]] if len(apdu) > _HEADER_BYTES else b""
        if apdu[:3] == b"\x00\xa4\x04":
            self.power()
            self._selected = data == self.application
            return _OK if self._selected else b"\x6a\x82"
        if apdu[:1] != b"\x90":
            return b"\x6e\x00"
        return self._native(apdu[1], data)

    def _native(self, command: int, data: bytes) -> bytes:
        if command == _MORE:
            return self._prove(data) if self._rnd_b else self._next_frame()
        self._frames, self._rnd_b = [], b""
        match command:
            case 0x60:
                self._frames = [*_VERSION_FRAMES, self.uid.ljust(7, b"\0")[:7] + bytes.fromhex("ba6544d5801521")]
                return self._next_frame()
            case 0x5A:
                self.session, self._selected = None, data == self.application
                return b"\x91\x00" if self._selected else b"\x91\xa0"
            case 0x64 if self._selected:
                return bytes([self.key_version]) + b"\x91\x00" if self.tells_key_version else b"\x91\xae"
            case 0x71 if self._selected:
                self._rnd_b = os.urandom(BLOCK)
                return AesKey(self.key).encrypt(self._rnd_b) + b"\x91\xaf"
            case _:
                return b"\x91\x1c"

    def _next_frame(self) -> bytes:
        if not self._frames:
            return b"\x91\x1c"
        frame = self._frames.pop(0)
        return frame + (b"\x91\xaf" if self._frames else b"\x91\x00")

    def _prove(self, data: bytes) -> bytes:
        key, rnd_b, self._rnd_b = AesKey(self.key), self._rnd_b, b""
        plain = key.decrypt(data) if len(data) == 2 * BLOCK else b""
        if plain[BLOCK:] != rotate(rnd_b):
            return b"\x91\xae"
        rnd_a, transaction = plain[:BLOCK], os.urandom(4)
        self.session = Session(transaction, *session_keys(key, rnd_a, rnd_b))
        return key.encrypt(transaction + rotate(rnd_a) + bytes(12)) + b"\x91\x00"


class VpcdHand:
    """Holds one card at a time to one slot of a virtual reader."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._pull_at: bytes | None = None
        self._powered = threading.Event()

    def hold(self, card: VirtualCard, *, pull_at: bytes | None = None) -> None:
        """Put a card on the reader; it is pulled away in mid-read when a command starting with `pull_at` arrives."""
        self.take_away()
        wait_until(self._connect, what=f"the virtual reader on port {self.port}")
        self._pull_at = pull_at
        self._powered.clear()
        self._thread = threading.Thread(target=self._serve, args=(card, self._connection), daemon=True)
        self._thread.start()

    def take_away(self) -> None:
        """Take the card off the reader; nothing happens when there is none."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        self._connection = self._thread = None

    def _connect(self) -> bool:
        try:
            self._connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            return False
        self._connection.settimeout(None)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return True

    def _serve(self, card: VirtualCard, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while (frame := _frame(connection)) is not None:
                if len(frame) > 1:
                    if self._pull_at is not None and frame.startswith(self._pull_at):
                        return
                    _reply(connection, card.answer(frame))
                elif frame[0] == _ATR:
                    _reply(connection, card.atr)
                elif frame[0] in {_OFF, _ON, _RESET}:
                    card.power()


def _frame(connection: socket.socket) -> bytes | None:
    """Read one frame: a length of two bytes and the rest. None when the reader let go."""
    head = _exactly(connection, 2)
    return _exactly(connection, struct.unpack(">H", head)[0]) if head else None


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        # without this every command waits out the 44 ms of a delayed acknowledgement
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        received = connection.recv(size - len(data))
        if not received:
            return None
        data += received
    return data


def _reply(connection: socket.socket, data: bytes) -> None:
    connection.sendall(struct.pack(">H", len(data)) + data)
