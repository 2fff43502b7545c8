"""What `ccs-edge doctor` must not call good: a terminal that the agent's own user, journal or service would refuse."""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge_agent.clock import SystemClock
from edge_agent.config import ReaderSettings, load_config
from edge_agent.doctor import judge_roster
from edge_agent.health.account import AccountUnusable, looked_as, stand_in
from edge_agent.health.look_alikes import look_alikes
from edge_agent.health.service import sandbox
from edge_agent.loops.roster_store import RosterStore
from edge_agent.main import open_journal
from edge_agent.tap.roster import RosterView
from edge_agent.wire.codec import sign
from edge_agent.wire.messages import Roster, RosterEntry
from simulators.processes import TerminalProgram, make_keys
from simulators.servers import free_port

if TYPE_CHECKING:
    from edge_agent.health.probe import Verdict
    from edge_agent.wire.messages import Direction

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ME = pwd.getpwuid(os.geteuid()).pw_name
OTHER = "nobody"
STRICT = "LoadState=loaded\nProtectSystem=strict\nStateDirectory=ccs-edge\nReadWritePaths=-/mnt/ssd +/srv/ccs\n"


@pytest.fixture
def gate(server_folder: Path, tmp_path: Path) -> TerminalProgram:
    """A terminal in a folder that other users can reach; its broker is not there."""
    folder = server_folder / f"doctor-{tmp_path.name}"
    return TerminalProgram("site-07", "gate-03", folder, f"mqtt://127.0.0.1:{free_port()}", make_keys(folder / "keys"))


def can_run(python: str) -> bool:
    """Whether another user may run this interpreter."""
    try:
        return subprocess.run([python, "-c", "import encodings.idna"], user=OTHER, check=False).returncode == 0
    except PermissionError:
        return False


@pytest.fixture
def everybodys_python() -> str:
    """An interpreter that another user may run, too: ours, or the system's of the same version."""
    if os.geteuid() != 0:
        pytest.skip("only root can look as somebody else: run the tests as root")
    systems = f"/usr/bin/python3.{sys.version_info.minor}"
    for python in (sys.executable, systems):
        if Path(python).exists() and can_run(python):
            return python
    pytest.skip(f"{OTHER} may run neither {sys.executable} nor {systems}: install one that everybody may run")


def doctor(gate: TerminalProgram, *words: str, python: str = sys.executable) -> tuple[int, dict[str, str], str]:
    """Return the exit code, each check's line by its name, and what was said beside."""
    command = [python, "-m", "edge_agent", "doctor", *words, "--config", str(gate.folder / "terminal.toml")]
    environment = {"COLUMNS": "1000", "PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line.split("│") for line in done.stdout.splitlines() if line.count("│") > 3]
    said = {line[2].strip(): "│".join(part.strip() for part in line[1:]) for line in lines}
    return done.returncode, said, done.stderr


def as_me(gate: TerminalProgram) -> tuple[int, dict[str, str]]:
    code, said, _ = doctor(gate, "--user", ME)
    return code, said


def begin_journal(gate: TerminalProgram) -> Path:
    """Let the terminal hold an event, as after a first start."""
    config = load_config(gate.folder / "terminal.toml")
    journal = open_journal(config, SystemClock())
    journal.append(type_="ccs.boot.v1", data={"versions": {}, "config_hash": config.digest})
    journal.close()
    return gate.data_dir / "journal.db"


def test_the_journal_of_another_terminal_is_found_before_the_agent_refuses_it(gate: TerminalProgram) -> None:
    begin_journal(gate)
    code, said = as_me(gate)
    assert (code, said["journal"][:4]) == (0, "good"), said
    config = gate.folder / "terminal.toml"
    config.write_text(config.read_text().replace('site = "site-07"', 'site = "site-08"'))
    code, said = as_me(gate)
    assert code == 1
    assert "is the journal of site-07/gate-03, this terminal is site-08/gate-03: correct the config" in said["journal"]


def test_the_journal_of_a_newer_agent_is_found(gate: TerminalProgram) -> None:
    with sqlite3.connect(begin_journal(gate)) as journal:
        journal.execute("PRAGMA user_version = 99")
    code, said = as_me(gate)
    assert code == 1
    assert "the journal has schema 99, this agent knows up to" in said["journal"]


def test_a_journal_whose_rows_cannot_be_read_is_a_line_and_no_traceback(gate: TerminalProgram) -> None:
    with sqlite3.connect(begin_journal(gate)) as journal:
        journal.execute("UPDATE journal_cursor SET durable = 7")
    code, said = as_me(gate)
    assert (code, said["journal"][:3]) == (1, "bad"), said


def test_root_looks_as_the_user_whose_the_data_is(gate: TerminalProgram, everybodys_python: str) -> None:
    """Mutant: root looks as root, who may read every key."""
    gate.data_dir.mkdir()
    os.chown(gate.data_dir, pwd.getpwnam(OTHER).pw_uid, pwd.getpwnam(OTHER).pw_gid)
    gate.keys.public_key.chmod(0o644)
    code, said, beside = doctor(gate, python=everybodys_python)
    assert (code, beside) == (1, f"the agent runs as {OTHER}\n")
    assert said["user"].startswith(f"good│user│looked as {OTHER}, as whom the agent runs")
    assert said["disk"].startswith("good")
    assert said["sync"].startswith("good")
    assert "cannot be read (Permission denied)" in said["card key"]
    assert said["central's key"].startswith("good")
    (gate.folder / "terminal.toml").chmod(0o600)
    code, said, beside = doctor(gate, python=everybodys_python)
    assert (code, said) == (1, {})
    assert "cannot be read (Permission denied): give the path of a terminal file, and let the agent's user" in beside


def test_root_is_told_what_the_one_it_names_cannot_do(gate: TerminalProgram, everybodys_python: str) -> None:
    code, said, _ = doctor(gate, "--user", OTHER, python=everybodys_python)
    assert (code, said["sync"][:3], said["card key"][:3]) == (1, "bad", "bad"), said


def test_a_python_that_only_root_may_run_is_named(gate: TerminalProgram) -> None:
    if os.geteuid() != 0 or can_run(sys.executable):
        pytest.skip("shown only by root, with a Python that lies in root's home")
    code, said, beside = doctor(gate, "--user", OTHER)
    assert (code, said) == (1, {})
    assert f"{OTHER} cannot read Python itself ({sys.base_prefix}): install the agent with a Python that" in beside


def test_somebody_who_is_not_there_cannot_be_looked_as(gate: TerminalProgram) -> None:
    with pytest.raises(AccountUnusable, match="there is no user 'nobody-of-that-name' on this machine"):
        stand_in(gate.data_dir, named="nobody-of-that-name")
    code, _, beside = doctor(gate, "--user", "nobody-of-that-name")
    assert (code, beside) == (1, "there is no user 'nobody-of-that-name' on this machine: correct --user\n")


def test_it_says_as_whom_it_looked(tmp_path: Path) -> None:
    mine = stand_in(tmp_path, named=ME)
    assert looked_as(mine).verdict == "good"
    assert looked_as(None).verdict == "doubtful"
    assert f"looked as {ME}" in looked_as(None).found


@pytest.mark.parametrize(
    ("folder", "shown", "verdicts"),
    [
        ("/var/lib/ccs-edge", STRICT, ["good"]),
        ("/mnt/ssd/journal", STRICT, ["good"]),
        ("/srv/ccs", STRICT, ["good"]),
        ("/data/ccs", STRICT, ["bad"]),
        ("/var/lib/ccs-edge-2", STRICT, ["bad"]),
        ("/data/ccs", STRICT.replace("strict", "full"), []),
        ("/data/ccs", "LoadState=not-found\nProtectSystem=no\n", []),
        ("/data/ccs", "", []),
    ],
)
def test_a_folder_that_the_service_may_not_write_is_named_with_what_to_write_into_the_unit(
    folder: str, shown: str, verdicts: list[Verdict]
) -> None:
    checks = sandbox(Path(folder), shown)
    assert [check.verdict for check in checks] == verdicts
    assert all(f"ReadWritePaths={folder}" in check.remedy for check in checks if check.verdict == "bad")


def pair(driver: Literal["pcsc", "nfc"], first: str, second: str, direction: Direction = "out") -> list[ReaderSettings]:
    return [ReaderSettings("r1", driver, "in", first), ReaderSettings("r2", driver, direction, second)]


ACR = "ACS ACR122U PICC Interface"


@pytest.mark.parametrize(
    ("readers", "seen"),
    [
        (pair("pcsc", f"{ACR} 00 00", f"{ACR} 01 00"), {}),
        (pair("pcsc", "00 00", "01 00"), {"r1": f"{ACR} 00 00", "r2": f"{ACR} 01 00"}),
        (
            pair("pcsc", "Interface 00", "(A7) 01 00"),
            {"r1": f"{ACR} 00 00", "r2": "ACS ACR122U PICC Interface (A7) 01 00"},
        ),
        (pair("pcsc", f"{ACR} 00 00", f"{ACR} 01 00"), {"r1": f"{ACR} 00 00"}),
        (pair("nfc", "usb:001:004", "usb:001:007"), {}),
        (pair("nfc", "tty:USB0:pn532", "tty:USB1:pn532"), {}),
        (pair("nfc", "tty:ACM0", "tty:ACM1", "muster"), {}),
    ],
)
def test_readers_that_may_come_back_as_one_another_are_doubtful(
    readers: list[ReaderSettings], seen: dict[str, str]
) -> None:
    """Mutant: a reader that is found is a good one."""
    (check,) = look_alikes(readers, seen)
    assert (check.verdict, "readers r1 and r2" in check.found) == ("doubtful", True)
    assert "two models" in check.remedy


@pytest.mark.parametrize(
    ("readers", "seen"),
    [
        (pair("pcsc", "ACR122U", "ACR1252"), {"r1": f"{ACR} 00 00", "r2": "ACS ACR1252 Reader 01 00"}),
        (pair("pcsc", "Reader (A7)", "Reader (B3)"), {"r1": "ACS Reader (A7) 00 00", "r2": "ACS Reader (B3) 01 00"}),
        (pair("pcsc", "Dual 00 00", "Dual 00 01"), {"r1": "ACS Dual 00 00", "r2": "ACS Dual 00 01"}),
        (pair("pcsc", f"{ACR} 00 00", f"{ACR} 01 00", "in"), {}),
        (pair("nfc", "usb:054c:06c1", "usb:054c:06c3"), {}),
        ([ReaderSettings("r1", "pcsc", "in", "ACR122U"), ReaderSettings("r2", "nfc", "out", "usb:054c:06c3")], {}),
    ],
)
def test_readers_that_keep_their_direction_are_not(readers: list[ReaderSettings], seen: dict[str, str]) -> None:
    assert look_alikes(readers, seen) == []


def test_the_doctor_says_that_two_readers_of_one_model_may_swap(gate: TerminalProgram) -> None:
    config = gate.folder / "terminal.toml"
    text = config.read_text()
    table = '[[readers]]\nname = "{0.name}"\ndriver = "pcsc"\ndirection = "{0.direction}"\naddress = "{0.address}"\n'
    tables = [table.format(one) for one in pair("pcsc", f"{ACR} 00 00", f"{ACR} 01 00")]
    config.write_text(text[: text.index("[[readers]]")] + "".join(tables))
    assert as_me(gate)[1]["directions"].startswith("doubtful│directions│readers r1 and r2 are told apart by")


def roster_in(gate: TerminalProgram, *, key: Ed25519PrivateKey, site: str = "site-07", age_days: int = 0) -> Path:
    issued_at = datetime.now(UTC) - timedelta(days=age_days)
    entry = RosterEntry(token="0" * 32, worker="w1", name="김철수")
    gate.data_dir.mkdir(exist_ok=True)
    file = gate.data_dir / "roster.jsonl"
    file.write_bytes(sign(Roster(site=site, version=5, issued_at=issued_at, entries=[entry]), key=key, key_id="c1"))
    return file


def test_the_roster_is_looked_at_under_the_key_that_the_terminal_has(gate: TerminalProgram) -> None:
    _, said = as_me(gate)
    assert said["roster"].startswith("doubtful│roster│none yet: every card is unknown (amber, and kept)│let the")
    central = load_pem_private_key(gate.keys.signing_key.read_bytes(), password=None)
    assert isinstance(central, Ed25519PrivateKey)
    roster_in(gate, key=central, age_days=3)
    _, said = as_me(gate)
    assert said["roster"].startswith("good│roster│version 5, 1 cards, 3 days old, verifies under central's key")
    roster_in(gate, key=central, age_days=8)
    assert as_me(gate)[1]["roster"].startswith("doubtful")
    file = roster_in(gate, key=Ed25519PrivateKey.generate())
    held = file.read_bytes()
    code, said = as_me(gate)
    assert (code, "does not verify" in said["roster"]) == (1, True), said
    assert file.read_bytes() == held, "who examines changes nothing"
    roster_in(gate, key=central, site="site-08")
    code, said = as_me(gate)
    assert (code, "the roster is for 'site-08'" in said["roster"]) == (1, True), said


def test_a_roster_of_which_only_the_end_is_torn_is_no_reason_to_send_somebody(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    whole = sign(Roster(site="site-07", version=5, issued_at=NOW), key=key, key_id="c1")
    (tmp_path / "roster.jsonl").write_bytes(whole + b"\n" + whole[:-20])
    view, complaint = RosterStore(tmp_path / "roster.jsonl", site="site-07", key=key.public_key()).look()
    check = judge_roster(view, complaint, NOW)
    assert (check.verdict, "line 2 and what follows is left out" in check.found) == ("doubtful", True)
    assert judge_roster(RosterView("site-07"), None, NOW).verdict == "doubtful"
