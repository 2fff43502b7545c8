"""Who is told of what: screens of everything, rosters only of sites where somebody tapped; and a share of each turn."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from central.attendance import roster, rostering
from central.attendance.batch import Message
from central.attendance.ingest import Ingest
from central.attendance.intake import connect
from central.attendance.rostering import RosterLoop
from edge_agent.wire.ids import card_token
from edge_agent.wire.topics import terminal_topic
from simulators.ingest_bench import heartbeat
from simulators.journal import JournalMaker
from simulators.seeding import seed_site

if TYPE_CHECKING:
    from pytest_mock import MockerFixture

CARD_KEY = bytes(32)


def test_a_heartbeat_moves_screens_and_no_roster_a_tap_moves_both(database_url: str) -> None:
    """At a city's size, heartbeats that made rosters be looked at took half of the worker."""
    seeded = seed_site(database_url, card_key=CARD_KEY, site="site-07", workers=1)
    journal = JournalMaker("site-07", "gate-01")
    with psycopg.connect(database_url, autocommit=True) as ear, connect(database_url) as connection:
        ear.execute("LISTEN ccs_site")
        ear.execute("LISTEN ccs_inside")
        ingest, now = Ingest(connection), datetime.now(UTC)
        beat = Message(terminal_topic("site-07", "gate-01", "heartbeat"), heartbeat(journal, at=now))
        ingest.take([beat], now=now)
        assert [one.channel for one in ear.notifies(timeout=10, stop_after=1)] == ["ccs_site"]
        journal.tap(card_token(CARD_KEY, seeded.identities[0]))
        ingest.take([Message(journal.topic, journal.batch())], now=now)
        told = list(ear.notifies(timeout=10, stop_after=2))
    assert sorted(one.channel for one in told) == ["ccs_inside", "ccs_site"]
    assert {one.payload for one in told} == {str(seeded.site_id)}


def test_a_rush_of_rosters_gets_a_share_of_each_turn_and_what_changed_goes_before_the_sweep(
    mocker: MockerFixture,
) -> None:
    """Mutant: every due roster is told in one turn (ingest, in the same process, waits for all of them)."""
    told: list[int] = []

    def publish(_connection: object, *, site_id: int, **_: object) -> timedelta | None:
        told.append(site_id)
        until = time.monotonic() + rostering.BUDGET_S / 4
        while time.monotonic() < until:
            pass
        return timedelta(hours=1) if site_id == 1 and told.count(1) == 1 else None

    mocker.patch.object(roster, "publish", publish)
    loop = RosterLoop("", clock=mocker.Mock(), signer=mocker.Mock(), send=lambda *_: True)
    loop._swept = dict.fromkeys(range(100, 130))
    loop._due = dict.fromkeys(range(1, 11), 0.0)
    loop._publish_due(mocker.Mock())
    assert 1 <= len(told) <= 6, "a share of the turn, whatever waits"
    turns = 1
    while loop._swept:
        loop._publish_due(mocker.Mock())
        turns += 1
    assert told == [*range(1, 11), *range(100, 130)], "the longest due first, then the sweep"
    assert turns > 6
    assert list(loop._due) == [1], "told too recently: it comes again later"
