from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from central.attendance import keeping
from central.attendance.batch import Message, Outcome
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.attendance.keeping import PersonKey
from central.attendance.service import site_headcount
from central.kit.db import make_engine, read_session
from edge_agent.wire.codec import decode, encode
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Ack, Birth, Heartbeat, TerminalState
from edge_agent.wire.topics import terminal_topic
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site

CARD_KEY = bytes(range(32))
SITE, GATE = "site-07", "gate-01"


@dataclass
class Bench:
    url: str
    seeded: SeededSite
    connection: psycopg.Connection[Any]
    ingest: Ingest

    def token(self, number: int) -> str:
        return card_token(CARD_KEY, self.seeded.identities[number])

    def take(self, *messages: tuple[str, bytes], now: datetime | None = None) -> Outcome:
        return self.ingest.take([Message(*one) for one in messages], now=now or datetime.now(UTC))

    def rows(self, query: str, *values: object) -> list[Any]:
        return self.connection.execute(query, values).fetchall()  # type: ignore[call-overload,no-any-return]

    def one(self, query: str, *values: object) -> Any:
        return self.rows(query, *values)[0][0]

    def headcount(self, **at: datetime) -> Any:
        engine = make_engine(self.url, pool_size=1)
        with read_session(engine) as session:
            found = site_headcount(session, site_id=self.seeded.site_id, now=datetime.now(UTC), **at)  # type: ignore[arg-type]
        engine.dispose()
        return found


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    seeded = seed_site(database_url, card_key=CARD_KEY, terminals={GATE: ("in", "out"), "gate-02": ("in", "out")})
    with connect(database_url) as connection:
        yield Bench(database_url, seeded, connection, Ingest(connection))


def ack_of(outcome: Outcome) -> Ack:
    return decode(outcome.acks[0][1], Ack)


def test_a_batch_becomes_rows_presence_and_an_ack(bench: Bench) -> None:
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
def test_a_repeated_batch_changes_nothing_and_is_acknowledged_again(bench: Bench) -> None:
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
def test_out_of_order_batches_end_in_the_same_presence(bench: Bench) -> None:
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
    assert keeping.refold(bench.connection, _everyone(bench)) == []


@pytest.mark.promise("DUR-05")
def test_a_late_tap_of_a_terminal_whose_clock_stepped_back_is_put_in_its_place(bench: Bench) -> None:
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
    assert keeping.refold(bench.connection, _everyone(bench)) == []


def _everyone(bench: Bench) -> list[PersonKey]:
    return [PersonKey(*row) for row in bench.rows("SELECT site_id, person FROM attendance_presence")]


@pytest.mark.promise("DUR-06")
def test_a_gap_is_shown_to_the_terminal_and_to_the_headcount(bench: Bench) -> None:
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


@pytest.mark.promise("DUR-06")
def test_other_bytes_under_the_same_key_are_quarantined_and_never_overwrite(bench: Bench) -> None:
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
def test_a_broken_chain_is_located_and_counted(bench: Bench) -> None:
    """Mutant: prevhash not compared."""
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    journal.append("ccs.reader.v1", {"reader": "r1"}, prev_hash="a" * 64)
    bench.take((journal.topic, journal.batch()))
    assert bench.rows("SELECT kind, seq FROM attendance_anomaly") == [("chain_broken", 2)]


def test_a_poisoned_event_is_kept_aside_and_the_rest_of_its_batch_counts(bench: Bench) -> None:
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


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{not json", "malformed_batch"),
        (b'[{"type":1}]', "malformed_event"),
        (b"[" + b",".join([b"{}"] * 65) + b"]", "batch_too_long"),
        (b"[" + b" " * 140_000 + b"]", "batch_too_long"),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_reason(bench: Bench, payload: bytes, reason: str) -> None:
    topic = terminal_topic(SITE, GATE, "events")
    outcome = bench.take((topic, payload))
    assert outcome.set_aside == {reason: 1}
    assert outcome.acks == []
    kept_reason, detail = bench.rows("SELECT reason, detail FROM attendance_quarantine")[0]
    assert kept_reason == reason
    assert detail


def test_an_unknown_terminal_is_not_acknowledged_and_counts_once_it_is_registered(bench: Bench) -> None:
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


def test_an_unknown_site_is_kept_aside(bench: Bench) -> None:
    journal = JournalMaker("nowhere", GATE)
    journal.tap(bench.token(0))
    assert bench.take((journal.topic, journal.batch())).set_aside == {"unknown_terminal": 1}


def test_an_event_on_another_terminals_topic_is_kept_aside_and_does_not_take_its_journal(bench: Bench) -> None:
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
def test_an_unbelievable_time_is_bounded_by_the_receipt_and_reported(bench: Bench, year: int) -> None:
    journal = JournalMaker(SITE, GATE, at=datetime(year, 1, 1, tzinfo=UTC))
    journal.tap(bench.token(0))
    now = datetime.now(UTC)
    bench.take((journal.topic, journal.batch()), now=now)
    assert bench.rows("SELECT occurred_at, time_basis FROM attendance_event") == [(now, 1)]
    assert bench.rows("SELECT kind FROM attendance_anomaly") == [("time_unbelievable",)]
    assert bench.headcount().inside == 1


def test_an_unknown_card_counts_as_unknown_until_somebody_holds_it(bench: Bench) -> None:
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


def test_a_barred_card_is_refused_not_inside_but_in_the_upper_bound(bench: Bench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0), decision="barred")
    bench.take((journal.topic, journal.batch()))
    found = bench.headcount()
    assert (found.inside, found.refused, found.at_most) == (0, 1, 1)


@pytest.mark.promise("INC-01")
def test_who_comes_back_through_the_same_gate_within_the_minute_is_inside(bench: Bench) -> None:
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
    assert keeping.refold(bench.connection, _everyone(bench)) == []


def test_a_row_that_the_cursor_does_not_know_of_is_not_stored_twice(bench: Bench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    journal.tap(bench.token(1))
    bench.take((journal.topic, journal.batch()))
    bench.connection.execute("ALTER TABLE attendance_journal DISABLE TRIGGER cursor_rises")
    bench.connection.execute("UPDATE attendance_journal SET durable = 0, durable_hash = %s", (bytes(32),))
    assert ack_of(bench.take((journal.topic, journal.batch()))).durable == 2
    assert bench.one("SELECT count(*) FROM attendance_event") == 2


def birth(journal: JournalMaker, *, at: datetime, durable: int = 0, epoch: int = 0, boot: str = "boot-1") -> bytes:
    return encode(
        Birth(
            journal_id=journal.journal_id,
            head_seq=len(journal.events),
            head_hash=journal.head_hash,
            boot_id=boot,
            at=at,
            boottime_ns=1,
            clock_state="synced",
            clock_error_ms=1,
            versions={"agent": "1"},
            config_hash="x",
            durable=durable,
            epoch=epoch,
        )
    )


def heartbeat(journal: JournalMaker, *, head: int, unacknowledged: int) -> bytes:
    return encode(
        Heartbeat(
            journal_id=journal.journal_id,
            boot_id="boot-1",
            at=datetime.now(UTC),
            boottime_ns=1,
            head_seq=head,
            unacknowledged=unacknowledged,
            free_bytes=10**9,
            clock_state="synced",
            clock_error_ms=1,
            roster_version=0,
            readers={"r1": 0.5},
        )
    )


def test_a_birth_is_answered_and_an_older_will_is_ignored(bench: Bench) -> None:
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


def test_a_terminal_that_lost_what_it_had_sent_is_found_and_a_late_birth_is_not(bench: Bench) -> None:
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


def test_what_a_terminal_still_holds_makes_the_count_uncertain(bench: Bench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    other = JournalMaker(SITE, "gate-02")
    both = [
        (journal.topic, journal.batch()),
        (terminal_topic(SITE, "gate-02", "birth"), birth(other, at=datetime.now(UTC))),
    ]
    bench.take(*both)
    assert bench.headcount().certain == 1
    outcome = bench.take((terminal_topic(SITE, GATE, "heartbeat"), heartbeat(journal, head=4, unacknowledged=3)))
    assert ack_of(outcome).durable == 1
    found = bench.headcount()
    assert (found.certain, found.probable, found.at_most) == (0, 1, 4)
    assert found.people[0].reasons == ("exit_terminal_backlog",)


def test_a_terminal_that_holds_a_later_ack_raises_the_epoch(bench: Bench) -> None:
    journal = JournalMaker(SITE, GATE)
    for number in range(3):
        journal.tap(bench.token(number))
    bench.take((journal.topic, journal.batch(1, 1)))
    told = bench.take((terminal_topic(SITE, GATE, "heartbeat"), heartbeat(journal, head=3, unacknowledged=0)))
    assert told.epoch == 2
    assert (ack_of(told).epoch, ack_of(told).durable) == (2, 1)
    born = bench.take((terminal_topic(SITE, GATE, "birth"), birth(journal, at=datetime.now(UTC), durable=3, epoch=1)))
    assert (born.epoch, ack_of(born).epoch) == (0, 2)
    other = JournalMaker(SITE, "gate-02")
    other.tap(bench.token(1))
    assert ack_of(bench.take((other.topic, other.batch()))).epoch == 1, "what one terminal remembers moves no other"


def test_a_text_that_the_database_refuses_stops_nothing(bench: Bench) -> None:
    journal = JournalMaker(SITE, GATE)
    journal.tap(bench.token(0))
    poison = json.loads(birth(journal, at=datetime.now(UTC))) | {"boot_id": "a\x00b"}
    with pytest.raises(psycopg.DataError):
        bench.take((terminal_topic(SITE, GATE, "birth"), json.dumps(poison).encode()))
    topic = terminal_topic(SITE, GATE, "birth")
    bench.ingest.refuse(Message(topic, json.dumps(poison).encode()), "NUL", now=datetime.now(UTC))
    assert bench.one("SELECT reason FROM attendance_quarantine") == "refused_by_database"


def test_what_was_true_and_what_was_known_are_two_answers(bench: Bench) -> None:
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
