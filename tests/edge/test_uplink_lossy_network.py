"""The uplink over a network that loses, doubles and reorders, to a central that is put back: it always converges."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.transport.ranges import Ranges
from edge_agent.transport.uplink import Announce, Output, Publish, Reconnect, Uplink
from edge_agent.wire.codec import split_batch
from edge_agent.wire.messages import Ack
from simulators.uplink_bench import MemoryJournal, ack_of


@dataclass
class Network:
    """A broker and a central that lose, double and reorder what they are given; the terminal's connection breaks."""

    journal: MemoryJournal
    chance: random.Random
    loss: float
    doubling: float
    now: float = 0.0
    held: Ranges = field(default_factory=Ranges)
    seen: dict[int, bytes] = field(default_factory=dict)
    epoch: int = 1
    to_central: list[Publish] = field(default_factory=list)
    to_edge: list[Ack] = field(default_factory=list)
    pubacks: list[int] = field(default_factory=list)
    up: bool = False

    def carry(self, outputs: list[Output], uplink: Uplink) -> None:
        for output in outputs:
            if isinstance(output, Reconnect):
                self.up = False
                self.carry(uplink.disconnected(), uplink)
            elif isinstance(output, Announce):
                self.answer()
            elif isinstance(output, Publish):
                self.pubacks.append(output.handle)
                for _ in range(1 + (self.chance.random() < self.doubling)):
                    if self.chance.random() >= self.loss:
                        self.to_central.insert(self.chance.randint(0, len(self.to_central)), output)

    def receive(self) -> None:
        batch = self.to_central.pop(0)
        for seq, event in zip(range(batch.first, batch.last + 1), split_batch(batch.payload), strict=True):
            assert self.seen.setdefault(seq, event) == event
            self.held.add(seq, seq)
        self.answer()

    def answer(self) -> None:
        ranges = self.held.as_list()
        durable = ranges[0][1] if ranges and ranges[0][0] == 1 else 0
        have = [pair for pair in ranges if pair[0] > durable]
        if self.chance.random() >= self.loss:
            place = self.chance.randint(0, len(self.to_edge))
            self.to_edge.insert(place, ack_of(durable, have, epoch=self.epoch))

    def restore_backup(self) -> None:
        """Central forgets the newer half of what it had."""
        last = max(self.seen, default=0) // 2
        self.seen = {seq: event for seq, event in self.seen.items() if seq <= last}
        self.held = Ranges((seq, seq) for seq in self.seen)
        self.epoch += 1

    def step(self, uplink: Uplink) -> None:
        self.now += self.chance.choice([0.0, 0.1, 1.0, 30.0])
        match self.chance.randint(0, 7):
            case 0 if not self.up:
                self.up = True
                self.carry(uplink.connected(self.now, receive_maximum=self.chance.choice([1, 10, 65535])), uplink)
            case 1 if self.up and self.chance.random() < 0.2:
                self.up = False
                self.pubacks.clear()
                self.carry(uplink.disconnected(), uplink)
            case 2 | 3 if self.to_central:
                self.receive()
            case 4 if self.pubacks and self.up:
                handle = self.pubacks.pop(self.chance.randrange(len(self.pubacks)))
                self.carry(uplink.puback(handle, self.now), uplink)
            case 5 if self.to_edge:
                self.carry(uplink.acknowledged(self.to_edge.pop(0), self.now), uplink)
            case _:
                self.carry(uplink.tick(self.now), uplink)

    def settle(self, uplink: Uplink, *, rounds_max: int = 3_000) -> None:
        """No more faults: everything must arrive."""
        self.loss = self.doubling = 0.0
        for _ in range(rounds_max):
            if not self.up:
                self.up = True
                self.carry(uplink.connected(self.now), uplink)
            while self.pubacks:
                self.carry(uplink.puback(self.pubacks.pop(0), self.now), uplink)
            while self.to_central:
                self.receive()
            while self.to_edge:
                self.carry(uplink.acknowledged(self.to_edge.pop(0), self.now), uplink)
            if self.journal.durable == self.journal.head_seq:
                return
            self.answer()
            self.now = max(self.now, uplink.wakes_at() or self.now) + 0.1
            self.carry(uplink.tick(self.now), uplink)


@pytest.mark.promise("DUR-03")
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.6),
    doubling=st.floats(0, 0.5),
    backlog=st.integers(0, 700),
    steps=st.integers(1, 300),
    restored=st.booleans(),
)
def test_everything_is_acknowledged_over_a_network_that_loses_doubles_and_reorders(
    *, seed: int, loss: float, doubling: float, backlog: int, steps: int, restored: bool
) -> None:
    """Mutants: a timed-out batch is not sent again; `have` counts as durable; a reconnect forgets what was waiting."""
    journal = MemoryJournal()
    journal.append(backlog)
    uplink = Uplink(journal)
    chance = random.Random(seed)
    network = Network(journal, chance, loss, doubling)
    for number in range(steps):
        if chance.random() < 0.3:
            journal.append(chance.choice([1, 1, 1, 80]))
            network.carry(uplink.appended(network.now), uplink)
        if restored and number == steps // 2:
            network.restore_backup()
        network.step(uplink)
    network.settle(uplink)
    assert journal.durable == journal.head_seq
    assert uplink.unacknowledged == 0
    assert network.seen == {record.seq: record.bytes for record in journal.records}
