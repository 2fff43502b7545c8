"""Drives the pure uplink protocol with the real journal, the real link and the real time. One thread owns it."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.journal.record import ForkedJournal, JournalFailed, JournalFull
from edge_agent.transport.mqtt import Connected, Disconnected, NotConnected, Published, Received
from edge_agent.transport.uplink import Alarm, Announce, Publish, Reconnect, Uplink
from edge_agent.wire.codec import decode
from edge_agent.wire.messages import BATCH_CONTENT_TYPE, Ack, CentralState
from edge_agent.wire.topics import CENTRAL_STATE

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from edge_agent.journal.record import Record
    from edge_agent.journal.store import Journal
    from edge_agent.loops.board import Board
    from edge_agent.loops.herald import Herald
    from edge_agent.supervisor import Heart
    from edge_agent.transport.mqtt import LinkReport, MqttLink
    from edge_agent.transport.uplink import Output, UplinkLimits
    from edge_agent.wire.topics import TerminalKind

WAIT_S_MAX = 1.0


class Appended:
    """Said by the gate: the journal has grown."""


_APPENDED: Final = Appended()


class JournalSource:
    """The journal as the protocol wants it: a refusal is a sentence, not an exception."""

    def __init__(self, journal: Journal, log: FilteringBoundLogger) -> None:
        self._journal = journal
        self._log = log

    @property
    def journal_id(self) -> str:
        """Whose numbers these are."""
        return self._journal.journal_id

    @property
    def head_seq(self) -> int:
        """The newest number."""
        return self._journal.head.seq

    @property
    def durable(self) -> int:
        """The cursor."""
        return self._journal.cursor.durable

    @property
    def have(self) -> Sequence[tuple[int, int]]:
        """Ranges beyond the cursor that central holds."""
        return self._journal.cursor.have

    def read(self, after: int, *, events_max: int, bytes_max: int) -> Sequence[Record]:
        """Return the next records beyond `after`."""
        return self._journal.read(after, events_max=events_max, bytes_max=bytes_max)

    def acknowledge(self, ack: Ack) -> str | None:
        """Move the cursor, or say why the acknowledgement contradicts our chain."""
        try:
            self._journal.acknowledge(ack)
        except ForkedJournal as exc:
            return str(exc)
        except (JournalFailed, JournalFull) as exc:
            # The cursor stays where it was: central repeats its acknowledgement, and the records are kept meanwhile.
            self._log.error("cursor_not_moved", reason=str(exc))
        return None


class UplinkLoop:
    """Sends the journal. `post` and `appended` may be called from any thread; everything else is the loop's own."""

    def __init__(
        self,
        *,
        herald: Herald,
        journal: Journal,
        board: Board,
        tell_screens: Callable[[], None],
        pass_down: Callable[[str, bytes], None],
        log: FilteringBoundLogger,
        limits: UplinkLimits | None = None,
    ) -> None:
        self._source = JournalSource(journal, log)
        self._limits = limits
        self._herald = herald
        self._board = board
        self._tell_screens = tell_screens
        self._pass_down = pass_down
        self._log = log
        self._inbox: queue.SimpleQueue[LinkReport | Appended] = queue.SimpleQueue()
        self._growth_told = False
        self._uplink = Uplink(self._source, limits)
        self._handles: dict[int, int] = {}
        self._connection = 0
        self._lost_by = ""
        """Why there is no connection, as told last."""
        self._link: MqttLink | None = None
        self._announced: int | None = None
        self._failed_before = False

    @property
    def subscriptions(self) -> list[str]:
        """Topics that this loop must hear."""
        return [self._herald.topic("ack"), CENTRAL_STATE]

    @property
    def announced(self) -> int | None:
        """The connection on which the birth has been sent, or None: nothing else may be said before it."""
        return self._announced

    @property
    def to_be_asked_for(self) -> int:
        """Count of records that the journal could not give, and that it is asked for again in a while."""
        return self._uplink.to_be_asked_for

    @property
    def unacknowledged(self) -> int:
        """Records that central's database is not known to hold."""
        return self._uplink.unacknowledged

    def use(self, link: MqttLink) -> None:
        """Name the link to send on; before `run`."""
        self._link = link

    def post(self, report: LinkReport) -> None:
        """Take what the link has to say."""
        self._inbox.put(report)

    def appended(self) -> None:
        """Wake the loop: the journal has grown. However often it is called, one note waits."""
        if not self._growth_told:
            self._growth_told = True
            self._inbox.put(_APPENDED)

    def run(self, stop: threading.Event, heart: Heart) -> None:
        """Send until `stop`."""
        if self._failed_before:
            self.start_over()
        self._failed_before = True
        while not stop.is_set():
            heart.beat()
            item = self._next()
            self.step(item, time.monotonic())

    def start_over(self) -> None:
        """After a failure of this loop: the protocol starts with a connection, so it gets a new one."""
        self._uplink = Uplink(self._source, self._limits)
        self._connection, self._announced = 0, None
        if self._link is not None:
            self._link.drop()

    def step(self, item: LinkReport | Appended | None, now: float) -> None:
        """Take one report, or None to do what is due, and carry out what follows; `now` in monotonic seconds."""
        self._carry_out(self._uplink.tick(now) if item is None else self._take(item, now))

    def wakes_at(self) -> float | None:
        """Say when something is due although nobody reports anything, or None."""
        return self._uplink.wakes_at()

    def _next(self) -> LinkReport | Appended | None:
        wakes_at = self._uplink.wakes_at()
        wait_s = WAIT_S_MAX if wakes_at is None else min(WAIT_S_MAX, wakes_at - time.monotonic())
        try:
            return self._inbox.get(timeout=max(0.0, wait_s))
        except queue.Empty:
            return None

    def _take(self, item: LinkReport | Appended, now: float) -> list[Output]:
        match item:
            case Appended():
                self._growth_told = False
                return self._uplink.appended(now)
            case Connected(connection, receive_maximum):
                self._connection, self._announced = connection, None
                self._handles.clear()
                self._board.link_up = True
                self._tell_screens()
                self._log.info("link_up", receive_maximum=receive_maximum)
                return self._uplink.connected(now, receive_maximum=receive_maximum)
            case Disconnected(reason):
                self._lost(reason)
                return self._uplink.disconnected()
            case Published(mid, refused):
                handle = self._handles.pop(mid, None)
                return [] if handle is None else self._uplink.puback(handle, now, refused=refused)
            case Received(topic, payload):
                return self._receive(topic, payload, now)

    def _lost(self, reason: str) -> None:
        if self._board.link_up or self._connection or reason != self._lost_by:
            self._log.warning("link_down", reason=reason)
        else:
            self._log.debug("link_still_down", reason=reason)
        self._lost_by = reason
        self._connection, self._announced = 0, None
        self._handles.clear()
        if self._board.link_up:
            self._board.link_up = False
            self._tell_screens()

    def _receive(self, topic: str, payload: bytes, now: float) -> list[Output]:
        if topic not in self.subscriptions:
            self._pass_down(topic, payload)
            return []
        try:
            if topic == CENTRAL_STATE:
                return self._uplink.central(now, online=decode(payload, CentralState).online) if payload else []
            outputs = self._uplink.acknowledged(decode(payload, Ack), now)
        except (msgspec.DecodeError, ValueError) as exc:
            self._log.error("message_not_understood", topic=topic, reason=str(exc))
            return []
        if self._uplink.forked != self._board.forked:
            self._board.forked = self._uplink.forked
            self._tell_screens()
        return outputs

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            try:
                self._do(output)
            except NotConnected as exc:
                # Its report is on the way; the protocol then sends again what was not acknowledged.
                self._log.debug("not_sent", reason=str(exc))
                return

    def _do(self, output: Output) -> None:
        match output:
            case Announce():
                self._send("birth", self._herald.birth())
                self._announced = self._connection
                self._send("state", self._herald.state(online=True), retain=True)
            case Publish():
                mid = self._send(output.lane, output.payload, content_type=BATCH_CONTENT_TYPE)
                self._handles[mid] = output.handle
            case Alarm(kind, detail):
                self._log.error(kind, detail=detail)
            case Reconnect(reason):
                self._log.error("link_dropped", reason=reason)
                if self._link is not None:
                    self._link.drop()

    def _send(
        self, kind: TerminalKind, payload: bytes, *, retain: bool = False, content_type: str = "application/json"
    ) -> int:
        if self._link is None:
            raise NotConnected("no link was given to the uplink loop")
        return self._link.publish(
            self._herald.topic(kind), payload, retain=retain, content_type=content_type, connection=self._connection
        )
