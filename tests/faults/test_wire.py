"""Connections half-open, torn in mid-packet or carrying garbage: between terminal, broker, worker and database."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from simulators.estate import Estate
from simulators.servers import MosquittoBroker, PostgresServer, wait_until
from simulators.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.estate import RunningSite

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("faults-wire")]

GATE = "gate-01"
GARBAGE = (
    b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
    b"\x00" * 40,
    b"\xff" * 300,
    b"\x30\x05\x00\x00\x00\x00\x00",  # PUBLISH, QoS 0, without a topic
    b"\x32\x08\x00\x03a/b\x00\x01\x7f",  # PUBLISH, QoS 1, with properties longer than the packet
    b"\x36\x04\x00\x01a\x00",  # PUBLISH of QoS 3
    b"\x40\x03\x00\x07\x99",  # PUBACK with an unknown reason
    b"\x20\x03\x00\x00\x00",  # a second CONNACK
    b"\x90\x04\x00\x01\x00\x63",  # SUBACK that nobody asked for
    b"\xe0\x02\x8e\x05\x11",  # DISCONNECT whose properties end early
    b"\x62\xff\xff\xff\xff\x7f",  # a length of five bytes
)


class Wires:
    """A central whose every connection runs through a proxy, and one terminal."""

    def __init__(self, folder: Path, database_url: str, broker: MosquittoBroker, stack: ExitStack) -> None:
        at, _, name = database_url.rpartition("/")
        host, _, port = at.rpartition("@")[2].partition(":")
        there = ("127.0.0.1", broker.port)
        self.terminal_to_broker = stack.enter_context(TcpProxy(there))
        self.worker_to_broker = stack.enter_context(TcpProxy(there))
        self.worker_to_database = stack.enter_context(TcpProxy((host, int(port))))
        self.estate = Estate(folder, database_url, broker)
        self.estate.worker = self.estate.central(
            "worker",
            env={
                "CCS_MQTT_URL": f"mqtt://127.0.0.1:{self.worker_to_broker.port}",
                "CCS_DATABASE_URL": f"{at.rpartition('@')[0]}@127.0.0.1:{self.worker_to_database.port}/{name}",
            },
        )
        self.estate.worker.start()
        stack.callback(self.estate.worker.program.stop)
        url = f"mqtt://127.0.0.1:{self.terminal_to_broker.port}"
        self.site: RunningSite = self.estate.site(
            "wire-1", (GATE,), broker=url, more_mqtt="keepalive_s = 5\nheartbeat_s = 1"
        )
        self.site.terminals[GATE].start()
        stack.callback(self.site.stop)
        self.crowd = self.site.crowd(GATE)

    def check(self) -> None:
        self.estate.wait_settled([self.crowd])
        assert self.estate.complaints(self.site, [self.crowd]) == []


@pytest.fixture(scope="module")
def wires(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wires]:
    """One for all tests: each goes on where the one before has settled."""
    folder = tmp_path_factory.mktemp("wires")
    name = "ccs_faults_wire"
    with ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(postgres.url(), autocommit=True))
        connection.execute(f"CREATE DATABASE {name} TEMPLATE ccs_template")  # type: ignore[call-overload]
        stack.callback(connection.execute, f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
        broker = MosquittoBroker(folder / "mosquitto")
        broker.start()
        stack.callback(broker.stop)
        yield Wires(folder, postgres.url(name), broker, stack)


@pytest.mark.promise("DUR-02")
def test_a_link_that_stands_half_open_is_given_up_and_made_anew(wires: Wires) -> None:
    """Mutant: a terminal that waits for ever for a broker that says nothing."""
    crowd, link = wires.crowd, wires.terminal_to_broker
    crowd.tap(5)
    wires.check()
    made = link.connections
    link.stall()
    crowd.tap(20)
    wait_until(lambda: link.connections > made, what="a new connection of the terminal", timeout_s=60)
    crowd.tap(5)
    wires.check()


@pytest.mark.promise("DUR-02")
@pytest.mark.parametrize("link", ["terminal_to_broker", "worker_to_broker", "worker_to_database"])
def test_a_connection_torn_in_mid_packet_costs_and_doubles_nothing(wires: Wires, link: str) -> None:
    """Mutant: what was sent on a connection that broke is taken for delivered."""
    chance = random.Random(7)
    crowd, wire = wires.crowd, getattr(wires, link)
    crowd.start()
    for _ in range(3):
        made = wire.connections
        crowd.wait_for(5)
        wire.tear_after(chance.randint(1, 3000))
        wait_until(lambda: wire.connections > made, what=f"{link} to be made anew", timeout_s=60)  # noqa: B023
    crowd.finish()
    wires.check()


@pytest.mark.promise("DUR-02")
@pytest.mark.parametrize("link", ["terminal_to_broker", "worker_to_broker"])
def test_garbage_on_a_link_ends_that_connection_and_nothing_else(wires: Wires, link: str) -> None:
    """Mutant: a thread that ends with the library's exception, and is never started again."""
    crowd, wire = wires.crowd, getattr(wires, link)
    for garbage in GARBAGE if os.environ.get("CCS_LONG") else GARBAGE[5:8]:
        if link == "terminal_to_broker":  # a fresh agent dials at once; an old one waits longer after each failure
            crowd.terminal.program.kill()
            crowd.terminal.start()
        crowd.tap(3)
        wires.check()
        wire.garble(to_client=garbage, to_server=garbage)
        crowd.tap(3)
        wires.check()
