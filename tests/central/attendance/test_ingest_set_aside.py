"""What cannot count is kept with its reason, and costs nothing that is good."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import psycopg
import pytest

from central.attendance.batch import Message
from edge_agent.wire.topics import terminal_topic
from simulators.ingest_bench import GATE, SITE, IngestBench, ack_of, birth
from simulators.journal import JournalMaker


@pytest.mark.promise("DUR-06")
def test_other_bytes_under_the_same_key_are_quarantined_and_never_overwrite(bench: IngestBench) -> None:
    """Mutant: upsert of the bytes."""
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    bench.take((journal.topic, journal.batch()))
    forger = JournalMaker(SITE, GATE, journal_id=journal.journal_id)
    forger.tap(bench.token(1))
    outcome = bench.take((journal.topic, forger.batch()))
    assert outcome.set_aside == {"forked": 1}
    assert bench.one("SELECT bytes FROM attendance_event") == journal.events[0]
    assert bench.rows("SELECT reason, bytes FROM attendance_quarantine") == [("forked", forger.events[0])]
    assert bench.rows("SELECT kind, seq FROM attendance_anomaly") == [("forked", 1)]
    assert ack_of(outcome).hash == journal.head_hash


@pytest.mark.promise("DUR-06")
def test_a_broken_chain_is_located_and_counted(bench: IngestBench) -> None:
    """Mutant: prevhash not compared."""
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    journal.append("ccs.reader.v1", {"reader": "r1"}, prev_hash="a" * 64)
    bench.take((journal.topic, journal.batch()))
    assert bench.rows("SELECT kind, seq FROM attendance_anomaly") == [("chain_broken", 2)]


def test_a_poisoned_event_is_kept_aside_and_the_rest_of_its_batch_counts(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    journal.tap(bench.token(1), "sideways")
    journal.tap(bench.token(2))
    outcome = bench.take((journal.topic, journal.batch()))
    assert outcome.set_aside == {"malformed_event": 1}
    assert ack_of(outcome).durable == 3
    assert bench.one("SELECT bytes FROM attendance_quarantine") == journal.events[1]
    assert "direction" in bench.one("SELECT detail FROM attendance_quarantine")
    again = bench.take((journal.topic, journal.batch()))
    assert (again.stored, again.repeated, ack_of(again).durable) == (0, 3, 3)
    assert bench.headcount().inside == 2


@pytest.mark.parametrize("name", ["journalid", "sequence", "boottimens", "prevhash", "subject"])
def test_a_line_feed_behind_a_name_costs_its_own_event_alone(bench: IngestBench, name: str) -> None:
    """Mutant: `$` of a pattern also stands before a last line feed, and PostgreSQL refuses the whole batch."""
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    journal.tap(bench.token(1))
    poison = json.loads(journal.events[1])
    poison[name] += "\n"
    poison["id"] = f"{poison['journalid']}-{poison['sequence']}"
    poisoned = json.dumps(poison).encode()
    outcome = bench.take((journal.topic, b"[%s,%s]" % (poisoned, journal.events[0])))
    assert (outcome.stored, outcome.set_aside) == (1, {"malformed_event": 1})
    assert bench.rows("SELECT bytes FROM attendance_quarantine") == [(poisoned,)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{not json", "malformed_batch"),
        (b'[{"type":1}]', "malformed_event"),
        (b"[" + b",".join([b"{}"] * 65) + b"]", "batch_too_long"),
        (b"[" + b" " * 140_000 + b"]", "batch_too_long"),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_reason(bench: IngestBench, payload: bytes, reason: str) -> None:
    topic = terminal_topic(SITE, GATE, "events")
    outcome = bench.take((topic, payload))
    assert outcome.set_aside == {reason: 1}
    assert outcome.acks == []
    kept_reason, detail = bench.rows("SELECT reason, detail FROM attendance_quarantine")[0]
    assert kept_reason == reason
    assert detail


def test_an_unknown_terminal_is_not_acknowledged_and_counts_once_it_is_registered(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, "gate-99")
    journal.tap(bench.token(0))
    message = (journal.topic, journal.batch())
    first = bench.take(message)
    bench.take(message)
    assert (first.acks, first.set_aside) == ([], {"unknown_terminal": 1})
    assert bench.rows("SELECT reason, times FROM attendance_quarantine") == [("unknown_terminal", 2)]
    bench.connection.execute(
        "INSERT INTO registry_terminal (site_id, code, name, zone, in_service) VALUES (%s, 'gate-99', '', '', true)",
        (bench.seeded.site_id,),
    )
    assert ack_of(bench.take(message)).durable == 1
    assert bench.headcount().inside == 1


def test_an_unknown_site_is_kept_aside(bench: IngestBench) -> None:
    journal = JournalMaker("nowhere", GATE)
    journal.tap(bench.token(0))
    assert bench.take((journal.topic, journal.batch())).set_aside == {"unknown_terminal": 1}


def test_an_event_on_another_terminals_topic_is_kept_aside_and_does_not_take_its_journal(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    wrong = bench.take((terminal_topic(SITE, "gate-02", "events"), journal.batch()))
    assert (wrong.set_aside, wrong.acks, wrong.stored) == ({"source_mismatch": 1}, [], 0)
    assert ack_of(bench.take((journal.topic, journal.batch()))).durable == 1
    stolen = JournalMaker(SITE, "gate-02", journal_id=journal.journal_id)
    stolen.tap(bench.token(1))
    assert bench.take((stolen.topic, stolen.batch())).set_aside == {"foreign_journal": 1}
    assert bench.headcount().inside == 1


@pytest.mark.parametrize("year", [1970, 2099])
def test_an_unbelievable_time_is_bounded_by_the_receipt_and_reported(bench: IngestBench, year: int) -> None:
    journal = JournalMaker(SITE, GATE, at=datetime(year, 1, 1, tzinfo=UTC))
    journal.tap(bench.token(0))
    now = datetime.now(UTC)
    bench.take((journal.topic, journal.batch()), now=now)
    assert bench.rows("SELECT occurred_at, time_basis FROM attendance_event") == [(now, 1)]
    assert bench.rows("SELECT kind FROM attendance_anomaly") == [("time_unbelievable",)]
    assert bench.headcount().inside == 1


def test_a_text_that_the_database_refuses_stops_nothing(bench: IngestBench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    poison = json.loads(birth(journal, at=datetime.now(UTC))) | {"boot_id": "a\x00b"}
    with pytest.raises(psycopg.DataError):
        bench.take((terminal_topic(SITE, GATE, "birth"), json.dumps(poison).encode()))
    topic = terminal_topic(SITE, GATE, "birth")
    bench.ingest.refuse(Message(topic, json.dumps(poison).encode()), "NUL", now=datetime.now(UTC))
    assert bench.one("SELECT reason FROM attendance_quarantine") == "refused_by_database"
