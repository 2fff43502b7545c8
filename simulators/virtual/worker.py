"""A central worker in virtual time: takes batches, commits, then acknowledges. It may die between any two of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.attendance.batch import Message
from edge_agent.wire.codec import encode
from edge_agent.wire.messages import CentralState
from edge_agent.wire.topics import CENTRAL_STATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.virtual.broker import Broker, Packet
    from simulators.virtual.database import VirtualDatabase
    from simulators.virtual.world import World

BATCH_MESSAGES_MAX = 50
WAIT_S_MAX = 0.2
COMMIT_S_MAX = 0.05
RETRY_S = 2.0


class Central:
    """What all workers share: the database, whether it answers, and its backups."""

    def __init__(self, world: World, database: VirtualDatabase) -> None:
        self.world = world
        self.database = database
        self.up = True


class Worker:
    """One worker process; `start` it again after `die`."""

    def __init__(self, name: str, central: Central, broker: Broker) -> None:
        self._name = name
        self._central = central
        self._world = central.world
        self._broker = broker
        self._chance = central.world.chance(f"worker {name}")
        self._inbox: list[Packet] = []
        self._held: list[Packet] = []
        """Committed, or on the way there, and not acknowledged to the broker."""
        self._life = 0
        self._joined = False
        self._busy = False
        self._epoch = 0
        self._doom: Callable[[], None] | None = None
        self.alive = False

    @property
    def in_flight(self) -> int:
        """How many messages the broker has given and not had acknowledged."""
        return len(self._inbox) + len(self._held)

    def start(self) -> None:
        """Begin a new life."""
        self._life += 1
        self.alive = True
        self._epoch = self._central.database.tables.epoch
        self._join(self._life)

    def _join(self, life: int) -> None:
        if life != self._life or self._joined:
            return
        if not self._broker.join(self):
            self._world.after(1.0, self._join, life)
            return
        self._joined = True
        self._say_online()
        self._broker.deliver()

    def die(self) -> None:
        """End here: what was not acknowledged goes back to the broker."""
        self._world.note(self._name, f"dies holding {self.in_flight} messages")
        if self._held:
            self._world.saw("worker died between commit and acknowledgement")
        self._life += 1
        self.alive = self._joined = self._busy = False
        unanswered = [*self._held, *self._inbox]
        self._held, self._inbox = [], []
        self._broker.leave(self, unanswered)

    def die_once_committed(self, afterwards: Callable[[], None]) -> None:
        """Let it end when it has next committed, before it acknowledges; by chance alone few seeds hit that moment."""
        self._doom = afterwards

    def spare(self) -> None:
        """Take back what was said of its end."""
        self._doom = None

    def lost_broker(self) -> None:
        """The broker is gone, with it what it had given; what is being stored is stored all the same."""
        self._inbox.clear()
        self._joined = False
        self._world.after(1.0, self._join, self._life)

    def receive(self, packet: Packet) -> None:
        """Take a message into the inbox."""
        self._inbox.append(packet)
        if not self._busy:
            self._busy = True
            self._world.after(self._chance.uniform(0.001, WAIT_S_MAX), self._take, self._life)

    def _take(self, life: int) -> None:
        if life != self._life:
            return
        if not self._central.up:
            self._world.after(RETRY_S, self._take, life)
            return
        taken = self._chance.randint(1, BATCH_MESSAGES_MAX)
        batch, self._inbox = self._inbox[:taken], self._inbox[taken:]
        self._held = batch
        answers = self._central.database.transact(
            [Message(packet.topic, packet.payload) for packet in batch], now=self._world.now
        )
        if answers.stored:
            self._world.note(self._name, f"stores {answers.stored} events, folds {answers.refolded} persons from zero")
        if answers.refolded:
            self._world.saw("presence folded from zero")
        if self._doom is not None:
            afterwards, self._doom = self._doom, None
            self.die()
            afterwards()
            return
        self._world.after(self._chance.uniform(0.001, COMMIT_S_MAX), self._answer, life, answers.acks, answers.epoch)

    def _answer(self, life: int, acks: list[tuple[str, bytes]], epoch: int) -> None:
        if life != self._life:
            return
        self._held = []
        for topic, payload in acks:
            self._broker.send(topic.split("/")[3], topic, payload)
        if epoch != self._epoch:
            self._epoch = epoch
            self._world.note(self._name, f"epoch {epoch}")
            self._world.saw("epoch rose")
            self._say_online()
        self._busy = bool(self._inbox)
        if self._busy:
            self._world.after(self._chance.uniform(0.001, WAIT_S_MAX), self._take, life)
        self._broker.deliver()

    def _say_online(self) -> None:
        self._broker.retain(CENTRAL_STATE, self._state(online=True))

    def contradict(self) -> None:
        """Another worker's will says that ingest is down: it is not, we are here."""
        if self.alive and self._joined:
            self._say_online()

    def offline(self) -> bytes:
        """Write the will."""
        return self._state(online=False)

    def _state(self, *, online: bool) -> bytes:
        return encode(CentralState(online=online, epoch=self._epoch, at=self._world.now))
