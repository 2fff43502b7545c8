"""The uplink protocol in virtual time: what leaves, in which order, what is repeated and what is never believed."""

from __future__ import annotations

import pytest

from edge_agent.transport.link import Link, LinkEvent, LinkState, step
from edge_agent.transport.ranges import Ranges
from edge_agent.transport.uplink import Announce, Reconnect, Uplink, UplinkLimits
from edge_agent.wire.codec import split_batch
from edge_agent.wire.messages import BATCH_BYTES_MAX, EVENTS_A_BATCH_MAX
from simulators.uplink_bench import JOURNAL, MemoryJournal, ack_of, alarms, published, spans


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


@pytest.mark.promise("DUR-08")
def test_with_a_backlog_the_newest_overtakes_and_the_oldest_goes_up_in_order() -> None:
    """Mutant: only the oldest are sent, so that today's taps wait behind a month of old ones."""
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
    between = outstanding_at_steady_state(answer_s=(limits.easy_ack_s + limits.prompt_ack_s) / 2)
    assert limits.outstanding_events_min < between < limits.outstanding_events_max, "neither easy nor slow: as it is"
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


def test_batches_that_fall_due_one_after_another_are_one_silence() -> None:
    """Mutant: each of them slows the next repetition down."""
    journal = MemoryJournal()
    journal.append(4 * EVENTS_A_BATCH_MAX)
    uplink = Uplink(journal, UplinkLimits(resend_after_s=20))
    for number, batch in enumerate(published(uplink.connected(0.0))):
        uplink.puback(batch.handle, number / 10)
    again = [batch for tenth in range(5) for batch in published(uplink.tick(20.05 + tenth / 10))]
    assert len(again) == 4
    for batch in again:
        uplink.puback(batch.handle, 21.0)
    assert (uplink.wakes_at() or 0.0) - 21.0 == 40


def test_what_waits_since_a_long_silence_is_sent_again_soon_after_central_speaks() -> None:
    """A broker that lost everything while nobody listened to it: the worker is back, and says what it holds.

    Mutant: the pause of the silence stays in force for what was sent in it.
    """
    journal = MemoryJournal()
    journal.append(1)
    uplink = Uplink(journal, UplinkLimits(resend_after_s=20))
    outputs, now = uplink.connected(0.0), 0.0
    for _ in range(5):
        (batch,) = published(outputs)
        uplink.puback(batch.handle, now)
        now = uplink.wakes_at() or 0.0
        outputs = uplink.tick(now)
    (batch,) = published(outputs)
    uplink.puback(batch.handle, now)
    journal.append(1)
    (fresh,) = published(uplink.appended(now + 1.0))
    uplink.puback(fresh.handle, now + 1.0)
    uplink.acknowledged(ack_of(0, [(2, 2)]), now + 2.0)
    assert spans(uplink.tick(now + 21.9)) == []
    assert spans(uplink.tick(now + 22.1)) == [("events", 1, 1)]


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


@pytest.mark.promise("DUR-06")
def test_a_record_that_could_not_be_read_is_asked_for_again() -> None:
    """Mutant: what was given up once is never asked for again (found by the simulator, seed 9002023)."""
    journal = MemoryJournal(damaged={2})
    journal.append(3)
    uplink = Uplink(journal, UplinkLimits(ask_again_s=900))
    outputs = uplink.connected(0.0)
    for batch in published(outputs):
        uplink.puback(batch.handle, 0.1)
    uplink.acknowledged(ack_of(1, have=[(3, 3)]), 0.2)
    assert uplink.to_be_asked_for == 1
    assert uplink.wakes_at() == 900.0
    assert alarms(uplink.tick(900.0)) == []
    assert uplink.wakes_at() == 1800.0, "still not readable: another time"
    journal.damaged.clear()
    assert spans(uplink.tick(1800.0)) == [("events", 2, 2)]
    assert uplink.to_be_asked_for == 0


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
