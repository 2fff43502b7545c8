"""The socket reader: a card is a line of JSON from a TCP client, answered with a line. Simulators and tests use it.

It speaks for cards that are not there, so it listens on loopback unless configured otherwise, and nothing in it
raises a credential: what the client claims is what the event says.
"""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Annotated, cast

import msgspec

from edge_agent.readers.base import (
    Answer,
    Beat,
    CardSeen,
    CardUnreadable,
    Emit,
    ReaderConfig,
    ReaderFound,
    ReaderLost,
    ReaderUnusable,
)
from edge_agent.wire.messages import Credential, Method

LINE_BYTES_MAX = 1024
CLIENTS_MAX = 16
_POLL_S = 0.2
_REBIND_S = 0.5
_ANSWER_S_MAX = 1.0


class _Presented(msgspec.Struct, forbid_unknown_fields=True):
    """One line from a client. `unreadable` stands for a card pulled away: the reason, and no identity is recorded."""

    card: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-fA-F]{2}){1,32}$")] | None = None
    method: Method = "id_only"
    assurance: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    keyver: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    authentic: bool = True
    unreadable: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class _Refused(msgspec.Struct):
    error: str


_decoder = msgspec.json.Decoder(_Presented)
_encoder = msgspec.json.Encoder()


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def parse_address(config: ReaderConfig) -> tuple[str, int]:
    """Split `host:port`; raise `ReaderUnusable`."""
    host, _, port = config.address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ReaderUnusable(
            f"reader {config.name!r}: address {config.address!r} is not host:port, for example 127.0.0.1:7401"
        )
    host = host.strip("[]")
    if host not in LOOPBACK:
        raise ReaderUnusable(
            f"reader {config.name!r}: a socket reader takes a card's word for who it is, so it listens on this machine"
            f" only; {host!r} is not one of {', '.join(sorted(LOOPBACK))}"
        )
    return host, int(port)


class SocketReader:
    """Listens on the configured address; every client is a hand that can hold cards to this reader."""

    def __init__(self, config: ReaderConfig) -> None:
        self.name = config.name
        self._address = parse_address(config)

    def run(self, emit: Emit, stop: threading.Event, beat: Beat) -> None:
        """Serve clients until `stop`; a port that is taken is a lost reader, tried again until it is free."""
        lost: str | None = None
        while not stop.is_set():
            beat()
            try:
                listener = socket.create_server(self._address)
            except OSError as exc:
                reason = f"cannot listen on {self._where}: {exc.strerror}; is another terminal running?"
            else:
                emit(ReaderFound(self.name, f"listening on {self._where}"))
                reason = self._serve(listener, emit, stop, beat)
                lost = None
            if lost != reason and not stop.is_set():
                emit(ReaderLost(self.name, reason))
                lost = reason
            stop.wait(_REBIND_S)

    @property
    def _where(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    def _serve(self, listener: socket.socket, emit: Emit, stop: threading.Event, beat: Beat) -> str:
        """Attend all clients in this thread until `stop`, or until the listener fails; says why it ended."""
        listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            try:
                while not stop.is_set():
                    beat()
                    for key, _ in selector.select(_POLL_S):
                        if key.fileobj is not listener:
                            self._attend(key.data, selector, emit)
                        elif (failure := _welcome(listener, selector)) is not None:
                            return f"cannot accept on {self._where}: {failure}"
                return "stopped"
            finally:
                for key in list(selector.get_map().values()):
                    selector.unregister(key.fileobj)
                    cast(socket.socket, key.fileobj).close()

    def _attend(self, client: _Client, selector: selectors.BaseSelector, emit: Emit) -> None:
        try:
            lines = client.receive()
        except OSError:
            lines = None
        for line in lines or ():
            reply = self._present(line, emit)
            if not client.answer(reply):
                lines = None
        if lines is None or client.flooded:
            selector.unregister(client.connection)
            client.connection.close()

    def _present(self, line: bytes, emit: Emit) -> Answer | _Refused:
        if len(line) > LINE_BYTES_MAX:
            return _Refused(f"the line is longer than {LINE_BYTES_MAX} bytes: nothing was recorded")
        try:
            presented = _decoder.decode(line)
        except (msgspec.MsgspecError, ValueError) as exc:
            return _Refused(f'not a card: {exc}; send one line of JSON such as {{"card":"04a2b3c4d5e680"}}')
        if presented.unreadable is not None and presented.card is None:
            emit(CardUnreadable(self.name, presented.unreadable))
            return _Refused("unreadable: nothing was recorded, hold the card again")
        if presented.card is None or presented.unreadable is not None:
            return _Refused('a line has either "card" or "unreadable": nothing was recorded')
        credential = Credential(presented.method, presented.assurance, presented.keyver)
        answer = emit(CardSeen(self.name, bytes.fromhex(presented.card), credential, presented.authentic))
        return answer if answer is not None else _Refused("the terminal gave no answer: take it as not recorded")


class _Client:
    """One connection and the part of a line it has sent so far."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.settimeout(_ANSWER_S_MAX)
        self._held = b""

    def receive(self) -> list[bytes] | None:
        """Complete lines (or one beyond the limit, when `flooded`); None when the client has gone."""
        received = self.connection.recv(4096)
        if not received:
            return None
        *lines, self._held = (self._held + received).split(b"\n")
        if self.flooded:
            lines.append(self._held)
        return [line for line in lines if line.strip()]

    @property
    def flooded(self) -> bool:
        """Whether the client keeps sending without ending its line."""
        return len(self._held) > LINE_BYTES_MAX

    def answer(self, reply: Answer | _Refused) -> bool:
        """Send one line; False when the client has gone. What it presented stays recorded all the same."""
        try:
            self.connection.sendall(_encoder.encode(reply) + b"\n")
        except OSError:
            return False
        return True


def _welcome(listener: socket.socket, selector: selectors.BaseSelector) -> str | None:
    """Take in one client; says what is wrong with the listener, if anything."""
    try:
        connection, _ = listener.accept()
    except (BlockingIOError, ConnectionAbortedError):
        return None  # it left again before we came to it
    except OSError as exc:
        return str(exc.strerror)
    client = _Client(connection)
    if len(selector.get_map()) > CLIENTS_MAX:
        client.answer(_Refused(f"this reader serves at most {CLIENTS_MAX} clients at once: close one first"))
        connection.close()
    else:
        selector.register(connection, selectors.EVENT_READ, client)
    return None
