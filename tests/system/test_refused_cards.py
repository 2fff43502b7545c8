"""Cards that are not let in, end to end: what the worker sees at the gate and what the safety officer reads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from central.attendance.service import site_headcount
from central.kit.db import make_engine, read_session
from central.kit.ids import SiteId
from simulators.processes import CentralProgram, TerminalProgram, make_keys
from simulators.seeding import SeededSite, identity, seed_site
from simulators.servers import wait_until
from simulators.socket_card import SocketHand

if TYPE_CHECKING:
    from pathlib import Path

    from central.attendance.headcount import Headcount
    from simulators.servers import MosquittoBroker

pytestmark = pytest.mark.system
SITE, GATE = "site-07", "gate-01"


def headcount(database_url: str, site: SeededSite) -> Headcount:
    engine = make_engine(database_url, pool_size=1)
    try:
        with read_session(engine) as session:
            return site_headcount(session, site_id=SiteId(site.site_id), now=datetime.now(UTC))
    finally:
        engine.dispose()


def everything_acknowledged(terminal: TerminalProgram) -> bool:
    file = terminal.folder / "data" / "journal.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as journal:
        (durable,) = journal.execute("SELECT durable FROM journal_cursor").fetchone()
        (head,) = journal.execute("SELECT max(seq) FROM journal_event").fetchone()
    return bool(durable == head)


def test_an_unknown_card_is_amber_a_barred_one_red_and_both_are_kept_and_counted_as_what_they_are(
    tmp_path: Path, database_url: str, mosquitto: MosquittoBroker
) -> None:
    keys = make_keys(tmp_path / "keys")
    site = seed_site(database_url, card_key=keys.card_key_bytes, terminals={GATE: ("in", "out")}, workers=2)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO registry_bar (worker_id, site_id, reason, from_at) VALUES (%s, %s, %s, %s)",
            (site.workers[1], site.site_id, "safety training expired", datetime(2020, 1, 1, tzinfo=UTC)),
        )
    worker = CentralProgram("worker", tmp_path / "central", database_url, mosquitto.url, keys)
    terminal = TerminalProgram(SITE, GATE, tmp_path / GATE, mosquitto.url, keys)
    try:
        worker.start()
        terminal.start()
        wait_until(lambda: '"roster_applied"' in terminal.program.tail(100_000), what="the roster at the gate")
        with SocketHand(terminal.reader("in").port) as hand:
            cards = (site.identities[0], site.identities[1], identity(999))
            answers = [hand.hold(card) for card in cards]
        assert [(one.shown, one.decision) for one in answers] == [
            ("green", "accepted"),
            ("red", "barred"),
            ("amber", "unknown_card"),
        ]
        wait_until(lambda: everything_acknowledged(terminal), what="everything to be acknowledged")
    finally:
        terminal.program.stop()
        worker.program.stop()
    found = headcount(database_url, site)
    assert (found.inside, found.refused, found.unknown_cards, found.at_most) == (1, 1, 1, 3)
    assert [one.standing for one in found.people] == ["inside", "unknown_card", "refused"]
    with psycopg.connect(database_url) as connection:
        kept = connection.execute("SELECT seq FROM attendance_event WHERE decision IS NOT NULL ORDER BY seq").fetchall()
    assert [row[0] for row in kept] == [one.seq for one in answers], "each once"
