"""An MQTT broker without a memory, and the network around it: it drops, doubles, delays, reorders, and is cut.

What the broker took it may lose: a restart forgets sessions, queues and retained messages. To workers it delivers each
message to one of them, and again to another when the first one died without a PUBACK.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.wire.topics import CENTRAL_STATE

if TYPE_CHECKING:
    from simulators.virtual.link import VirtualLink
    from simulators.virtual.worker import Worker
    from simulators.virtual.world import World

DELAY_S_MAX = 0.08
LATE_S_MAX = 40.0
LATE_SHARE = 0.01
LOST_SHARE = 0.02
DOUBLED_SHARE = 0.02
QUEUE_MAX = 100_000
WORKER_INFLIGHT_MAX = 200


@dataclass(frozen=True, slots=True)
class Packet:
    """One message on its way to central."""

    topic: str
    payload: bytes
    qos: int


class Broker:
    """Sessions by client, one queue for the workers' group, and what is retained for everybody."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("network")
        self.lossy = False
        """Whether the network drops, doubles and delays beyond what is usual."""
        self.up = True
        self.cut: set[str] = set()
        """Terminals that cannot reach the broker."""
        self._sessions: dict[str, VirtualLink] = {}
        self._retained: dict[str, bytes] = {}
        self._queue: deque[Packet] = deque()
        self._workers: list[Worker] = []

    def delay_s(self) -> float:
        """Draw how long a message takes."""
        if self.lossy and self._chance.random() < LATE_SHARE:
            return self._chance.uniform(0, LATE_S_MAX)
        return self._chance.uniform(0.001, DELAY_S_MAX)

    def times(self) -> int:
        """Draw how often a message arrives."""
        if not self.lossy:
            return 1
        drawn = self._chance.random()
        if drawn < LOST_SHARE:
            return 0
        return 2 if drawn < LOST_SHARE + DOUBLED_SHARE else 1

    def reachable(self, terminal: str) -> bool:
        """Whether a terminal can connect now."""
        return self.up and terminal not in self.cut

    def connect(self, link: VirtualLink) -> None:
        """Open a session; who had it before under this name is put out."""
        before = self._sessions.get(link.client_id)
        self._sessions[link.client_id] = link
        if before is not None and before is not link:
            self._world.saw("session taken over")
            before.lose("another client took the session over")
        if CENTRAL_STATE in self._retained:
            self.send(link.client_id, CENTRAL_STATE, self._retained[CENTRAL_STATE])

    def disconnect(self, link: VirtualLink) -> None:
        """Forget a session."""
        if self._sessions.get(link.client_id) is link:
            del self._sessions[link.client_id]

    def arrive(self, packet: Packet) -> bool:
        """Take a terminal's message for the workers; return whether it was taken."""
        if not self.up or len(self._queue) >= QUEUE_MAX:
            return False
        self._queue.append(packet)
        self.deliver()
        return True

    def deliver(self) -> None:
        """Hand what waits to workers that have room."""
        while self._queue and self.up:
            ready = [one for one in self._workers if one.in_flight < WORKER_INFLIGHT_MAX]
            if not ready:
                return
            worker = ready[0] if len(ready) == 1 else self._chance.choice(ready)
            worker.receive(self._queue.popleft())

    def join(self, worker: Worker) -> bool:
        """Let a worker into the group; False while the broker is away."""
        if not self.up:
            return False
        self._workers.append(worker)
        return True

    def leave(self, worker: Worker, unanswered: list[Packet]) -> None:
        """A worker is gone: what it had not acknowledged is delivered again. Its will says that ingest is down."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        if unanswered:
            self._world.saw("delivered again to another worker")
        self._queue.extendleft(reversed([packet for packet in unanswered if packet.qos]))
        self.retain(CENTRAL_STATE, worker.offline())
        for other in self._workers:
            self._world.after(self.delay_s(), other.contradict)
        self.deliver()

    def retain(self, topic: str, payload: bytes) -> None:
        """Keep and send a message to every terminal."""
        if not self.up:
            return
        self._retained[topic] = payload
        for client in list(self._sessions):
            self.send(client, topic, payload)

    def send(self, client: str, topic: str, payload: bytes) -> None:
        """Send to one terminal, if it is connected when it gets there."""
        link = self._sessions.get(client)
        if link is None or not self.up:
            self._world.saw("nobody was there to take an answer")
            return
        for _ in range(self.times()):
            self._world.after(self.delay_s(), link.receive, link.connection, topic, payload)

    def restart(self, down_s: float) -> None:
        """Die with everything in it, and come back after a while."""
        self._world.note("broker", f"dies with {len(self._queue)} messages and comes back in {down_s:.1f} s")
        self._world.saw("broker lost what it had taken" if self._queue else "broker died")
        self.up = False
        self._queue.clear()
        self._retained.clear()
        sessions, self._sessions = list(self._sessions.values()), {}
        workers, self._workers = list(self._workers), []
        for link in sessions:
            self._world.after(self.delay_s(), link.lose, "the broker is gone")
        for worker in workers:
            worker.lost_broker()
        self._world.after(down_s, self._start)

    def _start(self) -> None:
        self.up = True
