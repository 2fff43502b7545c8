from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.attendance import jobs, roster
from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.attendance.roster import Signer
from central.kit.config import Settings
from central.kit.metrics import serve_metrics
from central.scheduler import Scheduler, all_jobs
from edge_agent.wire.codec import open_signed
from edge_agent.wire.ids import card_token
from edge_agent.wire.messages import Roster
from simulators.journal import JournalMaker
from simulators.seeding import SeededSite, seed_site
from simulators.servers import free_port

CARD_KEY = bytes(range(32))
SITE, GATE = "site-07", "gate-01"


@dataclass
class Place:
    url: str
    seeded: SeededSite
    connection: psycopg.Connection[Any]
    journal: JournalMaker

    def token(self, number: int) -> str:
        return card_token(CARD_KEY, self.seeded.identities[number])

    def tap(self, number: int, direction: str = "in") -> None:
        self.journal.tap(self.token(number), direction)
        batch = Message(self.journal.topic, self.journal.batch(len(self.journal.events)))
        Ingest(self.connection).take([batch], now=datetime.now(UTC))


@pytest.fixture
def place(database_url: str) -> Iterator[Place]:
    seeded = seed_site(database_url, card_key=CARD_KEY, workers=3)
    with connect(database_url) as connection:
        yield Place(database_url, seeded, connection, JournalMaker(SITE, GATE))


def test_a_presence_row_that_differs_from_its_taps_is_mended_and_reported(place: Place) -> None:
    place.tap(0)
    place.tap(1)
    place.connection.execute(
        "UPDATE attendance_presence SET state = 0 WHERE worker_id = %s", (place.seeded.workers[0],)
    )
    assert jobs.recompute_presence(place.connection, now=datetime.now(UTC)) == 1
    assert place.connection.execute("SELECT count(*) FROM attendance_presence WHERE state = 1").fetchall() == [(2,)]
    assert place.connection.execute("SELECT kind, seq FROM attendance_anomaly").fetchall() == [("presence_differs", 1)]
    assert jobs.recompute_presence(place.connection, now=datetime.now(UTC)) == 0


def test_a_job_that_another_process_runs_is_not_run_twice(place: Place) -> None:
    scheduler = Scheduler(Settings(database_url=place.url))
    job = all_jobs()[0]
    with jobs.leased(place.connection, job.name) as mine:
        assert mine
        assert not scheduler.run_job(job)
    assert scheduler.run_job(job)


def test_every_job_runs_on_an_empty_database(database_url: str) -> None:
    scheduler = Scheduler(Settings(database_url=database_url))
    assert all(scheduler.run_job(job) for job in all_jobs())


def test_health_and_metrics_are_served(place: Place) -> None:
    scheduler = Scheduler(Settings(database_url=place.url))
    scheduler.run_job(all_jobs()[1])
    port = free_port()
    with serve_metrics(port, registry=scheduler.registry, alive=str, ready=scheduler._unready):
        for path, expected in (("healthz", b"ok"), ("readyz", b"ok"), ("metrics", b"ccs_job_runs_total")):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                assert expected in answer.read()


def test_a_roster_is_signed_rises_in_version_and_goes_out_as_delta_or_full(place: Place) -> None:
    key = Ed25519PrivateKey.generate()
    sent: list[tuple[Roster, bool]] = []

    def send(_topic: str, payload: bytes, retain: bool) -> bool:  # noqa: FBT001 - as the loop calls it
        sent.append((open_signed(payload, Roster, key=key.public_key()), retain))
        return True

    def publish(second: int) -> object:
        now = datetime.now(UTC).replace(microsecond=0) + (datetime.fromtimestamp(second, UTC) - EPOCH)
        return roster.publish(
            place.connection, site_id=place.seeded.site_id, now=now, signer=Signer(key, "k"), send=send
        )

    assert publish(0) is None
    assert publish(2) is None
    place.tap(0)
    assert publish(2) is None
    assert publish(2) is not None
    assert publish(4) is None
    (first, kept), (second, also_kept) = sent
    assert (kept, first.base, len(first.entries), first.inside) == (True, None, 3, [])
    assert (also_kept, second.base, second.entries) == (False, first.version, [])
    assert [one.person for one in second.inside] == [f"worker:{place.seeded.workers[0]}"]
    assert second.version > first.version


def test_a_gates_list_names_visitors_and_trades_as_rescuers_read_them(place: Place) -> None:
    now, site = datetime.now(UTC), place.seeded.site_id
    place.tap(0)
    place.connection.execute(
        "INSERT INTO registry_day_pass (site_id, on_day, kind, name, company, host, entered_at, recorded_by)"
        " VALUES (%s, %s, 'driver', '박 기사', '한강레미콘', '', %s, 't')",
        (site, now.date(), now),
    )
    inside = roster.content_of(place.connection, site_id=site, timezone="Asia/Seoul", now=now)["inside"]
    (visit,) = [row for person, row in inside.items() if person.startswith("pass:")]
    assert visit == ["박 기사", now.isoformat(), "한강레미콘", roster.VISITOR, ""]
    (worker,) = [row for person, row in inside.items() if person.startswith("worker:")]
    assert worker[3] == "철근공"
    place.connection.execute("UPDATE registry_day_pass SET left_at = %s", (now,))
    later = roster.content_of(place.connection, site_id=site, timezone="Asia/Seoul", now=now)["inside"]
    assert not [person for person in later if person.startswith("pass:")]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
