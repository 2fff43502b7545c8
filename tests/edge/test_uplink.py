"""The uplink protocol in virtual time: what leaves, in which order, what is repeated, and that it always converges."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.transport.link import Link, LinkEvent, LinkState, step
from edge_agent.transport.ranges import Ranges
from edge_agent.transport.uplink import Alarm, Announce, Output, Publish, Reconnect, Uplink, UplinkLimits
from edge_agent.wire.codec import GENESIS_HASH, split_batch
from edge_agent.wire.messages import BATCH_BYTES_MAX, EVENTS_A_BATCH_MAX, Ack

if TYPE_CHECKING:
    from collections.abc import Sequence

JOURNAL = "01980000-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Stored:
    seq: int
    bytes: bytes


@dataclass
class MemoryJournal:
    """A journal in memory: its cursor moves as the real one's does."""

    records: list[Stored] = field(default_factory=list)
    durable: int = 0
    have: Sequence[tuple[int, int]] = ()
    epoch: int = 0
    damaged: set[int] = field(default_factory=set)
    refusal: str | None = None
    journal_id: str = JOURNAL

    @property
    def head_seq(self) -> int:
        return len(self.records)

    def append(self, count: int = 1, *, size: int = 40) -> None:
        for _ in range(count):
            seq = len(self.records) + 1
            body = f'{{"sequence":"{seq:020d}","pad":"'.encode()
            self.records.append(Stored(seq, body + b"x" * max(0, size - len(body) - 2) + b'"}'))

    def read(self, after: int, *, events_max: int, bytes_max: int) -> list[Stored]:
        found: list[Stored] = []
        total = 0
        for record in self.records[after : after + events_max]:
            if record.seq in self.damaged:
                continue
            total += len(record.bytes)
            if total > bytes_max and found:
                break
            found.append(record)
        return found

    def acknowledge(self, ack: Ack) -> str | None:
        if self.refusal:
            return self.refusal
        if ack.epoch < self.epoch or (ack.epoch == self.epoch and ack.durable < self.durable):
            return None
        self.durable, self.have, self.epoch = ack.durable, tuple(ack.have), ack.epoch
        return None


def ack_of(durable: int, have: Sequence[tuple[int, int]] = (), *, epoch: int = 0, journal_id: str = JOURNAL) -> Ack:
    return Ack(journal_id=journal_id, durable=durable, hash=GENESIS_HASH, have=list(have), epoch=epoch)


def published(outputs: list[Output]) -> list[Publish]:
    return [output for output in outputs if isinstance(output, Publish)]


def alarms(outputs: list[Output]) -> list[str]:
    return [output.kind for output in outputs if isinstance(output, Alarm)]


def spans(outputs: list[Output]) -> list[tuple[str, int, int]]:
    return [(one.lane, one.first, one.last) for one in published(outputs)]


def test_the_birth_is_the_first_thing_said_on_every_connection() -> None:
    journal = MemoryJournal()
    journal.append(3)
    uplink = Uplink(journal)
    for now in (0.0, 10.0):
        outputs = uplink.connected(now)
        assert isinstance(outputs[0], Announce)
        assert spans(outputs) == [("events", 1, 3)]
        uplink.disconnected()


def test_a_tap_leaves_at_once_as_the_journals_own_bytes() -> None:
    journal = MemoryJournal()
    uplink = Uplink(journal)
    uplink.connected(0.0)
    journal.append()
    (batch,) = published(uplink.appended(1.0))
    assert batch.lane == "events"
    assert split_batch(batch.payload) == [journal.records[0].bytes]


def test_nothing_leaves_without_a_connection() -> None:
    journal = MemoryJournal()
    journal.append(10)
    uplink = Uplink(journal)
    assert uplink.appended(0.0) == uplink.tick(100.0) == []
    assert uplink.wakes_at() is None


def test_with_a_backlog_the_newest_overtakes_and_the_oldest_goes_up_in_order() -> None:
    journal = MemoryJournal()
    journal.append(1000)
    outputs = Uplink(journal).connected(0.0)
    live = [(first, last) for lane, first, last in spans(outputs) if lane == "live"]
    events = [(first, last) for lane, first, last in spans(outputs) if lane == "events"]
    assert live[:2] == [(937, 1000), (873, 936)]
    assert events[:2] == [(1, 64), (65, 128)]
    assert spans(outputs)[0][0] == "live", "the newest goes first"


def test_the_lanes_meet_and_send_each_record_once() -> None:
    journal = MemoryJournal()
    journal.append(1000)
    uplink = Uplink(journal, UplinkLimits(outstanding_events_min=1024))
    sent: list[int] = []
    outputs = uplink.connected(0.0)
    while batches := published(outputs):
        outputs = []
        for batch in batches:
            sent += range(batch.first, batch.last + 1)
            outputs += uplink.puback(batch.handle, 0.1)
    assert sorted(sent) == list(range(1, 1001))


def test_a_tap_during_a_backlog_needs_not_wait_for_central() -> None:
    """The room for sent and unacknowledged records is full; a new tap leaves all the same."""
    journal = MemoryJournal()
    journal.append(5000)
    uplink = Uplink(journal, UplinkLimits(outstanding_events_max=128))
    outputs = uplink.connected(0.0)
    for batch in published(outputs):
        uplink.puback(batch.handle, 0.1)
    assert published(uplink.tick(0.2)) == []
    journal.append()
    assert spans(uplink.appended(0.3))[0][2] == 5001


def outstanding_at_steady_state(*, answer_s: float) -> int:
    """Let central acknowledge everything `answer_s` after it left, again and again; say how much leaves at a time."""
    journal = MemoryJournal()
    journal.append(60_000)
    uplink = Uplink(journal, UplinkLimits(fresh_events_max=0))
    held, now, leaving = Ranges(), 0.0, published(uplink.connected(0.0))
    for _ in range(20):
        for batch in leaving:  # grows while it is walked: each broker's answer lets the next batch leave
            held.add(batch.first, batch.last)
            leaving += published(uplink.puback(batch.handle, now))
        events = sum(batch.last - batch.first + 1 for batch in leaving)
        now += answer_s
        (_, durable), *have = held.as_list()
        leaving = published(uplink.acknowledged(ack_of(durable, have), now))
    return events


def test_a_central_that_answers_at_once_is_sent_more_and_a_slow_one_less() -> None:
    """A thousand terminals that return together must not fill the broker with what they will only send again."""
    limits = UplinkLimits()
    assert outstanding_at_steady_state(answer_s=0.1) == limits.outstanding_events_max
    assert outstanding_at_steady_state(answer_s=limits.prompt_ack_s * 3) == limits.outstanding_events_min


def test_no_more_batches_are_on_the_way_than_the_broker_takes() -> None:
    journal = MemoryJournal()
    journal.append(5000)
    uplink = Uplink(journal, UplinkLimits(batches_in_flight_max=8, fresh_events_max=0))
    assert len(published(uplink.connected(0.0, receive_maximum=9))) <= 9 - 4
    uplink.disconnected()
    assert len(published(uplink.connected(1.0, receive_maximum=1))) <= 2


@pytest.mark.parametrize("size", [100, 2_100, 16_000])
def test_a_batch_keeps_the_contracts_limits(size: int) -> None:
    journal = MemoryJournal()
    journal.append(300, size=size)
    uplink = Uplink(journal)
    outputs = uplink.connected(0.0)
    assert spans(outputs)[0][2] == 300, "the newest record is in the first batch, however large records are"
    for batch in published(outputs):
        assert len(batch.payload) <= BATCH_BYTES_MAX
        assert len(split_batch(batch.payload)) <= EVENTS_A_BATCH_MAX


def test_what_the_broker_had_not_acknowledged_goes_again_on_the_next_connection() -> None:
    journal = MemoryJournal()
    journal.append(2)
    uplink = Uplink(journal)
    assert spans(uplink.connected(0.0)) == [("events", 1, 2)]
    uplink.disconnected()
    assert spans(uplink.connected(5.0)) == [("events", 1, 2)]


@pytest.mark.promise("DUR-03")
def test_the_brokers_acknowledgement_moves_no_cursor_and_central_silence_brings_the_records_again() -> None:
    """Mutant: `puback` calls the source's `acknowledge`, or drops what the broker has taken."""
    journal = MemoryJournal()
    journal.append(2)
    uplink = Uplink(journal, UplinkLimits(resend_after_s=20))
    (batch,) = published(uplink.connected(0.0))
    uplink.puback(batch.handle, 1.0)
    assert journal.durable == 0
    assert uplink.unacknowledged == 2
    assert published(uplink.tick(20.9)) == []
    assert spans(uplink.tick(21.1)) == [("events", 1, 2)]


def test_repetitions_slow_down_until_an_acknowledgement_arrives() -> None:
    journal = MemoryJournal()
    journal.append(1)
    uplink = Uplink(journal, UplinkLimits(resend_after_s=20, resend_after_s_max=80))
    outputs = uplink.connected(0.0)
    moments = []
    now = 0.0
    for _ in range(5):
        (batch,) = published(outputs)
        uplink.puback(batch.handle, now)
        due = uplink.wakes_at()
        assert due is not None
        moments.append(due - now)
        now = due
        outputs = uplink.tick(now)
    assert moments == [20, 40, 80, 80, 80]


def test_while_central_is_away_its_queue_is_not_filled_with_repetitions() -> None:
    journal = MemoryJournal()
    journal.append(1)
    uplink = Uplink(journal)
    (batch,) = published(uplink.connected(0.0))
    uplink.puback(batch.handle, 0.1)
    uplink.central(1.0, online=False)
    assert published(uplink.tick(600.0)) == []
    uplink.central(700.0, online=True)
    assert spans(uplink.tick(706.0)) == [("events", 1, 1)]


def test_an_acknowledgement_ends_the_waiting_and_have_spares_a_range() -> None:
    journal = MemoryJournal()
    journal.append(200)
    uplink = Uplink(journal)
    for batch in published(uplink.connected(0.0)):
        uplink.puback(batch.handle, 0.1)
    uplink.acknowledged(ack_of(64, [(100, 200)]), 0.2)
    assert uplink.unacknowledged == 200 - 64 - 101
    resent = published(uplink.tick(100.0))
    assert [(one.first, one.last) for one in resent] == [(65, 99)]
    uplink.acknowledged(ack_of(200), 100.1)
    for one in resent:
        uplink.puback(one.handle, 100.2)
    assert uplink.unacknowledged == 0
    assert uplink.wakes_at() is None


@pytest.mark.promise("DUR-03")
def test_an_hour_without_a_broker_costs_no_record_and_no_busy_dialling() -> None:
    """Mutant: what was on its way when the connection broke is taken for sent."""
    journal, link = MemoryJournal(), Link(LinkState.UP)
    journal.append(5)
    uplink = Uplink(journal)
    assert spans(uplink.connected(0.0)) == [("events", 1, 5)]
    uplink.disconnected()
    link = step(link, LinkEvent.LOSE, 0.0, key="gate-03")
    dials = 0
    for now in range(1, 3601):
        if now % 10 == 0:
            journal.append()
            assert uplink.appended(float(now)) == []
        assert uplink.tick(float(now)) == []
        if now >= link.dial_at:
            dials += 1
            link = step(step(link, LinkEvent.DIAL, now, key="gate-03"), LinkEvent.LOSE, now, key="gate-03")
    assert 80 <= dials <= 130
    assert uplink.unacknowledged == 5 + 360

    received: list[int] = []
    held = Ranges()
    waiting = published(uplink.connected(3601.0))
    assert (waiting[0].lane, waiting[0].last) == ("live", 365), "who is inside now is known before the hour's story"
    while waiting:
        batch = waiting.pop(0)
        received.extend(range(batch.first, batch.last + 1))
        held.add(batch.first, batch.last)
        first, *beyond = held.as_list()
        ack = ack_of(first[1], beyond) if first[0] == 1 else ack_of(0, [first, *beyond])
        waiting += published(uplink.puback(batch.handle, 3601.1)) + published(uplink.acknowledged(ack, 3601.2))
    assert sorted(received) == list(range(1, 366)), "each record once"
    assert uplink.unacknowledged == 0


@pytest.mark.promise("DUR-03")
def test_when_central_has_gone_back_in_time_the_records_go_again() -> None:
    """Mutant: an acknowledgement with a higher epoch and a lower `durable` is ignored."""
    journal = MemoryJournal()
    journal.append(10)
    uplink = Uplink(journal)
    for batch in published(uplink.connected(0.0)):
        uplink.puback(batch.handle, 0.1)
    uplink.acknowledged(ack_of(10, epoch=1), 0.2)
    assert spans(uplink.acknowledged(ack_of(4, epoch=2), 0.3)) == [("events", 5, 10)]


@pytest.mark.promise("DUR-06")
def test_a_forked_journal_is_an_alarm_said_once_and_moves_nothing() -> None:
    """Mutant: `acknowledged` overlooks what the journal refuses."""
    journal = MemoryJournal(refusal="event 3 has another hash at central")
    journal.append(3)
    uplink = Uplink(journal)
    uplink.connected(0.0)
    assert alarms(uplink.acknowledged(ack_of(3), 0.1)) == ["forked_journal"]
    assert alarms(uplink.acknowledged(ack_of(3), 0.2)) == []
    assert journal.durable == 0


@pytest.mark.promise("DUR-06")
def test_a_forked_journal_sends_nothing_more_until_central_agrees_with_it_again() -> None:
    """Mutant: it goes on sending, and central takes its numbers for the other file's sequel."""
    journal = MemoryJournal(refusal="event 3 has another hash at central")
    journal.append(3)
    uplink = Uplink(journal)
    uplink.connected(0.0)
    uplink.acknowledged(ack_of(3), 0.1)
    assert uplink.forked
    journal.append(2)
    assert published([*uplink.appended(0.2), *uplink.tick(30.0), *uplink.disconnected()]) == []
    assert uplink.connected(501.0) == [Announce()], "it still says who it is, and is told where central stands"
    journal.refusal = None
    assert spans(uplink.acknowledged(ack_of(3), 502.0)) == [("events", 4, 5)]
    assert not uplink.forked


def test_another_journals_acknowledgement_is_an_alarm_and_moves_nothing() -> None:
    journal = MemoryJournal()
    journal.append(3)
    uplink = Uplink(journal)
    uplink.connected(0.0)
    foreign = ack_of(3, journal_id=JOURNAL.replace("1", "2"))
    assert alarms(uplink.acknowledged(foreign, 0.1)) == ["foreign_ack"]
    assert journal.durable == 0


@pytest.mark.promise("DUR-06")
@pytest.mark.parametrize("damaged", [{1}, {5}, {500}, {64, 65, 66}, set(range(100, 300)), set(range(1, 501))])
def test_a_damaged_record_is_named_and_holds_up_nothing(damaged: set[int]) -> None:
    """Mutant: the batch stops before the damaged record."""
    journal = MemoryJournal(damaged=damaged)
    journal.append(500)
    uplink = Uplink(journal)
    outputs = uplink.connected(0.0)
    sent: set[int] = set()
    said: list[str] = alarms(outputs)
    while batches := published(outputs):
        outputs = []
        for batch in batches:
            sent |= {int(event[13:33]) for event in split_batch(batch.payload)}
            outputs += uplink.puback(batch.handle, 0.1)
        said += alarms(outputs)
    assert sent == set(range(1, 501)) - damaged
    assert set(said) == {"unreadable_records"}


def test_a_broker_that_refuses_a_batch_is_an_alarm_and_the_batch_goes_again() -> None:
    journal = MemoryJournal()
    journal.append(1)
    uplink = Uplink(journal)
    (batch,) = published(uplink.connected(0.0))
    assert alarms(uplink.puback(batch.handle, 0.1, refused="Not authorized")) == ["refused_by_broker"]
    assert spans(uplink.tick(60.0)) == [("events", 1, 1)]


def test_a_broker_that_falls_silent_is_left() -> None:
    journal = MemoryJournal()
    journal.append(1)
    uplink = Uplink(journal, UplinkLimits(puback_s_max=60))
    uplink.connected(0.0)
    assert uplink.wakes_at() == 60.0
    assert [type(output) for output in uplink.tick(60.0)] == [Reconnect]


# --- a network that loses, doubles and reorders -----------------------------------------------------------------


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


# --- ranges -------------------------------------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1] - 1)))


@given(ranges=pairs, first=st.integers(1, 80), length=st.integers(0, 30))
def test_ranges_behave_like_a_set_of_numbers(ranges: list[tuple[int, int]], first: int, length: int) -> None:
    held = Ranges(ranges)
    model = {number for low, high in ranges for number in range(low, high + 1)}
    last = first + length
    window = range(first, last + 1)
    gaps = [number for number in window if number not in model]
    assert {number for number in range(1, 90) if number in held} == model
    assert held.covers(first, last) == (not gaps)
    low, high = held.lowest_gap(first, last), held.highest_gap(first, last)
    if not gaps:
        assert low is None
        assert high is None
        return
    assert low is not None
    assert high is not None
    assert low[0] == gaps[0]
    assert high[1] == gaps[-1]
    assert all(number in gaps for number in (*range(low[0], low[1] + 1), *range(high[0], high[1] + 1)))
    assert low[1] == last or low[1] + 1 in model
    assert high[0] == first or high[0] - 1 in model
    listed = held.as_list()
    assert all(listed[number][1] + 1 < listed[number + 1][0] for number in range(len(listed) - 1))
