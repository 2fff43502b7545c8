"""A broker of the kit's own: it sees what a real one hides, and withholds, cuts and goes away when told to.

MQTT 5, QoS 0 and 1, one site. A thread a connection: there is one terminal, and a session of a doctor now and then.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from simulators.tck import packets
from simulators.tck.contract import ROOT
from simulators.tck.trace import Heard, Session, Trace, clocks

if TYPE_CHECKING:
    import ssl

    from simulators.tck.packets import Hello, Message
    from simulators.tck.trace import Key

RECEIVE_MAXIMUM = 20
HELLO_S_MAX = 20.0
JOIN_S_MAX = 5.0
REBIND_S_MAX, REBIND_PAUSE_S = 10.0, 0.1
"""While the broker is gone its port may be lent to an outgoing connection for a moment."""


class Listener(Protocol):
    """Whoever answers as central; called in the connection's thread, outside any lock."""

    def heard(self, message: Heard, keys: list[Key]) -> None:
        """Take note of a message, and of the events in it."""


class _Quiet:
    def heard(self, message: Heard, keys: list[Key]) -> None:
        """Say nothing."""


@dataclass
class _Line:
    """One client's connection."""

    connection: socket.socket
    session: Session
    lock: threading.Lock = field(default_factory=threading.Lock)
    withheld: list[int] = field(default_factory=list)
    """Packet ids that wait for our PUBACK."""
    ids: int = 0

    def write(self, data: bytes) -> None:
        """Send; a client that is gone hears nothing."""
        with self.lock, contextlib.suppress(OSError):
            self.connection.sendall(data)

    def next_id(self) -> int:
        self.ids = self.ids % 65_535 + 1
        return self.ids

    def cut(self) -> None:
        """End the connection as a broken cable would."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Broker:
    """Listens until `stop`; can be started again on the same port. Use as a context."""

    def __init__(
        self, trace: Trace, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.trace = trace
        self.host, self.port = host, port
        self.listener: Listener = _Quiet()
        self.receive_maximum = RECEIVE_MAXIMUM
        self._tls = tls
        self._retained: dict[str, bytes] = {}
        self._lines: list[_Line] = []
        self._withhold = False
        self._server: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return self._server is not None

    def start(self) -> None:
        """Take connections; raise `OSError` when the port is taken, and stays so although it was ours before."""
        server = self._listen()
        self.port = server.getsockname()[1]
        self._server = server
        thread = threading.Thread(target=self._accept, args=(server,), name="tck broker", daemon=True)
        self._threads = [thread]
        thread.start()

    def _listen(self) -> socket.socket:
        deadline = time.monotonic() + (REBIND_S_MAX if self._threads else 0.0)
        while True:
            try:
                return socket.create_server((self.host, self.port))
            except OSError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(REBIND_PAUSE_S)

    def stop(self) -> None:
        """Be gone: nobody listens, and every connection is cut without a word."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        self.cut()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S_MAX)

    def cut(self) -> None:
        """Cut every connection, and go on listening."""
        for line in list(self._lines):
            line.cut()

    @property
    def withhold(self) -> bool:
        """Whether PUBACKs are held back; setting it to False sends those that wait."""
        return self._withhold

    @withhold.setter
    def withhold(self, wanted: bool) -> None:
        self._withhold = wanted
        if not wanted:
            for line in list(self._lines):
                waiting, line.withheld[:] = list(line.withheld), []
                for packet_id in waiting:
                    line.write(packets.puback(packet_id))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send to whoever subscribed, at QoS 1; a retained message also to those who come later."""
        if retain:
            self._retained[topic] = payload
            if not payload:
                del self._retained[topic]  # an empty payload ends the retaining, and is still sent on
        for line in list(self._lines):
            if any(matches(name, topic) for name in line.session.subscribed):
                line.write(packets.publish(topic, payload, packet_id=line.next_id(), retain=False))

    def retain(self, topic: str, payload: bytes) -> None:
        """Keep a message for those who subscribe later, and tell nobody now."""
        self._retained[topic] = payload

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="tck session", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        line: _Line | None = None
        try:
            connection.settimeout(HELLO_S_MAX)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
            stream = _Stream(connection)
            line = self._greet(connection, stream)
            if line is not None and self._server is not None:
                self._lines.append(line)
                connection.settimeout(None)
                self._attend(line, stream)
        except (OSError, EOFError):
            pass  # it is gone: the trace has what it sent before
        except (packets.BadPacket, UnicodeDecodeError, OverflowError) as exc:
            self._complain(line, str(exc))
        finally:
            if line is not None and line in self._lines:
                self._lines.remove(line)
            connection.close()

    def _complain(self, line: _Line | None, what: str) -> None:
        with self.trace.changed:
            if line is not None:
                line.session.complaints.append(what)
            self.trace.changed.notify_all()

    def _greet(self, connection: socket.socket, stream: _Stream) -> _Line | None:
        kind, _, body = stream.packet()
        if kind != packets.CONNECT:
            raise packets.BadPacket(f"the first packet is of kind {kind}, expected CONNECT")
        hello = packets.read_hello(body)
        session = self._open_session(hello)
        line = _Line(connection, session)
        if hello.protocol != packets.MQTT_5:
            line.write(packets.refuse(packets.UNSUPPORTED_VERSION))
            return None
        line.write(packets.connack(receive_maximum=self.receive_maximum))
        return line

    def _open_session(self, hello: Hello) -> Session:
        with self.trace.changed:
            number = len(self.trace.sessions) + 1
            _, wall_s = clocks()
            session = Session(number, hello.client_id, hello.protocol, hello.will, self.receive_maximum, wall_s)
            self.trace.sessions.append(session)
            self.trace.changed.notify_all()
        return session

    def _attend(self, line: _Line, stream: _Stream) -> None:
        while True:
            kind, flags, body = stream.packet()
            if kind == packets.PUBLISH:
                self._take(line, packets.read_message(flags, body))
            elif kind == packets.SUBSCRIBE:
                self._subscribe(line, body)
            elif kind == packets.UNSUBSCRIBE:
                wish = packets.read_wish(body, with_options=False)
                for name, _ in wish.filters:
                    line.session.subscribed.pop(name, None)
                line.write(packets.granted(packets.UNSUBACK, wish))
            elif kind == packets.PINGREQ:
                line.write(packets.packet(packets.PINGRESP, 0, b""))
            elif kind == packets.DISCONNECT:
                line.session.said_goodbye = not body or body[0] == 0
                return
            elif kind != packets.PUBACK:
                raise packets.BadPacket(f"a packet of kind {kind}, which a client does not send")

    def _subscribe(self, line: _Line, body: bytes) -> None:
        wish = packets.read_wish(body, with_options=True)
        with self.trace.changed:
            line.session.filters.extend(wish.filters)
            for name, _ in wish.filters:
                line.session.subscribed[name] = line.session.subscribed.get(name, 0) + 1
            self.trace.changed.notify_all()
        line.write(packets.granted(packets.SUBACK, wish))
        for name, payload in list(self._retained.items()):
            if any(matches(wanted, name) for wanted, _ in wish.filters):
                line.write(packets.publish(name, payload, packet_id=line.next_id(), retain=True))

    def _take(self, line: _Line, message: Message) -> None:
        if message.qos > 1:
            raise packets.BadPacket(f"QoS {message.qos} on {message.topic}, although this broker grants 1 at most")
        trace = self.trace
        parts = message.topic.split("/")
        own = parts[:-1] == [*ROOT.split("/"), trace.site, trace.terminal]
        at_s, wall_s = clocks()
        with trace.changed:
            heard = Heard(
                trace.head + 1, at_s, wall_s, line.session.number, message.topic, parts[-1] if own else "",
                message.payload, message.qos, message.retain, message.content_type,
            )  # fmt: skip
            keys = trace.take(heard)
            waiting = len(line.withheld) + (1 if message.qos else 0)
            line.session.unacknowledged_peak = max(line.session.unacknowledged_peak, waiting)
            trace.changed.notify_all()
        if message.qos and self._withhold:
            line.withheld.append(message.packet_id)
        elif message.qos:
            line.write(packets.puback(message.packet_id))
        self.listener.heard(heard, keys)


class _Stream:
    """Whole packets out of a connection; raises `EOFError` at its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def packet(self) -> tuple[int, int, bytes]:
        """Wait for the next packet: kind, flags, body."""
        first = self._take(1)[0]
        length = shift = 0
        while True:
            byte = self._take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 21:  # noqa: PLR2004 - four bytes of seven bits
                raise packets.BadPacket("a length of more than four bytes")
        if length > packets.PACKET_BYTES_MAX:
            raise packets.BadPacket(f"a packet of {length} bytes; this broker takes {packets.PACKET_BYTES_MAX}")
        return first >> 4, first & 0x0F, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            received = self._connection.recv(65_536)
            if not received:
                raise EOFError
            self._buffer += received
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic falls under a filter."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in {"+", levels[index]}:
            return False
    return len(wanted) == len(levels)
