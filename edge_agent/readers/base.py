"""What every reader driver keeps to, whatever it is made of.

A driver reports what it read and what became of its reader; it never decides anything about the worker.
A card held on a reader is reported once a presentation; a read that fails is reported, never swallowed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from edge_agent.wire.messages import Credential, Direction, Shown

Driver = Literal["pcsc", "nfc", "socket"]

IDENTITY_BYTES_MAX = 32
"""Longest identity a driver may report: UIDs have 4, 7 or 10 bytes, an IDm 8; the rest is room for newer cards."""
RECOVERY_S_MAX = 10.0
"""RDR-01: a driver reads again this long after its reader is back."""


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """One configured reader. The meaning of `address` is the driver's own.

    - `pcsc`: the PC/SC reader's name, or a part of it that only this reader has; empty takes the first reader found;
    - `nfc`: an nfcpy path, such as `usb:054c:06c3`, `tty:USB0:pn532` or `udp:localhost:54321`;
    - `socket`: `host:port` to listen on, loopback in every use we know of.
    """

    name: str
    driver: Driver
    address: str
    direction: Direction
    zone: str


@dataclass(frozen=True, slots=True)
class CardSeen:
    """One presentation of one card. `identity` is raw and stays in this process: what travels is its token.

    `authentic` is False when the card should have proved itself and did not: its credential then has assurance 0.
    `lay_there` is True when the card was on the reader already when the reader was found: at start, or after a loss
    during which it was not seen to be taken away. It may be a new tap, or a card that was left lying.
    """

    reader: str
    identity: bytes
    credential: Credential
    authentic: bool = True
    lay_there: bool = False


@dataclass(frozen=True, slots=True)
class CardUnreadable:
    """A card was there and could not be read (pulled away too soon, or damaged); nothing was recorded of it."""

    reader: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReaderFound:
    """The reader answers: at start, and again after every `ReaderLost`."""

    reader: str
    detail: str


@dataclass(frozen=True, slots=True)
class ReaderLost:
    """The reader does not answer: unplugged, its service gone, its port taken. The driver keeps trying."""

    reader: str
    reason: str


ReaderEvent: TypeAlias = CardSeen | CardUnreadable | ReaderFound | ReaderLost


@dataclass(frozen=True, slots=True)
class Answer:
    """What the worker is shown. `green` only ever for a tap on stable storage, named by `journal_id` and `seq`.

    `decision` is a `wire.messages.Decision`, or `not_recorded` with an empty `journal_id` and seq 0.
    """

    shown: Shown
    decision: str
    journal_id: str
    seq: int
    text: str


Emit: TypeAlias = Callable[[ReaderEvent], Answer | None]
Beat: TypeAlias = Callable[[], None]


class Reader(Protocol):
    """A reader driver."""

    @property
    def name(self) -> str:
        """The configured name, as it stands in every event."""
        ...

    def run(self, emit: Emit, stop: threading.Event, beat: Beat) -> None:
        """Read cards until `stop` is set; returns within a second of that, with the device released.

        Calls `beat` each time it turns, a few times a second: a device that hangs in a call must be noticed, for
        whoever holds a card to it gets no answer at all.

        Blocks. Emits from this thread, one event at a time. `emit` is synchronous: for a `CardSeen` it returns once
        the tap is durable, with what to show or send back. Losing the reader is an event, not an error: `run` raises
        only what a restart must answer, such as a missing library.
        """
        ...


class ReaderUnusable(RuntimeError):
    """A reader cannot be used as configured; the message says which and what to do."""
