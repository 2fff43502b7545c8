"""The whole terminal on a disk that fills up: red and loud for taps, musters still taken, nothing lost (DUR-07)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from edge_agent.config import load_config
from edge_agent.journal.store import Journal
from edge_agent.main import build
from edge_agent.wire.codec import event_hash
from simulators.disk import FaultyDisk, SmallDisk
from simulators.listening_central import ListeningCentral
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, accepts, wait_until
from simulators.socket_card import SocketHand, hold_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.main import Agent

pytestmark = pytest.mark.system

SITE, GATE = "site-07", "gate-03"


@pytest.fixture(params=["tmpfs", "simulated"])
def small_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    folder = Path(tempfile.mkdtemp(prefix="ccs-small-disk-"))
    mounted = False
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    simulated = None if mounted else FaultyDisk()
    if simulated is not None:
        monkeypatch.setattr("edge_agent.main.Journal.open", partial(Journal.open, vfs=simulated.name))
        for module in ("files", "handles", "room", "store"):
            monkeypatch.setattr(f"edge_agent.journal.{module}.free_bytes", simulated.free_bytes)
    yield SmallDisk(folder, simulated)
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    shutil.rmtree(folder)


class Running:
    """A terminal built from its file and run in a thread of this process, its disk being ours to fill."""

    def __init__(self, agent: Agent, ports: list[int]) -> None:
        self.agent = agent
        self._ports = ports
        self._thread = threading.Thread(target=agent.run)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: all(accepts(port) for port in self._ports), what="the terminal to take cards")
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.supervisor.request_stop()
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self.agent.supervisor.stopping


class Page:
    """The terminal's page, open: what is sent to it."""

    def __init__(self, port: int) -> None:
        self.text = ""
        self._stream = urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=30)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._stream:
            self.text += line.decode()


def configure(gate: TerminalProgram, data: Path) -> Path:
    config = gate.folder / "terminal.toml"
    text = config.read_text().replace(str(gate.folder / "data"), str(data))
    config.write_text(
        text.replace("[kiosk]", "[journal]\nbytes_max = 67108864\nreserve_bytes = 262144\n\n[kiosk]").replace(
            "[mqtt]", "[mqtt]\nheartbeat_s = 1"
        )
    )
    return config


@pytest.mark.promise("DUR-07")
def test_a_disk_that_fills_up_turns_the_gate_red_and_keeps_musters_and_everything_else(
    small_disk: SmallDisk, tmp_path: Path, mosquitto: MosquittoBroker
) -> None:
    """Mutant: an acknowledgement that finds no room ends the uplink, and with its budget the terminal."""
    keys = make_keys(tmp_path / "keys")
    gate = TerminalProgram(SITE, GATE, tmp_path / "gate", mosquitto.url, keys, directions=("in", "muster"))
    agent = build(load_config(configure(gate, small_disk.folder)))
    ports = [one.port for one in gate.readers] + [gate.kiosk_port]
    tap, muster = (gate.reader(direction).port for direction in ("in", "muster"))
    with ListeningCentral(mosquitto.url, answers=False) as central, Running(agent, ports) as running:
        journal = agent.journal
        assert journal is not None
        page = Page(gate.kiosk_port)
        with SocketHand(tap) as hand:
            stored = [hand.hold(b"\x04" + number.to_bytes(6, "big")).seq for number in range(30)]
        assert all(stored)
        wait_until(lambda: central.held().durable() >= stored[-1], what="the taps at central")

        small_disk.fill()
        wait_until(lambda: not any(hold_once(tap, b"\x04\x01").seq for _ in range(3)), what="taps to be refused")
        refused = hold_once(tap, b"\x04\x01")
        assert (refused.shown, refused.decision, refused.journal_id) == ("red", "not_recorded", "")
        wait_until(lambda: '"colour":"alarm"' in page.text, what="the red screen")
        assert "기록되지 않았습니다" in page.text
        hashes = {seq: event_hash(payload) for seq, payload in central.held().events.items()}
        for seq in range(1, stored[-1]):  # each one moves the cursor, which takes room as well
            ack = {"journal_id": journal.journal_id, "durable": seq, "hash": hashes[seq], "have": [], "epoch": 0}
            central.say_raw_ack(SITE, GATE, ack)
        for number in range(5):
            assert hold_once(muster, b"\x04" + number.to_bytes(6, "big")).seq, "a muster entry has room of its own"
        central.answers = True
        heard = len(central.heartbeats())
        wait_until(lambda: len(central.heartbeats()) > heard + 1, what="the terminal to go on")
        assert running.alive
        assert len(central.births()) == 1, "no loop had to be started again"
        assert hold_once(tap, b"\x04\x01").shown == "red"

        small_disk.relieve()
        again = hold_once(tap, b"\x04\x02")
        assert again.seq
        central.acknowledge(SITE, GATE, journal.journal_id)
        wait_until(lambda: central.held().durable() == journal.head.seq, what="everything at central")
        wait_until(lambda: journal.cursor.durable == journal.head.seq, what="everything to be acknowledged")
        assert journal.verify().ok
        held = central.held()
        assert held.chain_breaks() == []
        assert {*stored, again.seq} <= set(held.events)
        kinds = [event.type for event in held.decoded()]
        assert kinds.count("ccs.muster.v1") == 5
        assert "ccs.journal.v1" in kinds, "the journal itself says that it was full"
