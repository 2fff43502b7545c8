"""Says every few seconds how the terminal is, and watches the clock: a step and a first synchronisation are events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_agent.journal.record import JournalFailed, JournalFull
from edge_agent.timekeeping import ClockWatch
from edge_agent.transport.mqtt import NotConnected

if TYPE_CHECKING:
    import threading

    from structlog.typing import FilteringBoundLogger

    from edge_agent.clock import Clock, Reading
    from edge_agent.journal.store import Journal
    from edge_agent.loops.herald import Herald
    from edge_agent.loops.uplink import UplinkLoop
    from edge_agent.supervisor import Heart
    from edge_agent.timekeeping import ClockNews
    from edge_agent.transport.mqtt import MqttLink

BEAT_S = 10.0


class HeartbeatLoop:
    """Publishes heartbeats on a period; never blocks the gate."""

    def __init__(
        self,
        *,
        period_s: float,
        herald: Herald,
        journal: Journal,
        clock: Clock,
        uplink: UplinkLoop,
        link: MqttLink,
        log: FilteringBoundLogger,
        watch: ClockWatch | None = None,
    ) -> None:
        self._period_s = period_s
        self._herald = herald
        self._journal = journal
        self._uplink = uplink
        self._link = link
        self._log = log
        self._watch = watch or ClockWatch(clock)

    def run(self, stop: threading.Event, heart: Heart) -> None:
        """Beat until `stop`."""
        due_at = time.monotonic()
        while not stop.is_set():
            heart.beat()
            now = time.monotonic()
            if now >= due_at:
                self.turn(now)
                due_at = now + self._period_s
            stop.wait(min(BEAT_S, due_at - now))

    def turn(self, now: float) -> None:
        """Look at the clock and say how the terminal is; `now` in monotonic seconds."""
        self._watch.look(self._record)
        self._say(now)

    def _say(self, now: float) -> None:
        connection = self._uplink.announced
        if connection is None:
            return
        payload = self._herald.heartbeat(now=now)
        try:
            self._link.publish(self._herald.topic("heartbeat"), payload, qos=0, connection=connection)
        except NotConnected as exc:
            self._log.debug("heartbeat_not_sent", reason=str(exc))

    def _record(self, news: ClockNews, reading: Reading) -> bool:
        try:
            self._journal.append(type_=news.type, data=news.data, reading=reading)
        except (JournalFull, JournalFailed) as exc:
            self._log.error("clock_event_not_recorded", type=news.type, reason=str(exc))
            return False
        self._uplink.appended()
        return True
