"""`deploy/edge/install.sh` as it stands, run into a folder: only making a Python environment is played."""

from __future__ import annotations

import configparser
import itertools
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_agent.config import EXIT_CONFIG

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]

PLAYED_PYTHON = """#!/bin/sh
# `python3 -m venv FOLDER` makes programs that succeed at once; everything else is the real interpreter's.
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    printf '#!/bin/sh\\nexit ${PLAYED_EXIT:-0}\\n' > "$3/bin/pip"
    cp "$3/bin/pip" "$3/bin/ccs-edge"
    chmod 755 "$3/bin/pip" "$3/bin/ccs-edge"
    exit 0
fi
exec "$REAL_PYTHON" "$@"
"""
POLKIT = """([rules, asked]) => {
  let decide;
  const polkit = { addRule: rule => { decide = rule; }, Result: { YES: "yes", NOT_HANDLED: null } };
  new Function("polkit", rules)(polkit);
  return asked.map(([action, user]) => decide({ id: action }, { user }));
}"""
"""polkitd, as far as one rule sees it."""
ACTIONS = ("org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card", "org.freedesktop.login1.reboot")
STAMP_OF_AN_OLD_INSTALLATION = "20260101T0000{:02d}Z"


class Machine:
    """A folder that is installed into."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._programs = folder / "programs"
        self._checkout = folder / "checkout"
        self._programs.mkdir()
        (self._programs / "python3").write_text(PLAYED_PYTHON)
        (self._programs / "python3").chmod(0o755)
        for part in ("deploy", "firmware_configs", "requirements"):
            self._checkout.mkdir(exist_ok=True)
            (self._checkout / part).symlink_to(ROOT / part)

    @property
    def prefix(self) -> Path:
        return self.root / "opt/ccs-edge"

    def had(self, version: str, number: int) -> str:
        """Lay out an earlier installation, the one that is linked; a higher number is a later one."""
        name = f"{version}-{STAMP_OF_AN_OLD_INSTALLATION.format(number)}"
        for part in ("bin", "share"):
            (self.prefix / "versions" / name / part).mkdir(parents=True)
            (self.prefix / part).unlink(missing_ok=True)
            (self.prefix / part).symlink_to(self.prefix / "versions" / name / part)
        return name

    def install(self, version: str, *options: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        (self._checkout / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
        environment = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "REAL_PYTHON": sys.executable,
            "DESTDIR": str(self.root),
            "PLAYED_EXIT": str(exit_code),
        }
        command = ["/bin/sh", "-c", 'umask 077; exec /bin/sh "$@"', "sh", self._checkout / "deploy/edge/install.sh"]
        return subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)

    @property
    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.prefix / "versions").iterdir())

    @property
    def linked(self) -> str:
        """The version that the service starts; its program must be there."""
        assert (self.prefix / "bin/ccs-edge").is_file(), "the link dangles: the gate is dark"
        assert (self.prefix / "share/firmware_configs").is_dir()
        return (self.prefix / "bin").resolve().parent.name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("there", "installed"),
    [
        (("0.9.0", "0.9.1", "0.9.2"), "0.10.0"),
        (("0.10.0", "0.10.1", "0.10.2"), "0.9.9"),
        (("1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.1.1"), "1.2.0"),
    ],
    ids=["a number of two digits", "a downgrade", "many"],
)
def test_what_was_just_installed_runs_and_the_last_two_before_it_stay(
    machine: Machine, there: tuple[str, ...], installed: str
) -> None:
    """Mutant: versions ordered as text."""
    earlier = [machine.had(version, number) for number, version in enumerate(there)]
    done = machine.install(installed)
    assert done.returncode == 0, done.stderr
    assert machine.linked.startswith(f"{installed}-")
    assert machine.versions == sorted([machine.linked, *earlier[-2:]])


def test_the_version_that_ran_until_now_stays_whatever_the_clock_said_when_it_was_made(machine: Machine) -> None:
    """A terminal without a battery was installed in 2026 and again before it knew the time."""
    newer = [machine.had(f"2.0.{number}", 10 + number) for number in range(4)]
    ran = machine.had("1.0.0", 1)
    assert machine.install("2.1.0").returncode == 0
    assert machine.versions == sorted([machine.linked, ran, newer[-1]])


def test_a_first_installation_needs_nothing_there(machine: Machine) -> None:
    assert machine.install("1.0.0").returncode == 0
    assert machine.versions == [machine.linked]


def test_an_installation_that_fails_leaves_the_old_one_linked(machine: Machine) -> None:
    earlier = [machine.had(f"0.9.{number}", number) for number in range(3)]
    assert machine.install("0.10.0", exit_code=1).returncode != 0
    assert (machine.prefix / "bin").resolve().parent.name == earlier[-1]
    assert machine.versions == earlier, "half a version stays to push a whole one out"


def test_what_root_installs_the_agents_user_can_read(machine: Machine) -> None:
    """Root's umask is 077 here."""
    assert machine.install("1.0.0").returncode == 0
    closed = [path for path in machine.prefix.rglob("*") if not path.lstat().st_mode & stat.S_IROTH]
    assert closed == []


def test_pcscd_is_opened_to_the_agents_user_and_to_nobody_else(machine: Machine, chromium: Browser) -> None:
    assert machine.install("1.0.0").returncode == 0
    rules = machine.root / "etc/polkit-1/rules.d/60-ccs-edge.rules"
    assert not rules.exists(), "without --pcsc nothing of pcscd is touched"
    assert machine.install("1.0.1", "--pcsc").returncode == 0
    page = chromium.new_page()
    asked = page.evaluate(POLKIT, [rules.read_text(), [*itertools.product(ACTIONS, ("ccs-edge", "www-data"))]])
    assert asked == ["yes", None, "yes", None, None, None]


def test_no_tap_waits_for_a_clock_or_a_network_and_only_bad_content_ends_the_service() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd tells capitals apart
    unit.read(ROOT / "deploy/edge/ccs-edge.service")
    waits_for = set(" ".join(unit["Unit"].get(name, "") for name in ("After", "Wants", "Requires")).split())
    assert waits_for == {"network.target", "pcscd.socket"}
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    assert unit["Service"]["RestartPreventExitStatus"] == str(EXIT_CONFIG)
