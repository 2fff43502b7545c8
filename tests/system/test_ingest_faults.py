"""Central's ingest over a real broker and database: killed, doubled, fed with nonsense, and nothing good is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from central.attendance import keeping
from central.attendance.intake import connect
from central.attendance.keeping import PersonKey
from central.kit.config import Settings
from central.kit.migrate import upgrade
from edge_agent.wire.ids import card_token
from edge_agent.wire.topics import terminal_topic
from simulators.batch_sender import BatchSender, working
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site
from simulators.servers import EmbeddedBroker, MosquittoBroker, PostgresServer, wait_until

pytestmark = pytest.mark.system
CARD_KEY = bytes(range(32))
SITE = "site-07"
GATES = ("gate-01", "gate-02", "gate-03")


@pytest.fixture
def settings(database_url: str, mosquitto: MosquittoBroker) -> Settings:
    return Settings(database_url=database_url, mqtt_url=mosquitto.url)


@pytest.fixture
def seeded(database_url: str) -> SeededSite:
    return seed_site(database_url, card_key=CARD_KEY, terminals=dict.fromkeys(GATES, ("in", "out")), workers=30)


@pytest.fixture
def sender(mosquitto: MosquittoBroker) -> Iterator[BatchSender]:
    client = BatchSender(mosquitto.url)
    yield client
    client.close()


def a_day(seeded: SeededSite, *, seed: int, taps: int = 200) -> list[JournalMaker]:
    """Three journals of random taps."""
    rng = random.Random(seed)
    journals = [JournalMaker(SITE, gate) for gate in GATES]
    for _ in range(taps):
        for journal in journals:
            token = card_token(CARD_KEY, rng.choice(seeded.identities))
            journal.tap(token, rng.choice(["in", "in", "out", "tap"]), assurance=rng.choice([3, 3, 3, 0]))
    return journals


def stored(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT j.journal_id::text, e.seq, e.bytes FROM attendance_event e"
            " JOIN attendance_journal j ON j.id = e.journal ORDER BY 1, 2"
        ).fetchall()


def expected(journals: list[JournalMaker]) -> list[Any]:
    return sorted((journal.journal_id, seq, raw) for journal in journals for seq, raw in enumerate(journal.events, 1))


def assert_presence_is_the_fold(url: str) -> None:
    with connect(url) as connection:
        persons = connection.execute("SELECT site_id, person FROM attendance_presence").fetchall()
        assert persons
        with connection.transaction():
            assert keeping.refold(connection, [PersonKey(*row) for row in persons]) == []


def presence(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT p.person, p.state, p.since_at, p.doubts, p.last_at, j.journal_id::text, p.last_seq"
            " FROM attendance_presence p JOIN attendance_journal j ON j.id = p.last_journal ORDER BY 1"
        ).fetchall()


@pytest.mark.promise("DUR-02")
@pytest.mark.promise("DUR-05")
def test_two_workers_on_one_shared_subscription_give_the_same_database_as_one(
    postgres: PostgresServer, settings: Settings, seeded: SeededSite, sender: BatchSender
) -> None:
    """Mutant: presence written without locking the person's row."""
    journals = a_day(seeded, seed=7)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        name = settings.database_url.rpartition("/")[2]
        connection.execute(f'CREATE DATABASE "{name}_one" TEMPLATE "{name}"')
    alone = replace(settings, database_url=f"{settings.database_url}_one")
    with working(replace(settings, ingest_batch_events_max=40), "a", "b"):
        sender.send_until_durable(journals)
    sender.acks.clear()
    with working(alone, "c"):
        sender.send_until_durable(journals)
    assert stored(settings.database_url) == stored(alone.database_url) == expected(journals)
    assert presence(settings.database_url) == presence(alone.database_url)
    assert_presence_is_the_fold(settings.database_url)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}_one" WITH (FORCE)')


@pytest.mark.promise("DUR-02")
def test_postgresql_killed_in_mid_batch_loses_and_doubles_nothing(
    server_folder: Path, mosquitto: MosquittoBroker, sender: BatchSender
) -> None:
    """Mutant: PUBACK on receipt, or dropping a batch after an error."""
    server = PostgresServer(server_folder / "postgres-killed", settings={"shared_buffers": "32MB"})
    server.start()
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE ccs")
        upgrade(server.url("ccs"))
        own = seed_site(server.url("ccs"), card_key=CARD_KEY, terminals=dict.fromkeys(GATES, ("in", "out")), workers=30)
        journals = a_day(own, seed=11)
        settings = Settings(database_url=server.url("ccs"), mqtt_url=mosquitto.url, ingest_batch_events_max=30)
        with working(settings, "a"):
            for journal in journals:
                sender.send(journal, size=5)
            for share in (0.1, 0.4, 0.7):
                total = sum(len(journal.events) for journal in journals)
                wait_until(
                    lambda goal=share * total: sum(map(sender.durable, journals)) >= goal,  # type: ignore[misc]
                    what="some acks",
                )
                server.kill()
                server.start()
            sender.send_until_durable(journals)
        assert stored(settings.database_url) == expected(journals)
        assert_presence_is_the_fold(settings.database_url)
    finally:
        server.stop()


_WORKER = """
import signal, sys, threading
from central.kit.config import Settings
from central.worker import run_worker
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
run_worker(Settings(database_url=sys.argv[1], mqtt_url=sys.argv[2], ingest_batch_events_max=25), stop, name="killed")
"""


@pytest.mark.promise("DUR-02")
def test_a_worker_killed_between_commit_and_acknowledgement_loses_and_doubles_nothing(
    settings: Settings, seeded: SeededSite, sender: BatchSender
) -> None:
    """Mutant: PUBACK before commit; storing redelivered events again."""
    journals = a_day(seeded, seed=13)
    total = sum(len(journal.events) for journal in journals)
    rng = random.Random(13)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _WORKER, settings.database_url, settings.mqtt_url], stderr=subprocess.DEVNULL
        )

    child = start()
    try:
        for _ in range(4):
            wait_until(lambda: bool(sender.central) and sender.central[-1], what="the worker's word")
            for journal in journals:
                sender.send(journal, size=5)
            goal = min(total, len(stored(settings.database_url)) + rng.randint(1, total // 8))
            wait_until(lambda goal=goal: len(stored(settings.database_url)) >= goal, what="some rows")  # type: ignore[misc]
            sender.central.clear()
            child.kill()
            child.wait()
            child = start()
        sender.send_until_durable(journals)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)
    assert stored(settings.database_url) == expected(journals)
    assert_presence_is_the_fold(settings.database_url)


def test_a_terminal_registered_later_is_counted_without_sending_by_hand(
    settings: Settings, seeded: SeededSite, sender: BatchSender
) -> None:
    journal = JournalMaker(SITE, "gate-99")
    journal.tap(card_token(CARD_KEY, seeded.identities[0]))
    with working(settings, "a"), psycopg.connect(settings.database_url, autocommit=True) as connection:
        sender.send(journal)
        wait_until(
            lambda: connection.execute("SELECT count(*) FROM attendance_quarantine").fetchall() == [(1,)],
            what="the quarantine row",
        )
        assert sender.durable(journal) == 0
        connection.execute(
            "INSERT INTO registry_terminal (site_id, code, name, zone, in_service)"
            " VALUES (%s, 'gate-99', '', '', true)",
            (seeded.site_id,),
        )
        sender.send_until_durable([journal])
    assert stored(settings.database_url) == expected([journal])


def test_giving_a_card_to_a_worker_moves_its_taps_to_that_worker(
    settings: Settings, seeded: SeededSite, sender: BatchSender
) -> None:
    journal = JournalMaker(SITE, "gate-01")
    token = "ef" * 16
    journal.tap(token, decision="unknown_card")
    with working(settings, "a", "b"), psycopg.connect(settings.database_url, autocommit=True) as connection:
        sender.send_until_durable([journal])
        row = connection.execute(
            "INSERT INTO registry_card (token, kind) VALUES (%s, 'card') RETURNING id", (token,)
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO registry_card_assignment (card_id, worker_id, from_at) VALUES (%s, %s, '2020-01-01Z')",
            (row[0], seeded.workers[5]),
        )
        connection.execute("SELECT pg_notify('ccs_registry', %s)", (f'{{"tokens":["{token}"],"sites":[]}}',))

        def inside() -> list[Any]:
            return connection.execute("SELECT person FROM attendance_presence").fetchall()

        wait_until(lambda: inside() == [(f"worker:{seeded.workers[5]}",)], what="the worker inside")


def test_when_one_worker_dies_another_says_that_central_is_up(settings: Settings, sender: BatchSender) -> None:
    with working(settings, "a"):
        wait_until(lambda: sender.central.count(True) >= 2, what="the first worker's word, with its epoch")
        child = subprocess.Popen(
            [sys.executable, "-c", _WORKER, settings.database_url, settings.mqtt_url], stderr=subprocess.DEVNULL
        )
        wait_until(lambda: sender.central.count(True) >= 3, what="the second worker's word")
        child.kill()
        child.wait()
        wait_until(lambda: False in sender.central, what="the dead worker's will")
        wait_until(lambda: sender.central[-1], what="the living worker's word")
    wait_until(lambda: not sender.central[-1], what="the last worker's farewell")


def test_the_embedded_broker_serves_a_worker_too(
    database_url: str, embedded_broker: EmbeddedBroker, seeded: SeededSite
) -> None:
    client = BatchSender(embedded_broker.url)
    journals = a_day(seeded, seed=17, taps=20)
    with working(Settings(database_url=database_url, mqtt_url=embedded_broker.url), "a"):
        client.send_until_durable(journals)
    client.close()
    assert stored(database_url) == expected(journals)


def test_a_batch_that_cannot_be_read_does_not_stop_those_behind_it(
    settings: Settings, seeded: SeededSite, sender: BatchSender
) -> None:
    journals = a_day(seeded, seed=19, taps=5)
    refuse: Callable[[bytes], Any] = lambda payload: sender.client.publish(  # noqa: E731 - said once, used thrice
        terminal_topic(SITE, "gate-01", "events"), payload, qos=1
    )
    with working(settings, "a"):
        for payload in (b"{", b"\xff", b'[{"specversion":"1.0"}]'):
            refuse(payload)
        sender.client.publish(terminal_topic(SITE, "gate-01", "birth"), b'{"journal_id": 5}', qos=1)
        sender.send_until_durable(journals)
        with psycopg.connect(settings.database_url) as connection:
            reasons = connection.execute("SELECT reason FROM attendance_quarantine ORDER BY 1").fetchall()
    assert [row[0] for row in reasons] == ["malformed_batch", "malformed_batch", "malformed_event", "malformed_message"]


def test_bad_input_of_every_kind_is_named_and_costs_no_good_tap(
    settings: Settings, seeded: SeededSite, sender: BatchSender
) -> None:
    tokens = [card_token(CARD_KEY, identity) for identity in seeded.identities]
    good, strange, clocks = (JournalMaker(SITE, gate) for gate in GATES)
    for token in tokens[:10]:
        good.tap(token)
    strange.tap(tokens[10])
    strange.append("ccs.tap.v1", {"direction": 7}, token=tokens[11])
    strange.append("ccs.reader.v1", {"reader": "r1"}, prev_hash="a" * 64)
    for number, year in ((12, 1970), (13, 2099)):
        clocks.at = datetime(year, 1, 1, tzinfo=UTC)
        clocks.tap(tokens[number])
    nowhere, forger = JournalMaker("site-99", GATES[0]), JournalMaker(SITE, GATES[0], journal_id=good.journal_id)
    nowhere.tap(tokens[0])
    forger.tap(tokens[1])
    misplaced = JournalMaker(SITE, GATES[0])
    misplaced.tap(tokens[14])
    bad = [
        (good.topic, b"{"),
        (good.topic, b"[" + b",".join([b"{}"] * 65) + b"]"),
        (nowhere.topic, nowhere.batch()),
        (terminal_topic(SITE, GATES[1], "events"), misplaced.batch()),
        (good.topic, good.batch(8, 10)),
        (good.topic, good.batch(2, 4)),
        (good.topic, good.batch(2, 4)),
        (good.topic, good.batch(1, 7)),
        (good.topic, forger.batch()),
    ]
    with working(settings, "a"):
        for topic, payload in bad:
            sender.client.publish(topic, payload, qos=1)
        sender.send_until_durable([good, strange, clocks])
        wait_until(lambda: sum(kept_aside(settings).values()) >= 6, what="everything bad to be kept aside")
    assert kept_aside(settings) == dict.fromkeys(
        ("batch_too_long", "forked", "malformed_batch", "malformed_event", "source_mismatch", "unknown_terminal"), 1
    )
    with psycopg.connect(settings.database_url) as connection:
        anomalies = connection.execute("SELECT kind, seq FROM attendance_anomaly ORDER BY 1, 2").fetchall()
        inside = connection.execute("SELECT count(*) FROM attendance_presence WHERE state = 1").fetchall()
    assert anomalies == [("chain_broken", 3), ("forked", 1), ("time_unbelievable", 1), ("time_unbelievable", 2)]
    wanted = [one for one in expected([good, strange, clocks]) if one[:2] != (strange.journal_id, 2)]
    assert stored(settings.database_url) == wanted
    assert_presence_is_the_fold(settings.database_url)
    assert inside == [(13,)]


def kept_aside(settings: Settings) -> dict[str, int]:
    with psycopg.connect(settings.database_url) as connection:
        return dict(connection.execute("SELECT reason, count(*) FROM attendance_quarantine GROUP BY 1").fetchall())
