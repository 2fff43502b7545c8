"""A disk that fills up, or fails its fsyncs, while people tap: red when nothing was kept, nothing green is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators.disk import SmallDisk
from simulators.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.estate import Crowd, Estate
    from simulators.processes import TerminalProgram

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.xdist_group("faults-network")]

GATE = "gate-01"
SMALL_JOURNAL = "[journal]\nbytes_max = 67108864\nreserve_bytes = 262144\n"


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    folder = Path(tempfile.mkdtemp(prefix="ccs-small-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        folder.rmdir()
        if os.geteuid() == 0:
            raise OSError(done.stderr)
        pytest.skip(f"a disk to fill is mounted by root: {done.stderr.strip()}")
    yield SmallDisk(folder, None)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


def refusals(crowd: Crowd) -> int:
    return sum(1 for shown in crowd.not_green if shown.decision == "not_recorded")


@pytest.mark.promise("DUR-07")
def test_a_full_disk_refuses_in_red_also_after_a_kill_and_what_was_green_before_arrives(
    estate: Estate, small_disk: SmallDisk
) -> None:
    """Mutant: green although the journal had no room."""
    site = estate.site(
        "full-1",
        (GATE,),
        directions=("in", "out", "muster"),
        data=small_disk.folder / "data",
        more_readers=SMALL_JOURNAL,
    )
    terminal = site.terminals[GATE]
    terminal.start()
    try:
        crowd = site.crowd(GATE)
        crowd.tap(30)
        crowd.start()
        small_disk.fill()
        wait_until(lambda: refusals(crowd) >= 3 or crowd.failed, what="taps to be refused")
        crowd.hold(crowd.cards[0], "muster")
        terminal.program.kill()
        terminal.start()
        seen = refusals(crowd)
        wait_until(lambda: refusals(crowd) >= seen + 3 or crowd.failed, what="taps to be refused after the restart")
        small_disk.relieve()
        crowd.wait_for(10)
        crowd.finish()
        estate.wait_settled([crowd])
        assert estate.complaints(site, [crowd]) == []
    finally:
        site.stop()


@dataclass
class FailingSyncs:
    """Runs a program whose fsync and fdatasync fail at random, by libfiu."""

    probability: float
    folder: Path

    def command(self, command: list[str]) -> list[str]:
        fault = f"enable_random name=posix/io/sync/*,probability={self.probability}"
        return ["fiu-run", "-x", "-f", str(self.folder / "fiu"), "-c", fault, *command]

    def entered(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.promise("DUR-01")
def test_fsyncs_that_fail_turn_taps_red_and_lose_nothing_that_was_green(estate: Estate, tmp_path: Path) -> None:
    """Mutant: a failed fsync is tried again on the same handle, and believed."""
    if shutil.which("fiu-run") is None:
        raise FileNotFoundError("fiu-run: apt-get install fiu-utils")
    site = estate.site("syncs-1", (GATE,), place=FailingSyncs(0.05, tmp_path))
    terminal = site.terminals[GATE]
    starts_until_it_opens(terminal)
    try:
        crowd = site.crowd(GATE, pause_s=0)
        crowd.start()
        wanted, kills = 150, 0
        while len(crowd.greens) < wanted and not crowd.failed:
            wait_until(
                lambda: len(crowd.greens) >= wanted or crowd.failed or not terminal.program.running,
                what=f"{wanted} greens or the end of the agent",
                timeout_s=120,
            )
            if not terminal.program.running:  # as the service manager would
                starts_until_it_opens(terminal)
                kills += 1
        crowd.finish()
        assert refusals(crowd), "no fsync failed"
        print(f"{len(crowd.greens)} greens, {refusals(crowd)} refused, {kills} starts by the service manager")
        estate.wait_settled([crowd])
        assert estate.complaints(site, [crowd]) == []
    finally:
        site.stop()


def starts_until_it_opens(terminal: TerminalProgram) -> None:
    """Start an agent that may find its disk failing at the start already."""

    def up() -> bool:
        try:
            terminal.start()
        except RuntimeError:
            return False
        return True

    wait_until(up, what="the agent to open its journal", timeout_s=120)
