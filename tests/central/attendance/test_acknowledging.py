"""What is acknowledged is committed: to the broker (it may forget the message), to the terminal (it may delete)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import Inbox, IngestLoop, Metrics, connect
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.mqtt import Inbound
from edge_agent.wire.codec import decode, encode
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Ack, Birth
from edge_agent.wire.topics import incident_topic, terminal_topic
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site
from simulators.servers import free_port, wait_until

CARD_KEY = bytes(range(32))
SITE, GATE = "site-07", "gate-01"


@pytest.fixture
def seeded(database_url: str) -> SeededSite:
    return seed_site(database_url, card_key=CARD_KEY, terminals={GATE: ("in", "out")}, workers=5)


@pytest.fixture
def journal(seeded: SeededSite) -> JournalMaker:
    made = JournalMaker(SITE, GATE)
    for identity in seeded.identities:
        made.tap(card_token(CARD_KEY, identity))
    return made


class WatchfulPostman:
    """Looks into the database, over a connection of its own, whenever something is acknowledged."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self.pubacked: list[int] = []
        """Rows another process can see at each PUBACK."""
        self.acked: list[tuple[int, int]] = []
        """(durable, rows another process can see) at each `ack`."""
        self.others: list[tuple[str, bytes]] = []
        """Everything else that is said."""

    def _committed(self) -> int:
        with psycopg.connect(self._url) as connection:
            row = connection.execute("SELECT count(*) FROM attendance_event").fetchone()
            assert row is not None
            return int(row[0])

    def acknowledge(self, messages: Iterable[Inbound]) -> int:
        self.pubacked.append(self._committed())
        return len(list(messages))

    def leave_shared(self) -> None:
        return

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        if topic.endswith("/ack"):
            self.acked.append((decode(payload, Ack).durable, self._committed()))
        else:
            self.others.append((topic, payload))
        return True


@contextmanager
def ingesting(settings: Settings, inbox: Inbox, postman: WatchfulPostman) -> Iterator[Metrics]:
    metrics, stop = Metrics(CollectorRegistry()), threading.Event()
    loop = IngestLoop(settings, clock=SystemClock(), inbox=inbox, postman=postman, metrics=metrics)
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield metrics
    finally:
        stop.set()
        inbox.close()
        thread.join(30)


@pytest.mark.promise("DUR-02")
def test_nothing_is_acknowledged_before_it_is_committed(database_url: str, journal: JournalMaker) -> None:
    """Mutants: PUBACK before commit; an acknowledgement although the transaction was rolled back."""
    inbox, postman = Inbox(messages_max=10), WatchfulPostman(database_url)
    inbox.put(Inbound(journal.topic, journal.batch(), 1, 1, 1))
    with ingesting(Settings(database_url=database_url), inbox, postman):
        wait_until(lambda: bool(postman.acked), what="the terminal's acknowledgement")
    assert postman.pubacked == [5]
    assert postman.acked == [(5, 5)]


def test_a_terminal_that_comes_back_is_told_that_no_incident_is_open(database_url: str, journal: JournalMaker) -> None:
    """Mutant: a birth is only acknowledged; who was away when an incident was closed shows it for ever."""
    inbox, postman = Inbox(messages_max=10), WatchfulPostman(database_url)
    now = datetime.now(UTC)
    birth = Birth(journal.journal_id, 5, journal.head_hash, "boot-1", now, 1, "synced", 1, {"agent": "1"}, "x")
    for mid in (1, 2):
        inbox.put(Inbound(terminal_topic(SITE, GATE, "birth"), encode(birth), 1, mid, mid))
    with ingesting(Settings(database_url=database_url), inbox, postman):
        wait_until(lambda: bool(postman.others), what="the word on incidents")
    assert set(postman.others) == {(incident_topic(SITE), b"")}


@pytest.mark.promise("DUR-02")
def test_while_postgresql_is_away_nothing_is_acknowledged(journal: JournalMaker, database_url: str) -> None:
    """Mutant: dropping a batch after an error."""
    inbox, postman = Inbox(messages_max=10), WatchfulPostman(database_url)
    inbox.put(Inbound(journal.topic, journal.batch(), 1, 1, 1))
    away = Settings(database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    with ingesting(away, inbox, postman) as metrics:
        wait_until(lambda: metrics.retries._value.get() >= 2, what="two attempts")
    assert (postman.pubacked, postman.acked) == ([], [])


@pytest.mark.promise("DUR-02")
def test_a_batch_that_comes_again_after_forty_days_is_still_the_same_batch(
    database_url: str, journal: JournalMaker
) -> None:
    """Mutant: duplicates recognised only within a time window."""
    batch, now = Message(journal.topic, journal.batch()), datetime.now(UTC)
    with connect(database_url) as connection:
        first = Ingest(connection).take([batch], now=now - timedelta(days=40))
        again = Ingest(connection).take([batch], now=now)
        assert (first.stored, again.stored, again.repeated) == (5, 0, 5)
        assert (again.set_aside, again.anomalies, again.refolded) == ({}, {}, 0)
        assert again.acks == first.acks
        rows = connection.execute("SELECT seq, received_at FROM attendance_event ORDER BY seq").fetchall()
    assert rows == [(seq, now - timedelta(days=40)) for seq in range(1, 6)]
