"""A fleet against the real worker and database: every tap of every terminal once, every ack on its terminal's chain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from edge_agent.wire.ids import card_token
from simulators.fleet import run_fleet
from simulators.fleet_terminal import FleetPlan, terminal_codes
from simulators.processes import CentralProgram, make_keys
from simulators.seeding import seed_site

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.servers import MosquittoBroker

TERMINALS = 150
TAPS = 3_000
BACKLOG = 4


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.long
def test_a_fleet_sees_every_tap_acknowledged_by_the_database(
    tmp_path: Path, database_url: str, mosquitto: MosquittoBroker
) -> None:
    keys = make_keys(tmp_path / "keys")
    plan = FleetPlan(url=mosquitto.url, site="site-07", tokens=(), terminals=TERMINALS, taps=TAPS, backlog=BACKLOG)
    gates: dict[str, tuple[str, ...]] = dict.fromkeys(terminal_codes(plan), ("in", "out"))
    site = seed_site(database_url, card_key=keys.card_key_bytes, terminals=gates, workers=200)
    tokens = tuple(card_token(keys.card_key_bytes, identity) for identity in site.identities)
    plan = FleetPlan(url=mosquitto.url, site="site-07", tokens=tokens, terminals=TERMINALS, taps=TAPS, backlog=BACKLOG)
    worker = CentralProgram("worker", tmp_path / "central", database_url, mosquitto.url, keys)
    try:
        worker.start()
        report = asyncio.run(run_fleet(plan))
    finally:
        worker.program.stop()
    assert report.tally.complaints == []
    assert (report.unacknowledged, report.tally.bad_acks) == (0, 0)
    assert report.tally.durable == TAPS + TERMINALS
    with psycopg.connect(database_url) as connection:
        events = connection.execute("SELECT count(*), count(DISTINCT (journal, seq)) FROM attendance_event").fetchone()
        journals = connection.execute("SELECT count(*), sum(durable) FROM attendance_journal").fetchone()
        odd = connection.execute("SELECT count(*) FROM attendance_anomaly").fetchone()
        inside = connection.execute("SELECT count(DISTINCT worker_id) FROM attendance_event").fetchone()
    assert events == (TAPS + TERMINALS, TAPS + TERMINALS)
    assert journals == (TERMINALS, TAPS + TERMINALS)
    assert odd == (0,)
    assert inside == (200,)
