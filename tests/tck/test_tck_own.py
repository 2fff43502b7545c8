"""Our own terminal and our own central before the kit, as real processes: killed, cut off, and told lies.

The terminal's examination mostly waits, so it runs as a process of its own while central's goes on: two terminals, each
with half of the stages.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import psycopg
import pytest

from central.identity.accounts import create_token
from central.identity.permissions import Permission
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from simulators.processes import CentralProgram, TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, PostgresServer, free_port
from simulators.tck.central_checks import CENTRAL_CHECKS
from simulators.tck.central_setup import CentralWish, examine_wish
from simulators.tck.report import as_json
from simulators.tck.terminal_checks import TERMINAL_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("tck")]

EXAMINATION_S_MAX = 240
HALVES = (
    {"always", "session", "taps", "silence", "roster", "incident", "commands", "resend"},
    {"always", "epoch", "outage", "kill", "fork", "farewell"},
)
NEEDS_NTP = {"TIM-01.4"}
"""Judged only where a time service holds the machine's clock."""
NEEDS_INCIDENT = {"INC-03.51"}
"""Judged only where an incident is retained."""


@dataclass
class Running:
    """One examination of our terminal under way."""

    folder: Path
    process: subprocess.Popen[str]

    def report(self) -> dict[str, Any]:
        """Wait for its end; every check's verdict by number."""
        output, _ = self.process.communicate(timeout=EXAMINATION_S_MAX)
        assert self.process.returncode == 0, output
        suites = ET.parse(self.folder / "report.xml").getroot()
        told: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        assert sum(int(suite.get("tests", 0)) for suite in suites) == len(told["checks"])
        assert told["complete"], told["notes"]
        return {check["number"]: check for check in told["checks"]}


def start_examination(folder: Path, stages: set[str]) -> Running:
    """Let `ccs-sim tck terminal` start and judge a terminal of ours."""
    port = free_port()
    keys = make_keys(folder / "keys")
    broker = f"mqtt://127.0.0.1:{port}"
    gate = TerminalProgram("tck", "gate-01", folder / "gate", broker, keys, directions=("in", "out", "muster"))
    config = folder / "gate" / "terminal.toml"
    config.write_text(config.read_text().replace("[mqtt]", "[mqtt]\nheartbeat_s = 1"))
    command = [sys.executable, "-m", "simulators.cli", "tck", "terminal", "--keys", str(folder / "keys")]
    command += ["--listen", f"127.0.0.1:{port}", "--run", shlex.join(gate.program.command)]
    command += ["--json", str(folder / "report.json"), "--junit", str(folder / "report.xml")]
    for reader in gate.readers:
        command += ["--reader", f"{reader.direction}=127.0.0.1:{reader.port}"]
    for check in TERMINAL_CHECKS:
        if check.stage in stages:
            command += ["--only", check.number]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return Running(folder, process)


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Both halves of our terminal's examination, under way."""
    running = [start_examination(tmp_path_factory.mktemp("tck-terminal"), stages) for stages in HALVES]
    yield running
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(20)


@pytest.mark.promise("DUR-02")
@pytest.mark.promise("DUR-05")
@pytest.mark.promise("DUR-06")
@pytest.mark.usefixtures("terminals")
def test_our_own_central_passes_every_check(tmp_path: Path, server_folder: Path, mosquitto: MosquittoBroker) -> None:
    """Mutant: each misbehaviour of tests/tck/test_tck_bad_central.py, in our own worker."""
    postgres = PostgresServer(server_folder / "postgres-tck", settings={"shared_buffers": "32MB"})
    keys = make_keys(tmp_path / "keys")
    with ExitStack() as stack:
        stack.callback(postgres.stop)
        postgres.start()
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE ccs")
        url = postgres.url("ccs")
        upgrade(url)
        worker, web = (
            CentralProgram(role, tmp_path / "central", url, mosquitto.url, keys) for role in ("worker", "web")
        )
        for one in (worker, web):
            stack.callback(one.program.stop)
            one.start()
        wish = CentralWish(
            url=mosquitto.url,
            site="tck",
            codes=("gate-01", "gate-02", "gate-99"),
            api=web.url,
            token=a_token(url),
            prepare=True,
            public_key=keys.public_key,
        )
        crashes = []

        def crash() -> None:
            worker.program.kill()
            postgres.kill()
            postgres.start()
            worker.start()
            crashes.append("both killed")

        report = examine_wish(replace(wish, crash=crash), lambda _stage: None)
    failed = [check for check in json.loads(as_json(report))["checks"] if check["outcome"] == "failed"]
    assert not failed, json.dumps(failed, indent=1, ensure_ascii=False)
    assert report.complete, report.notes
    assert set(report.numbers("untested")) <= NEEDS_INCIDENT
    assert len(report.verdicts) == len(CENTRAL_CHECKS)
    assert crashes == ["both killed"]


def a_token(database_url: str) -> str:
    """Make an API token with every right."""
    engine = make_engine(database_url, pool_size=1)
    scopes = [str(permission) for permission in Permission]
    now = datetime.now(UTC)
    with write_session(engine) as session:
        _, secret = create_token(
            session, name="tck", scopes=scopes, site=None, expires_at=None, actor="system:test", now=now
        )
    engine.dispose()
    return secret


@pytest.mark.promise("DUR-01")
@pytest.mark.promise("DUR-03")
def test_our_own_terminal_passes_every_check(terminals: list[Running]) -> None:
    """Mutant: each misbehaviour of tests/tck/test_tck_bad_terminal.py, in our own agent."""
    first, second = (one.report() for one in terminals)
    assert set(first) | set(second) == {check.number for check in TERMINAL_CHECKS}
    told = [*first.values(), *second.values()]
    failed = [check for check in told if check["outcome"] == "failed"]
    assert not failed, json.dumps(failed, indent=1, ensure_ascii=False)
    passed = {check["number"] for check in told if check["outcome"] == "passed"}
    assert {check.number for check in TERMINAL_CHECKS} - passed <= NEEDS_NTP
