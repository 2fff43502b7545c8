"""What keeps a terminal from starting: wrong content needs a person, what cannot be read is tried again."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from edge_agent.config import EXIT_CONFIG, EXIT_FAILED, load_config
from edge_agent.main import broker_address
from edge_agent.transport.mqtt import reach
from simulators.listening_central import ListeningCentral
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import MosquittoBroker, free_port, wait_until
from simulators.socket_card import hold_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

CARD = b"\x04\x01\x02\x03\x04\x05\x06"


def ended(gate: TerminalProgram) -> tuple[int, str]:
    """Start, and return how it ended at once and what it said."""
    with pytest.raises(RuntimeError, match="stopped while starting"):
        gate.start()
    assert gate.program.child is not None
    return gate.program.child.returncode, gate.program.tail()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[TerminalProgram]:
    """A terminal whose broker is not there."""
    keys = make_keys(tmp_path / "keys")
    terminal = TerminalProgram("site-07", "gate-03", tmp_path / "gate", f"mqtt://127.0.0.1:{free_port()}", keys)
    yield terminal
    terminal.program.stop()


def test_the_service_is_started_again_until_its_files_are_there(gate: TerminalProgram) -> None:
    """As at a boot with /etc/ccs not mounted yet. Mutant: end with the code after which nobody starts it again."""
    config = gate.folder / "terminal.toml"
    away = config.rename(config.with_name("away"))
    code, said = ended(gate)
    assert code == EXIT_FAILED
    assert f"the terminal cannot start: {config}: cannot be read (No such file or directory): give" in said
    away.rename(config)
    for named in ("card_key_file", "central_public_key_file", "site_keys_file"):
        whole = config.read_text()
        lines = [line for line in whole.splitlines() if not line.startswith(named)]
        config.write_text("\n".join(lines).replace("[keys]", f'[keys]\n{named} = "not-there"'))
        code, said = ended(gate)
        assert (code, f"not-there: keys.{named}: cannot be read" in said) == (EXIT_FAILED, True), said
        config.write_text(whole)
    gate.start()
    assert hold_once(gate.reader("in").port, CARD).seq


def test_a_key_that_was_read_and_is_wrong_ends_it_until_somebody_mends_it(gate: TerminalProgram) -> None:
    gate.keys.card_key.write_text("ab" * 31)
    code, said = ended(gate)
    assert (code, "expected 32 bytes as 64 hex digits" in said) == (EXIT_CONFIG, True), said


@pytest.fixture
def guarded(server_folder: Path, tmp_path: Path) -> Iterator[MosquittoBroker]:
    """A broker that wants the right password of who gives a name."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "gate", "as agreed"], check=True, capture_output=True)
    broker = MosquittoBroker(server_folder / f"guarded-{tmp_path.name}", extra=f"password_file {passwords}")
    broker.start()
    yield broker
    broker.stop()


def test_the_password_is_read_at_each_connection_and_without_it_taps_are_kept(
    guarded: MosquittoBroker, tmp_path: Path
) -> None:
    """Mutants: the password is read once at the start; a terminal without it does not start."""
    password = tmp_path / "broker.password"
    lines = f'username = "gate"\npassword_file = "{password}"'
    keys = make_keys(tmp_path / "keys")
    gate = TerminalProgram("site-07", "gate-03", tmp_path / "gate", guarded.url, keys, more_mqtt=lines)
    address = broker_address(load_config(gate.folder / "terminal.toml"))
    with ListeningCentral(guarded.url) as central:
        gate.start()
        try:
            seq = hold_once(gate.reader("in").port, CARD).seq
            assert seq, "the gate is open"
            sentence = f"mqtt.password_file {password} cannot be read (No such file or directory)"
            wait_until(lambda: sentence in gate.program.log.read_text(), what="the file to be named")
            assert sentence in str(reach(address))
            password.write_bytes(b"\xff")
            assert "is not text" in str(reach(address))
            password.write_text("as it was last year\n")
            wait_until(
                lambda: "refuses 'ccs-site-07-gate-03': Not authorized" in gate.program.log.read_text(),
                what="a refusal",
            )
            password.write_text("as agreed\n")
            wait_until(lambda: seq in central.held().events, what="the tap, with the password of now")
            assert reach(address) is None
        finally:
            gate.program.stop()
