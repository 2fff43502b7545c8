"""Our own terminal before the kit, as a process of its own: killed, restarted, cut off, and told lies."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from simulators.cli import app
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.slow]

NEEDS_NTP = "TIM-01.4"
"""Judged only where a time service holds the machine's clock."""


@pytest.mark.promise("DUR-01")
@pytest.mark.promise("DUR-03")
def test_our_own_terminal_passes_every_check(tmp_path: Path) -> None:
    """Mutant: any of tests/tck/test_tck_bad_terminal.py's misbehaviours, in our own agent."""
    port = free_port()
    keys = make_keys(tmp_path / "keys")
    gate = TerminalProgram(
        "tck", "gate-01", tmp_path / "gate", f"mqtt://127.0.0.1:{port}", keys, directions=("in", "out", "muster")
    )
    config = tmp_path / "gate" / "terminal.toml"
    config.write_text(config.read_text().replace("[mqtt]", "[mqtt]\nheartbeat_s = 1"))
    command = ["tck", "terminal", "--listen", f"127.0.0.1:{port}", "--keys", str(tmp_path / "keys")]
    command += ["--run", shlex.join(gate.program.command)]
    for reader in gate.readers:
        command += ["--reader", f"{reader.direction}=127.0.0.1:{reader.port}"]
    command += ["--json", str(tmp_path / "report.json"), "--junit", str(tmp_path / "report.xml")]
    result = CliRunner().invoke(app, command)
    report = json.loads((tmp_path / "report.json").read_text())
    outcomes = {check["number"]: check["outcome"] for check in report["checks"]}
    assert {number for number, outcome in outcomes.items() if outcome == "failed"} == set(), result.output
    assert {number for number, outcome in outcomes.items() if outcome == "untested"} <= {NEEDS_NTP}, result.output
    assert result.exit_code == 0, result.output
    suites = ET.parse(tmp_path / "report.xml").getroot()
    assert sum(int(suite.get("tests", 0)) for suite in suites) == len(outcomes)
    assert not suites.findall(".//failure")
