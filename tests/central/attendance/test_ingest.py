"""What becomes of a batch: rows, presence, an acknowledgement; in any order, and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from central.attendance import keeping
from edge_agent.wire.topics import terminal_topic
from simulators.ingest_bench import GATE, SITE, IngestBench, ack_of
from simulators.journal import JournalMaker


def test_a_batch_becomes_rows_presence_and_an_ack(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.append("ccs.boot.v1", {"versions": {}, "config_hash": ""})
    journal.tap(bench.token(0))
    journal.tap(bench.token(1))
    journal.tap(bench.token(1), "out")
    outcome = bench.take((journal.topic, journal.batch()))
    ack = ack_of(outcome)
    assert outcome.acks[0][0] == terminal_topic(SITE, GATE, "ack")
    assert (ack.journal_id, ack.durable, ack.hash, ack.have) == (journal.journal_id, 4, journal.head_hash, [])
    assert bench.rows("SELECT seq, bytes FROM attendance_event ORDER BY seq") == list(enumerate(journal.events, 1))
    found = bench.headcount()
    assert (found.inside, [person.worker_id for person in found.people]) == (1, [bench.seeded.workers[0]])


@pytest.mark.promise("DUR-02")
def test_a_repeated_batch_changes_nothing_and_is_acknowledged_again(bench: IngestBench) -> None:
    """Mutant: no look at the cursor before storing."""
    journal = JournalMaker(SITE, GATE)
    for number in range(5):
        journal.tap(bench.token(number))
    first = bench.take((journal.topic, journal.batch()))
    second = bench.take((journal.topic, journal.batch()), (journal.topic, journal.batch(2, 4)))
    assert first.acks == second.acks
    assert (second.stored, second.repeated) == (0, 8)
    assert bench.one("SELECT count(*) FROM attendance_event") == 5


@pytest.mark.promise("DUR-05")
def test_out_of_order_batches_end_in_the_same_presence(bench: IngestBench) -> None:
    """Mutant: presence by arrival order."""
    journal = JournalMaker(SITE, GATE)
    for number in range(4):
        journal.tap(bench.token(number), "in")
        journal.tap(bench.token(number), "out")
    journal.tap(bench.token(0), "in")
    live = (terminal_topic(SITE, GATE, "live"), journal.batch(9, 9))
    ack = ack_of(bench.take(live))
    assert (ack.durable, ack.have) == (0, [(9, 9)])
    ack = ack_of(bench.take((journal.topic, journal.batch(5, 8))))
    assert (ack.durable, ack.have) == (0, [(5, 9)])
    ack = ack_of(bench.take((journal.topic, journal.batch(1, 4))))
    assert (ack.durable, ack.hash) == (9, journal.head_hash)
    found = bench.headcount()
    assert [person.worker_id for person in found.people] == [bench.seeded.workers[0]]
    assert keeping.refold(bench.connection, bench.everyone()) == []


@pytest.mark.promise("DUR-05")
def test_a_late_tap_of_a_terminal_whose_clock_stepped_back_is_put_in_its_place(bench: IngestBench) -> None:
    """Mutant: a late batch is taken for the newest, because its time is later than everything folded so far."""
    start = datetime.now(UTC) - timedelta(hours=3)
    stepped = JournalMaker(SITE, GATE, at=start + timedelta(hours=2))
    stepped.tap(bench.token(0), "in")
    stepped.at = start
    stepped.tap(bench.token(0), "out")
    other = JournalMaker(SITE, "gate-02", at=start + timedelta(hours=1))
    other.tap(bench.token(0), "in")
    bench.take((stepped.topic, stepped.batch(2, 2)))
    bench.take((other.topic, other.batch()))
    assert bench.headcount().inside == 1
    bench.take((stepped.topic, stepped.batch(1, 1)))
    assert bench.headcount().inside == 0, "the exit is the terminal's last word, whatever its clock said"
    assert keeping.refold(bench.connection, bench.everyone()) == []


@pytest.mark.promise("DUR-06")
def test_a_gap_is_shown_to_the_terminal_and_to_the_headcount(bench: IngestBench) -> None:
    """Mutant: durable = highest seq received."""
    journal = JournalMaker(SITE, GATE)
    for number in range(6):
        journal.tap(bench.token(number))
    bench.take((journal.topic, journal.batch(1, 2)))
    ack = ack_of(bench.take((journal.topic, journal.batch(5, 6))))
    assert (ack.durable, ack.have) == (2, [(5, 6)])
    found = bench.headcount()
    gate = next(terminal for terminal in found.terminals if terminal.code == GATE)
    assert gate.not_received_at_most == 2
    assert (found.inside, found.at_most) == (4, 6)


def test_an_unknown_card_counts_as_unknown_until_somebody_holds_it(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    token = "cd" * 16
    journal.tap(token, decision="unknown_card")
    bench.take((journal.topic, journal.batch()))
    found = bench.headcount()
    assert (found.inside, found.unknown_cards, found.at_most) == (0, 1, 1)
    card = bench.one("INSERT INTO registry_card (token, kind) VALUES (%s, 'card') RETURNING id", token)
    bench.connection.execute(
        "INSERT INTO registry_card_assignment (card_id, worker_id, from_at) VALUES (%s, %s, %s)",
        (card, bench.seeded.workers[3], datetime.now(UTC) - timedelta(days=1)),
    )
    bench.ingest.forget([bytes.fromhex(token)])
    assert keeping.resolve_again(bench.connection, [bytes.fromhex(token)]) == {bench.seeded.site_id}
    found = bench.headcount()
    assert (found.inside, found.unknown_cards) == (1, 0)
    assert found.people[0].worker_id == bench.seeded.workers[3]


def test_a_barred_card_is_refused_not_inside_but_in_the_upper_bound(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0), decision="barred")
    bench.take((journal.topic, journal.batch()))
    found = bench.headcount()
    assert (found.inside, found.refused, found.at_most) == (0, 1, 1)


@pytest.mark.promise("INC-01")
def test_who_comes_back_through_the_same_gate_within_the_minute_is_inside(bench: IngestBench) -> None:
    """Mutant: repeats are left out."""
    gate = JournalMaker(SITE, GATE)
    other = JournalMaker(SITE, "gate-02", at=gate.at + timedelta(seconds=10))
    gate.tap(bench.token(0), "in")
    gate.at += timedelta(seconds=20)
    gate.tap(bench.token(0), "in", decision="repeat")
    other.tap(bench.token(0), "out")
    bench.take((gate.topic, gate.batch(1, 1)), (other.topic, other.batch()))
    assert bench.headcount().inside == 0
    bench.take((gate.topic, gate.batch(2, 2)))
    found = bench.headcount()
    assert (found.inside, found.people[0].last_terminal) == (1, GATE)
    assert not {"exit_missing_before_entry", "exit_weaker_than_entry"} & set(found.people[0].reasons)
    assert keeping.refold(bench.connection, bench.everyone()) == []


@pytest.mark.promise("DUR-02")
def test_a_row_that_the_cursor_does_not_know_of_is_not_stored_twice(bench: IngestBench) -> None:
    """Mutant: the table's own key lets one event in twice."""
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    journal.tap(bench.token(1))
    bench.take((journal.topic, journal.batch()))
    bench.connection.execute("ALTER TABLE attendance_journal DISABLE TRIGGER cursor_rises")
    bench.connection.execute("UPDATE attendance_journal SET durable = 0, durable_hash = %s", (bytes(32),))
    assert ack_of(bench.take((journal.topic, journal.batch()))).durable == 2
    assert bench.one("SELECT count(*) FROM attendance_event") == 2


def test_what_was_true_and_what_was_known_are_two_answers(bench: IngestBench) -> None:
    start = datetime.now(UTC) - timedelta(hours=8)
    journal = JournalMaker(SITE, GATE, at=start)
    journal.tap(bench.token(0), "in")
    journal.at += timedelta(hours=2)
    journal.tap(bench.token(0), "out")
    bench.take((journal.topic, journal.batch(1, 1)), now=start + timedelta(minutes=1))
    bench.take((journal.topic, journal.batch(2, 2)), now=start + timedelta(hours=6))
    afternoon = start + timedelta(hours=3)
    assert bench.headcount(known_at=afternoon).inside == 1
    assert bench.headcount(true_at=afternoon).inside == 0
    assert bench.headcount(true_at=start + timedelta(hours=1)).inside == 1
    late = bench.headcount(true_at=afternoon, known_at=start + timedelta(hours=7))
    assert (late.inside, late.as_of) == (0, afternoon)
