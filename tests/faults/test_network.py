"""A terminal whose link is cut, flaps, loses packets or is slow: green as ever, and central gets each tap once."""

from __future__ import annotations

import itertools
import os
import random
from typing import TYPE_CHECKING

import psycopg
import pytest

from simulators.servers import wait_until
from simulators.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.estate import Estate, RunningSite
    from simulators.netns import NetworkNamespace

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("faults-network")]

GATE = "gate-01"
_sites = itertools.count(1)


@pytest.fixture
def site(estate: Estate, cable: NetworkNamespace) -> Iterator[RunningSite]:
    """One terminal on a host of its own, behind a cable."""
    url = f"mqtt://{cable.address_here}:{estate.broker.port}"
    running = estate.site(
        f"cable-{next(_sites)}", (GATE,), broker=url, place=cable, more_mqtt="keepalive_s = 5\nheartbeat_s = 1"
    )
    running.terminals[GATE].start()
    yield running
    cable.mend()
    running.stop()


def seed() -> int:
    found = int(os.environ.get("CCS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    print(f"\nseed {found}: play it again with CCS_SEED={found}")
    return found


def online(estate: Estate, site: RunningSite) -> bool:
    with psycopg.connect(estate.database_url) as connection:
        rows = connection.execute(
            "SELECT online FROM attendance_terminal_status WHERE terminal_id = %s", (site.seeded.terminals[GATE],)
        ).fetchall()
    return rows == [(True,)]


def stored(estate: Estate, site: RunningSite) -> set[int]:
    """The numbers that central holds of the one terminal."""
    with psycopg.connect(estate.database_url) as connection:
        rows = connection.execute(
            "SELECT seq FROM attendance_event WHERE terminal_id = %s", (site.seeded.terminals[GATE],)
        ).fetchall()
    return {seq for (seq,) in rows}


@pytest.mark.promise("DUR-01", "DUR-02")
def test_taps_while_the_cable_is_out_are_green_and_arrive_once_it_is_back(
    estate: Estate, site: RunningSite, cable: NetworkNamespace
) -> None:
    """Mutant: green waits for central."""
    crowd = site.crowd(GATE)
    crowd.tap(5)
    estate.wait_settled([crowd])
    crowd.not_green.clear()  # before the roster came, cards were unknown
    before = len(crowd.greens)
    cable.cut()
    crowd.tap(30)
    assert stored(estate, site).isdisjoint(green.seq for green in crowd.greens[before:])
    assert crowd.not_green == []
    wait_until(lambda: not online(estate, site), what="central to hear that the terminal is gone")
    crowd.tap(5)
    cable.mend()
    estate.wait_settled([crowd])
    wait_until(lambda: online(estate, site), what="central to hear that the terminal is back")
    assert estate.complaints(site, [crowd]) == []


@pytest.mark.promise("DUR-02")
def test_a_flapping_link_doubles_and_loses_nothing(estate: Estate, site: RunningSite, cable: NetworkNamespace) -> None:
    """Mutant: what was on its way when the link went is taken for delivered."""
    chance = random.Random(seed())
    crowd = site.crowd(GATE)
    crowd.start()
    for _ in range(6):
        crowd.wait_for(chance.randint(1, 40))
        cable.cut()
        crowd.wait_for(chance.randint(1, 40))
        cable.mend()
    crowd.finish()
    estate.wait_settled([crowd])
    assert estate.complaints(site, [crowd]) == []


def test_with_every_fifth_packet_lost_everything_arrives_all_the_same(
    estate: Estate, site: RunningSite, cable: NetworkNamespace
) -> None:
    crowd = site.crowd(GATE)
    cable.lose(20)
    crowd.tap(40)
    estate.wait_settled([crowd])
    assert estate.complaints(site, [crowd]) == []


@pytest.mark.long
@pytest.mark.promise("DUR-02")
def test_a_worker_whose_database_vanished_without_a_word_finds_out_and_goes_on(
    estate: Estate, cable: NetworkNamespace
) -> None:
    """Mutant: connections without keep-alive: TCP alone would wait a quarter of an hour, or two."""
    site = estate.site("vanished-1", (GATE,))
    at, _, name = estate.database_url.rpartition("/")
    host, _, port = at.rpartition("@")[2].partition(":")
    user = at.rpartition("@")[0]
    with TcpProxy((host, int(port)), host=cable.address_here) as wire:
        env = {
            "CCS_DATABASE_URL": f"{user}@{cable.address_here}:{wire.port}/{name}",
            "CCS_MQTT_URL": f"mqtt://{cable.address_here}:{estate.broker.port}",
        }
        far = estate.central("worker", name="far", place=cable, env=env)
        estate.worker.program.stop()
        far.start()
        site.terminals[GATE].start()
        try:
            crowd = site.crowd(GATE)
            crowd.tap(3)
            estate.wait_settled([crowd])
            cable.swallow(wire.clients)
            crowd.tap(5)
            estate.wait_settled([crowd], timeout_s=90)
            assert estate.complaints(site, [crowd]) == []
        finally:
            site.stop()
            cable.mend()
            far.program.stop()
            estate.worker.start()
