"""The three kinds of reader as one bench: the same hand movements on a virtual PC/SC card, an nfcpy tag and a socket.

The contract test of the drivers runs on it, and so can any test that needs a card on a reader.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import TYPE_CHECKING, Protocol, Self

from edge_agent.readers.base import (
    Answer,
    CardSeen,
    Reader,
    ReaderConfig,
    ReaderEvent,
)
from edge_agent.readers.catalog import open_reader
from edge_agent.wire.messages import Shown
from simulators.card import StorageCard, VpcdHand
from simulators.servers import free_port, wait_until
from simulators.socket_card import SocketHand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.pcscd import PrivatePcscd

UIDS = (bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("04112233445566"))
IDMS = (bytes.fromhex("0114b34d2a1f0c55"), bytes.fromhex("0114b34d2a1f0c56"))


class ReaderBench(Protocol):
    """A reader under test and the hand at it. `identities` are two different cards that this hand can hold."""

    identities: tuple[bytes, bytes]

    def open(self) -> Reader:
        """Build the driver, as the terminal would."""
        ...

    def hold(self, identity: bytes) -> None:
        """Put a card on the reader and leave it there."""
        ...

    def take_away(self) -> None:
        """Take the card away."""
        ...

    def pull_mid_read(self, identity: bytes) -> None:
        """Put a card on the reader and pull it away while it is being read."""
        ...

    def lose(self) -> None:
        """Take the reader from the driver."""
        ...

    def restore(self) -> None:
        """Give it back."""
        ...

    def shown(self) -> list[Shown]:
        """What this reader or its client was told to show, so far."""
        ...


class PcscBench:
    """A virtual card in a virtual reader of a real pcscd; the reader is lost by unplugging it."""

    identities = UIDS

    def __init__(self, pcscd: PrivatePcscd, *, slot: int = 0) -> None:
        self.pcscd = pcscd
        self._slot = slot
        self._hand = VpcdHand(pcscd.ports[slot])
        self._cards: list[StorageCard] = []

    def open(self) -> Reader:
        """Build the PC/SC driver for this slot."""
        return open_reader(ReaderConfig("r1", "pcsc", self.pcscd.readers[self._slot], "in", "gate-a"))

    def hold(self, identity: bytes) -> None:
        """Insert a storage card."""
        self._cards.append(StorageCard(identity))
        self._hand.hold(self._cards[-1])

    def take_away(self) -> None:
        """Remove it."""
        self._hand.take_away()

    def pull_mid_read(self, identity: bytes) -> None:
        """Insert a card that goes away when its identifier is asked for."""
        self._hand.hold(StorageCard(identity), pull_at=b"\xff\xca")

    def lose(self) -> None:
        """Unplug the reader."""
        self._hand.take_away()
        self.pcscd.unplug()

    def restore(self) -> None:
        """Plug it in."""
        self.pcscd.plug()

    def shown(self) -> list[Shown]:
        """Read the colours from the lamp commands that reached the cards."""
        colours: dict[int, Shown] = {0xA0: "green", 0xF0: "amber", 0x50: "red"}
        return [colours[signal[3]] for card in self._cards for signal in card.signals]


class NfcBench:
    """A tag on nfcpy's UDP driver; the reader is lost by pulling its simulated cable."""

    def __init__(self, *, felica: bool = False) -> None:
        from simulators.nfc_tag import Cable, FelicaTag, TypeATag, UdpHand

        self.identities = IDMS if felica else UIDS
        self._make = FelicaTag if felica else TypeATag
        self._confirmation = b"\x06\x00\xff\xff\x00" if felica else b"\x30"
        self.hand = UdpHand()
        self.cable = Cable()

    def __enter__(self) -> Self:
        self.hand.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.hand.__exit__()

    def open(self) -> Reader:
        """Build the nfcpy driver on this hand's port, with the cable in between."""
        from edge_agent.readers.nfc import NfcReader

        config = ReaderConfig("r1", "nfc", f"udp:localhost:{self.hand.port}", "in", "gate-a")
        return NfcReader(config, open_frontend=self.cable.open_frontend)

    def hold(self, identity: bytes) -> None:
        """Bring a tag into the field."""
        self.hand.hold(self._make(identity))

    def take_away(self) -> None:
        """Take it out."""
        self.hand.take_away()

    def pull_mid_read(self, identity: bytes) -> None:
        """Bring in a tag that is gone after it was found."""
        self.hand.hold(self._make(identity), pull_at=self._confirmation)

    def lose(self) -> None:
        """Pull the cable."""
        self.cable.pulled.set()

    def restore(self) -> None:
        """Put it back."""
        self.cable.pulled.clear()

    def shown(self) -> list[Shown]:
        """Nothing: these readers have no lamp that nfcpy could light."""
        return []


class SocketBench:
    """A client of the socket reader; the reader is lost by taking its port while it is away."""

    identities = UIDS

    def __init__(self) -> None:
        self.port = free_port()
        self._shown: list[Shown] = []
        self._thief: socket.socket | None = None

    def open(self) -> Reader:
        """Build the socket driver; while lost, its port is somebody else's."""
        return open_reader(ReaderConfig("r1", "socket", f"127.0.0.1:{self.port}", "in", "gate-a"))

    def hold(self, identity: bytes) -> None:
        """Present a card and keep what was answered."""
        with self._hand() as hand:
            answer = hand.hold(identity)
        if answer.shown:
            self._shown.append(_colour(answer.shown))

    def take_away(self) -> None:
        """Nothing to do: a line is a whole presentation."""

    def pull_mid_read(self, identity: bytes) -> None:  # noqa: ARG002 - no identity reaches the reader
        """Tell that a card was pulled away."""
        with self._hand() as hand:
            hand.pull_away()

    def lose(self) -> None:
        """Take the port; only before the driver has it."""
        self._thief = socket.create_server(("127.0.0.1", self.port))

    def restore(self) -> None:
        """Give the port back."""
        if self._thief:
            self._thief.close()

    def shown(self) -> list[Shown]:
        """The colours that came back over the socket."""
        return self._shown

    def _hand(self) -> SocketHand:
        found: list[SocketHand] = []

        def connected() -> bool:
            with contextlib.suppress(OSError):
                found.append(SocketHand(self.port))
            return bool(found)

        wait_until(connected, what=f"the socket reader on port {self.port}")
        return found[0]


def _colour(text: str) -> Shown:
    colours: tuple[Shown, ...] = ("green", "amber", "red")
    return colours[colours.index(text)]


class Running:
    """A driver in its thread, with everything it emitted. Answers each card with a colour and the next number."""

    def __init__(self, reader: Reader, *, colour: Shown = "green") -> None:
        self.events: list[ReaderEvent] = []
        self.stop = threading.Event()
        self.beats = 0
        self._colour: Shown = colour
        self._reader = reader
        self._numbers = itertools.count(1)
        self._failure: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(10)
        if self._failure:
            raise self._failure[0]

    def of(self, *kinds: type[ReaderEvent]) -> list[ReaderEvent]:
        """The events of some kinds so far, in order."""
        return [event for event in list(self.events) if isinstance(event, kinds)]

    @property
    def cards(self) -> list[CardSeen]:
        """The cards seen so far."""
        return [event for event in list(self.events) if isinstance(event, CardSeen)]

    def wait_for(self, kind: type[ReaderEvent], count: int = 1) -> ReaderEvent:
        """Wait until there are this many events of a kind; returns the last of them."""
        wait_until(lambda: len(self.of(kind)) >= count, what=f"{count} of {kind.__name__} in {self.events}")
        return self.of(kind)[count - 1]

    def story(self) -> Iterator[str]:
        """The kinds of all events, in order."""
        return (type(event).__name__ for event in list(self.events))

    def _run(self) -> None:
        try:
            self._reader.run(self._emit, self.stop, self._beat)
        except BaseException as exc:  # noqa: BLE001 - told to the test in its own thread
            self._failure.append(exc)

    def _beat(self) -> None:
        self.beats += 1

    def _emit(self, event: ReaderEvent) -> Answer | None:
        self.events.append(event)
        if not isinstance(event, CardSeen):
            return None
        number = next(self._numbers)
        return Answer(self._colour, "accepted", "0198f000-0000-7000-8000-000000000000", number, "김*수")
