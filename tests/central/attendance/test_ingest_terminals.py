"""What terminals say of themselves: births, wills and heartbeats."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from edge_agent.wire.codec import encode
from edge_agent.wire.messages import TerminalState
from edge_agent.wire.topics import terminal_topic
from simulators.ingest_bench import GATE, SITE, IngestBench, ack_of, birth, heartbeat
from simulators.journal import JournalMaker


def test_a_birth_is_answered_and_an_older_will_is_ignored(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    now = datetime.now(UTC)
    outcome = bench.take((terminal_topic(SITE, GATE, "birth"), birth(journal, at=now)))
    assert (ack_of(outcome).durable, ack_of(outcome).hash) == (0, "0" * 64)
    state = terminal_topic(SITE, GATE, "state")
    old = TerminalState(online=False, boot_id="boot-1", at=now - timedelta(minutes=5))
    other_boot = TerminalState(online=False, boot_id="boot-0", at=now + timedelta(minutes=5))
    bench.take((state, encode(old)), (state, encode(other_boot)))
    assert bench.one("SELECT online FROM attendance_terminal_status") is True
    bench.take((state, encode(TerminalState(online=False, boot_id="boot-1", at=now))))
    assert bench.one("SELECT online FROM attendance_terminal_status") is False


def test_a_terminal_that_lost_what_it_had_sent_is_found_and_a_late_birth_is_not(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    before = journal.at
    journal.tap(bench.token(1))
    after = journal.at + timedelta(minutes=1)
    bench.take((journal.topic, journal.batch()))
    topic = terminal_topic(SITE, GATE, "birth")
    behind = json.loads(birth(journal, at=before, boot="boot-2")) | {"head_seq": 1}
    bench.take((topic, json.dumps(behind).encode()))
    assert bench.one("SELECT count(*) FROM attendance_anomaly") == 0
    bench.take((topic, json.dumps(behind | {"at": after.isoformat()}).encode()))
    assert bench.one("SELECT kind || ' ' || seq FROM attendance_anomaly") == "head_behind 1"


def test_what_a_terminal_still_holds_makes_the_count_uncertain(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    other = JournalMaker(SITE, "gate-02")
    both = [
        (journal.topic, journal.batch()),
        (terminal_topic(SITE, "gate-02", "birth"), birth(other, at=datetime.now(UTC))),
    ]
    bench.take(*both)
    assert bench.headcount().certain == 1
    outcome = bench.take(
        (terminal_topic(SITE, GATE, "heartbeat"), heartbeat(journal, at=datetime.now(UTC), head=4, unacknowledged=3))
    )
    assert ack_of(outcome).durable == 1
    found = bench.headcount()
    assert (found.certain, found.probable, found.at_most) == (0, 1, 4)
    assert found.people[0].reasons == ("exit_terminal_backlog",)


def test_a_terminal_that_holds_a_later_ack_raises_the_epoch(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    for number in range(3):
        journal.tap(bench.token(number))
    bench.take((journal.topic, journal.batch(1, 1)))
    told = bench.take((terminal_topic(SITE, GATE, "heartbeat"), heartbeat(journal, at=datetime.now(UTC), head=3)))
    assert told.epoch == 2
    assert (ack_of(told).epoch, ack_of(told).durable) == (2, 1)
    born = bench.take((terminal_topic(SITE, GATE, "birth"), birth(journal, at=datetime.now(UTC), durable=3, epoch=1)))
    assert (born.epoch, ack_of(born).epoch) == (0, 2)
    other = JournalMaker(SITE, "gate-02")
    other.tap(bench.token(1))
    assert ack_of(bench.take((other.topic, other.batch()))).epoch == 1, "what one terminal remembers moves no other"
