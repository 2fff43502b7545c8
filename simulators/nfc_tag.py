"""Contactless cards for nfcpy's UDP driver: the other end of `udp:localhost:PORT`, and a reader whose cable comes off.

The driver's frames are text, `106A 26` or `RFOFF`: bit rate and hexadecimal data.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from dataclasses import dataclass
from typing import Any, Protocol, Self

import nfc.clf
import nfc.clf.udp

_POLL_S = 0.1
_FRAME_BYTES_MAX = 1024
_CASCADE = 0x88


class Tag(Protocol):
    """A card in the field. None means it stays silent."""

    @property
    def brty(self) -> str:
        """Bit rate and technology, as nfcpy writes them."""
        ...

    def answer(self, command: bytes) -> bytes | None:
        """Answer one frame."""
        ...


@dataclass(frozen=True)
class TypeATag:
    """A type 2 tag with a UID of 4 or 7 bytes; type A at 106 kbit/s."""

    uid: bytes
    sel_res: int = 0
    brty: str = "106A"

    def answer(self, command: bytes) -> bytes | None:
        """Answer anticollision, and the reading of a page."""
        levels = [self.uid] if len(self.uid) == 4 else [bytes([_CASCADE]) + self.uid[:3], self.uid[3:]]  # noqa: PLR2004
        if command == b"\x26":
            return b"\x04\x00" if len(levels) == 1 else b"\x44\x00"
        for depth, (select, part) in enumerate(zip(b"\x93\x95", levels, strict=False), start=1):
            checked = part + bytes([part[0] ^ part[1] ^ part[2] ^ part[3]])
            if command == bytes([select, 0x20]):
                return checked
            if command == bytes([select, 0x70]) + checked:
                return bytes([self.sel_res if depth == len(levels) else 0x04])
        return bytes(16) if command[:1] == b"\x30" else None


@dataclass(frozen=True)
class FelicaTag:
    """A FeliCa card at 212 kbit/s with an IDm of 8 bytes."""

    idm: bytes
    pmm: bytes = bytes.fromhex("0120220427674eff")
    system: bytes = b"\x12\xfc"
    brty: str = "212F"

    def answer(self, command: bytes) -> bytes | None:
        """Answer polling."""
        if command[:2] != b"\x06\x00" or command[2:4] not in {b"\xff\xff", self.system}:
            return None
        body = b"\x01" + self.idm + self.pmm + (self.system if command[4] == 1 else b"")
        return bytes([len(body) + 1]) + body


class UdpHand:
    """Holds one card at a time into the field of a reader opened as `udp:localhost:{port}`; use as a context.

    `answers` and `silences` count the frames it answered and did not: how often the reader has looked.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(_POLL_S)
        self.port: int = self._socket.getsockname()[1]
        self.answers = 0
        self.silences = 0
        self._tag: Tag | None = None
        self._pull_at: bytes | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def hold(self, tag: Tag, *, pull_at: bytes | None = None) -> None:
        """Put a card into the field; it is pulled away when a command starting with `pull_at` arrives."""
        self._pull_at = pull_at
        self._tag = tag

    def take_away(self) -> None:
        """Take the card out of the field."""
        self._tag = None

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                frame, reader = self._socket.recvfrom(_FRAME_BYTES_MAX)
            except TimeoutError:
                continue
            answer = self._answered(frame.split())
            if answer:
                self.answers += 1
                self._socket.sendto(answer, reader)
            else:
                self.silences += 1

    def _answered(self, words: list[bytes]) -> bytes | None:
        tag = self._tag
        if tag is None or len(words) != 2 or words[0] != tag.brty.encode():  # noqa: PLR2004
            return None
        command = bytes.fromhex(words[1].decode())
        if self._pull_at is not None and command.startswith(self._pull_at):
            self.take_away()
            return None
        answer = tag.answer(command)
        return None if answer is None else words[0] + b" " + answer.hex().encode()


class Cable:
    """The cable of a UDP reader: opens it as nfcpy would, and fails as USB does once pulled."""

    def __init__(self) -> None:
        self.pulled = threading.Event()

    def open_frontend(self, path: str) -> nfc.clf.ContactlessFrontend:
        """Open a reader by its nfcpy path `udp:host:port`; raise `OSError` while the cable is off."""
        self.check()
        _, host, port = path.split(":")
        frontend = nfc.clf.ContactlessFrontend()
        frontend.device = _CabledDevice(host, int(port), self)
        return frontend

    def check(self) -> None:
        """Raise what a USB transport raises without its device."""
        if self.pulled.is_set():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


class _CabledDevice(nfc.clf.udp.Device):  # type: ignore[misc] # nfcpy has no types
    """nfcpy's UDP device at the end of a cable."""

    def __init__(self, host: str, port: int, cable: Cable) -> None:
        super().__init__(host, port)
        self._cable = cable
        self._vendor_name, self._device_name, self._chipset_name = "Simulated", "IP-Stack", "UDP"

    def _send_data(self, brty: str, data: Any, addr: Any) -> None:  # noqa: ANN401 - as in nfcpy
        self._cable.check()
        super()._send_data(brty, data, addr)
