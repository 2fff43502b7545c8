"""`ccs-edge` as people use it: doctor, the journal's commands, and the sentences and exit codes of failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edge_agent.wire.codec import event_hash
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, free_port
from simulators.socket_card import hold_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

NOBODY = 65534
"""Chowning needs root, as every test of the real faults does."""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[TerminalProgram]:
    """A terminal whose broker is not there."""
    keys = make_keys(tmp_path / "keys")
    terminal = TerminalProgram("site-07", "gate-03", tmp_path / "gate", f"mqtt://127.0.0.1:{free_port()}", keys)
    yield terminal
    terminal.program.stop()


def ccs_edge(gate: TerminalProgram, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent", *words, "--config", str(gate.folder / "terminal.toml")]
    environment = {"COLUMNS": "250", "PATH": "/usr/bin:/bin"} | variables
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_doctor_finds_a_terminal_without_a_broker_fit_to_work(gate: TerminalProgram) -> None:
    done = ccs_edge(gate, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (
        "disk",
        "sync",
        "PRAGMAs",
        "journal",
        "clock",
        "card key",
        "central's key",
        "secrets",
        "reader r1",
        "reader r2",
    )
    for name in (*lines, "fonts", "broker"):
        assert f"│ {name} " in done.stdout, name
    assert "write and fsync: median" in done.stdout
    assert "WAL, synchronous=FULL, read back; one event stored and synced" in done.stdout
    assert "cannot reach" in done.stdout
    assert "taps are kept here until the broker is back" in done.stdout
    assert list((gate.folder / "data").glob("doctor-*")) == [], "nothing is left behind"


def test_the_doctor_finds_the_broker(gate: TerminalProgram, mosquitto: MosquittoBroker) -> None:
    config = gate.folder / "terminal.toml"
    config.write_text(config.read_text().replace(gate.broker, mosquitto.url))
    assert "accepts ccs-site-07-gate-03" in ccs_edge(gate, "doctor").stdout


def test_the_doctor_says_what_to_do_about_a_missing_key_and_fails(gate: TerminalProgram) -> None:
    gate.keys.card_key.unlink()
    done = ccs_edge(gate, "doctor")
    assert done.returncode == 1
    assert "copy the system key from central" in done.stdout


def test_the_doctor_names_the_languages_that_the_screen_cannot_draw(gate: TerminalProgram, tmp_path: Path) -> None:
    empty = tmp_path / "fonts.conf"
    empty.write_text(f"<fontconfig><cachedir>{tmp_path}/cache</cachedir></fontconfig>")
    config = gate.folder / "terminal.toml"
    config.write_text(config.read_text().replace("[kiosk]", '[kiosk]\nlanguages = ["vi"]'))
    done = ccs_edge(gate, "doctor", FONTCONFIG_FILE=str(empty))
    assert "no font here draws vi, ko, en" in done.stdout
    assert done.returncode == 0, "cards are recorded all the same"
    assert "fc-list does not answer" in ccs_edge(gate, "doctor", PATH=str(tmp_path)).stdout


def test_the_doctor_finds_keys_that_anybody_can_read(gate: TerminalProgram) -> None:
    gate.keys.card_key.chmod(0o644)
    assert f"chmod o= {gate.keys.card_key}" in "".join(ccs_edge(gate, "doctor", COLUMNS="1000").stdout.split("\n"))


def test_the_doctor_says_that_the_data_folder_cannot_be_written(gate: TerminalProgram) -> None:
    (gate.folder / "data").write_text("a file where the folder should be")
    done = ccs_edge(gate, "doctor")
    assert done.returncode == 1
    assert "nothing can be written to" in done.stdout
    assert done.stderr == ""


def test_the_doctor_says_that_a_running_agent_holds_the_readers(gate: TerminalProgram) -> None:
    gate.start()
    done = ccs_edge(gate, "doctor")
    assert done.returncode == 1
    assert "stop it first" in done.stdout
    assert hold_once(gate.reader("in").port, b"\x04\x01").seq, "the agent was not disturbed"


def test_the_journals_commands_read_beside_the_running_agent(gate: TerminalProgram, tmp_path: Path) -> None:
    gate.start()
    answer = hold_once(gate.reader("in").port, b"\x04\x01")
    inspected = ccs_edge(gate, "journal", "inspect").stdout
    assert answer.journal_id in inspected
    assert "ccs.tap.v1" in inspected
    assert "unbroken chain" in ccs_edge(gate, "journal", "verify").stdout
    target = tmp_path / "taps.jsonl"
    assert ccs_edge(gate, "journal", "export", str(target)).returncode == 0
    lines = target.read_bytes().splitlines()
    assert len(lines) >= answer.seq, "the other reader may be found after the tap"
    assert [json.loads(line)["prevhash"] for line in lines[1:]] == [event_hash(line) for line in lines[:-1]]


def test_a_journal_that_is_not_there_is_a_sentence(gate: TerminalProgram) -> None:
    done = ccs_edge(gate, "journal", "verify")
    assert done.returncode == 1
    assert "there is no journal yet" in done.stderr


def test_a_typo_is_found_before_the_file_is_put_in_place(gate: TerminalProgram) -> None:
    assert ccs_edge(gate, "check-config").returncode == 0
    config = gate.folder / "terminal.toml"
    config.write_text(config.read_text().replace("data_dir", "data_dri"))
    done = ccs_edge(gate, "check-config")
    assert done.returncode == 78
    assert "terminal.data_dri: found an unknown key; did you mean 'data_dir'?" in done.stderr


def test_a_journal_set_aside_by_hand_is_followed_by_one_that_says_what_it_held(gate: TerminalProgram) -> None:
    """Mutants: the file of a running agent is moved away under it; the new journal begins as if nothing had been."""
    gate.start()
    for number in range(3):
        assert hold_once(gate.reader("in").port, bytes([4, 1, 2, 3, 4, 5, number])).seq
    refused = ccs_edge(gate, "journal", "set-aside", "--reason", "the disk was copied")
    assert (refused.returncode, "stop that agent first" in refused.stderr) == (1, True)
    gate.program.stop()
    done = ccs_edge(gate, "journal", "set-aside", "--reason", "the disk was copied")
    assert done.returncode == 0, done.stderr
    assert "journal.db is now journal.db.damaged-1" in done.stdout
    assert "there is no journal yet" in ccs_edge(gate, "journal", "inspect").stderr
    gate.start()
    first = json.loads(ccs_edge(gate, "journal", "export", "-").stdout.splitlines()[0])
    assert first["type"] == "ccs.journal.v1"
    assert (first["data"]["first"], first["data"]["reason"]) == (1, "the disk was copied")
    assert first["data"]["last"] >= 4
    assert first["data"]["readable"] == first["data"]["last"]


def test_root_leaves_nothing_among_the_files_of_the_agents_user(gate: TerminalProgram) -> None:
    """Mutant: root sets a journal aside, or starts the agent by hand, and the agent's own user finds every card red."""
    gate.start()
    gate.program.stop()
    data = gate.folder / "data"
    before = {path.name: path.stat().st_mtime_ns for path in data.iterdir()}
    os.chown(data, NOBODY, -1)
    for words in (("run",), ("journal", "set-aside", "--reason", "the disk was copied")):
        done = ccs_edge(gate, *words)
        assert (done.returncode, "do this with sudo -u nobody" in done.stderr) == (1, True), done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in data.iterdir()} == before
    os.chown(data, os.geteuid(), -1)
    gate.start()
    assert hold_once(gate.reader("in").port, bytes.fromhex("04010203040506")).seq
