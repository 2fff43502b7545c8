"""What central tells the terminal: signed rosters and commands, the open incident. Each may come several times."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING

import msgspec

from edge_agent.journal.record import JournalFailed, JournalFull
from edge_agent.loops.roster_store import UNUSABLE
from edge_agent.tap.roster import RosterGap, RosterOld
from edge_agent.wire.codec import decode
from edge_agent.wire.messages import ROSTER_APPLIED, Incident
from edge_agent.wire.topics import incident_topic, roster_topic

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from edge_agent.journal.store import Journal
    from edge_agent.loops.board import Board
    from edge_agent.loops.commands import Commands
    from edge_agent.loops.incident_store import IncidentStore
    from edge_agent.loops.roster_store import RosterStore
    from edge_agent.output.base import ScreenKind
    from edge_agent.supervisor import Heart
    from edge_agent.transport.mqtt import MqttLink

WAIT_S_MAX = 1.0
MESSAGES_WAITING_MAX = 64
ASK_AGAIN_S_MIN = 10.0
"""A topic is asked for again at most this often: central may send a delta each second that we cannot use."""


class DownlinkLoop:
    """Applies rosters and incidents and answers commands, in order of arrival. `post` may be called from any thread."""

    def __init__(  # noqa: PLR0913 - the two files it keeps, who answers, and whom it tells
        self,
        *,
        site: str,
        journal: Journal,
        board: Board,
        store: RosterStore,
        incidents: IncidentStore,
        commands: Commands,
        tell_screens: Callable[[ScreenKind], None],
        appended: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._roster_topic = roster_topic(site)
        self._incident_topic = incident_topic(site)
        self._journal = journal
        self._board = board
        self._store = store
        self._incidents = incidents
        self._commands = commands
        self._tell_screens = tell_screens
        self._appended = appended
        self._log = log
        self._inbox: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._missed = False
        self._wanted: set[str] = set()
        self._asked_at: dict[str, float] = {}
        self._link: MqttLink | None = None

    @property
    def subscriptions(self) -> list[str]:
        """Topics that this loop must hear."""
        return [self._roster_topic, self._incident_topic, self._commands.topic]

    def use(self, link: MqttLink) -> None:
        """Name the link on which to ask again."""
        self._link = link

    def post(self, topic: str, payload: bytes) -> None:
        """Take a message; when too many wait it is left out and asked for again."""
        if self._inbox.qsize() >= MESSAGES_WAITING_MAX:
            self._missed = True
            return
        self._inbox.put((topic, payload))

    def run(self, stop: threading.Event, heart: Heart) -> None:
        """Apply what arrives until `stop`."""
        while not stop.is_set():
            heart.beat()
            self._ask_again(time.monotonic())
            try:
                topic, payload = self._inbox.get(timeout=WAIT_S_MAX)
            except queue.Empty:
                self._catch_up()
                continue
            if topic == self._roster_topic:
                self._roster(payload)
            elif topic == self._incident_topic:
                self._incident(payload)
            elif topic == self._commands.topic and self._link is not None:
                self._commands.take(payload, self._link)

    def _catch_up(self) -> None:
        if self._missed:
            self._missed = False
            self._log.error("messages_missed", detail=f"more than {MESSAGES_WAITING_MAX} waited; asking for them again")
            self._wanted.update(self.subscriptions)

    def _ask_again(self, now: float) -> None:
        """Subscribe again to what is wanted, each topic once in a while; what it retains then arrives."""
        if self._link is None:
            return
        for topic in sorted(self._wanted):
            if now - self._asked_at.get(topic, float("-inf")) >= ASK_AGAIN_S_MIN:
                self._wanted.discard(topic)
                self._asked_at[topic] = now
                self._link.ask_again(topic)

    def _roster(self, payload: bytes) -> None:
        if not payload:
            self._log.info("roster_withdrawn", detail="central retains no roster; the one held stays in use")
            return
        held = self._board.roster
        try:
            view = self._store.accept(held, payload)
        except RosterGap as exc:
            if self._roster_topic not in self._wanted:
                self._log.error("roster_gap", reason=str(exc))
            self._wanted.add(self._roster_topic)
            return
        except RosterOld as exc:
            self._log.info("roster_old", reason=str(exc))
            return
        except UNUSABLE as exc:
            self._log.error("roster_refused", reason=str(exc), kept_version=held.version)
            return
        self._wanted.discard(self._roster_topic)
        if view is held:
            return
        self._board.roster = view
        if self._store.trouble:
            self._log.error("roster_not_stored", version=view.version, reason=self._store.trouble)
        self._log.info("roster_applied", version=view.version, cards=len(view.entries), inside=len(view.inside))
        try:
            self._journal.append(type_=ROSTER_APPLIED, data={"version": view.version})
        except (JournalFull, JournalFailed) as exc:
            self._log.error("roster_event_not_recorded", version=view.version, reason=str(exc))
        else:
            self._appended()
        self._tell_screens("idle")

    def _incident(self, payload: bytes) -> None:
        try:
            incident = decode(payload, Incident) if payload else None
        except (msgspec.DecodeError, ValueError) as exc:
            self._log.error("incident_not_understood", reason=str(exc))
            return
        if incident == self._board.incident:
            return
        self._board.incident = incident
        trouble = self._incidents.keep(incident)
        if trouble is not None:
            self._log.error("incident_not_stored", reason=trouble)
        self._log.info("incident", id=incident.id if incident else None, kind=incident.kind if incident else "closed")
        self._tell_screens("incident")
