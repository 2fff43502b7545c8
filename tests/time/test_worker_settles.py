"""The worker rebuilds times by itself: right after its commit, and what another one left undone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import Inbox, IngestLoop, Metrics, connect
from central.attendance.timekeeping import RECONSTRUCTED
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.mqtt_packets import Inbound
from simulators.journal import JournalMaker
from simulators.seeding import seed_site
from simulators.servers import wait_until

BOOT_NS = 100 * 10**9


class Postman:
    """Takes whatever is said."""

    def acknowledge(self, messages: Iterable[Inbound]) -> int:
        return len(list(messages))

    def leave_shared(self) -> None:
        return

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        return True


@contextmanager
def ingesting(database_url: str, *messages: Inbound) -> Iterator[None]:
    inbox, stop = Inbox(messages_max=10), threading.Event()
    inbox.put_all(messages)
    metrics, settings = Metrics(CollectorRegistry()), Settings(database_url=database_url)
    loop = IngestLoop(settings, clock=SystemClock(), inbox=inbox, postman=Postman(), metrics=metrics)
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        inbox.close()
        thread.join(30)


@pytest.fixture
def journal(database_url: str) -> JournalMaker:
    """An event of a clock that was never set, and an hour of boot clock later one of a clock that is."""
    seed_site(database_url, card_key=bytes(32), workers=1)
    made = JournalMaker("site-07", "gate-01")
    lost: dict[str, Any] = {"at": datetime(1970, 1, 1, tzinfo=UTC), "clock_state": "unset", "boottime_ns": BOOT_NS}
    made.append("ccs.boot.v1", {"versions": {}, "config_hash": ""}, **lost)
    at = datetime.now(UTC) - timedelta(minutes=1)
    made.append("ccs.clock.anchor.v1", {"error_ms": 5, "was": "unset"}, at=at, boottime_ns=BOOT_NS + 3600 * 10**9)
    return made


def first_event(database_url: str) -> tuple[datetime, int] | None:
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        return connection.execute("SELECT occurred_at, time_basis FROM attendance_event WHERE seq = 1").fetchone()


def is_placed(database_url: str) -> bool:
    found = first_event(database_url)
    hour_ago = datetime.now(UTC) - timedelta(hours=1, minutes=1)
    return found is not None and found[1] == RECONSTRUCTED and abs(found[0] - hour_ago) < timedelta(minutes=5)


@pytest.mark.promise("TIM-01")
def test_the_worker_places_a_tap_right_after_it_stored_the_anchor(database_url: str, journal: JournalMaker) -> None:
    """Mutant: the worker does not look at what became due."""
    with ingesting(database_url, *(Inbound(journal.topic, journal.batch(n, n), 1, n, n) for n in (1, 2))):
        wait_until(lambda: is_placed(database_url), what="the first event's time")


def test_a_worker_that_starts_places_what_one_that_died_had_stored(database_url: str, journal: JournalMaker) -> None:
    with connect(database_url) as connection:
        Ingest(connection).take([Message(journal.topic, journal.batch())], now=datetime.now(UTC))
    assert not is_placed(database_url)
    with ingesting(database_url):
        wait_until(lambda: is_placed(database_url), what="the first event's time")
