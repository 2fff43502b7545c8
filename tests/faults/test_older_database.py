"""PostgreSQL is put back to an older copy while terminals run: what it lost comes back by itself (DUR-04)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from central.kit.migrate import upgrade
from simulators.basebackup import restore_base_backup, take_base_backup
from simulators.estate import Estate
from simulators.servers import MosquittoBroker, PostgresServer, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("older-database")]

SITE = "site-07"
GATES = ("gate-01", "gate-02", "gate-03")
HEARTBEAT = "heartbeat_s = 1"


@pytest.fixture
def central(own_postgres: PostgresServer, tmp_path: Path) -> Iterator[Estate]:
    upgrade(own_postgres.url("ccs"))
    broker = MosquittoBroker(tmp_path / "mosquitto")
    broker.start()
    estate = Estate(tmp_path, own_postgres.url("ccs"), broker)
    estate.worker.start()
    yield estate
    estate.worker.program.stop()
    broker.stop()


def held(estate: Estate) -> dict[str, int]:
    """Highest gap-free number by terminal."""
    with psycopg.connect(estate.database_url) as connection:
        return dict(
            connection.execute(
                "SELECT t.code, j.durable FROM attendance_journal j JOIN registry_terminal t ON t.id = j.terminal_id"
            ).fetchall()
        )


def epoch(estate: Estate) -> int:
    with psycopg.connect(estate.database_url) as connection:
        ((found,),) = connection.execute("SELECT max(epoch) FROM attendance_journal").fetchall()
        return int(found)


@pytest.mark.promise("DUR-04")
def test_what_an_older_copy_of_the_database_lacks_comes_back_by_itself(
    central: Estate, own_postgres: PostgresServer, server_folder: Path
) -> None:
    """Mutant: the epoch never rises, so that terminals take the lower cursor for an old message and send nothing."""
    site = central.site(SITE, GATES, workers=60, more_mqtt=HEARTBEAT)
    try:
        for terminal in site.terminals.values():
            terminal.start()
        crowds = [site.crowd(gate) for gate in GATES]
        for crowd in crowds:
            crowd.tap(15)
        central.wait_settled(crowds)
        backup = server_folder / "an-hour-ago"
        take_base_backup(own_postgres, backup)
        for crowd in crowds:
            crowd.start(60)
        for crowd in crowds:
            crowd.finish(early=False)
        central.wait_settled(crowds)
        before, said = held(central), epoch(central)
        site.terminals[GATES[2]].program.stop()  # away while it happens, and long afterwards

        for crowd in crowds[:2]:
            crowd.start()
        restore_base_backup(own_postgres, backup)
        assert all(held(central)[gate] < before[gate] for gate in GATES), "the copy lacks what came after it"
        for crowd in crowds[:2]:
            crowd.wait_for(30)
            crowd.finish()
        central.wait_settled(crowds[:2])
        assert held(central)[GATES[2]] < before[GATES[2]]
        site.terminals[GATES[2]].start()
        wait_until(lambda: held(central)[GATES[2]] >= before[GATES[2]], what="the late one's missing hour")
        crowds[2].tap()
        central.wait_settled(crowds)
        assert epoch(central) > said
        assert central.complaints(site, crowds) == []
    finally:
        site.stop()


@pytest.mark.long
@pytest.mark.promise("DUR-04")
def test_a_database_put_back_twice_still_acknowledges_a_terminal_that_lost_nothing(
    central: Estate, own_postgres: PostgresServer, server_folder: Path
) -> None:
    """Mutant: an epoch that falls back with the database, so that terminals take its acknowledgements for old ones."""
    site = central.site(SITE, GATES[:2], workers=20, more_mqtt=HEARTBEAT)
    try:
        for terminal in site.terminals.values():
            terminal.start()
        losing, quiet = (site.crowd(gate) for gate in GATES[:2])
        losing.tap(5)
        quiet.tap(5)
        central.wait_settled([losing, quiet])
        backup = server_folder / "twice"
        take_base_backup(own_postgres, backup)
        losing.tap(10)
        central.wait_settled([losing])
        restore_base_backup(own_postgres, backup)
        wait_until(lambda: held(central)[GATES[0]] >= losing.greens[-1].seq, what="the missing hour")
        quiet.tap()
        central.wait_settled([losing, quiet])  # both have heard of the higher epoch now
        losing.terminal.program.stop()
        backup_of_quiet = held(central)[GATES[1]]
        restore_base_backup(own_postgres, backup)
        central.worker.program.kill()
        central.worker.start()
        wait_until(lambda: held(central)[GATES[1]] >= backup_of_quiet, what="the missing hour once more")
        quiet.tap(3)
        central.wait_settled([quiet], timeout_s=30)
        losing.terminal.start()
        losing.tap()
        central.wait_settled([losing, quiet])
        assert central.complaints(site, [losing, quiet]) == []
    finally:
        site.stop()
