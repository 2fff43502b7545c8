"""One run from its plan: play it, judge it, and when it fails find a smaller one that fails too."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from simulators.virtual.checks import check
from simulators.virtual.disk import MachineDied, VirtualDisks
from simulators.virtual.estate import VirtualEstate, virtual_ground
from simulators.virtual.faults import Faults
from simulators.virtual.plan import CALM_H, FAULTS, Plan
from simulators.virtual.world import Violation, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY = Path("/dev/shm")  # noqa: S108 - a disk in memory; anything else is only slower
SHORTEST_H = 0.5
RUNS_TO_SHRINK_MAX = 60


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. `violation` is empty when every promise held."""

    plan: Plan
    violation: str
    trace: bytes
    sometimes: Counter[str]
    promised: int
    digest: str

    @property
    def ok(self) -> bool:
        """Whether every promise held."""
        return not self.violation

    @property
    def kind(self) -> str:
        """The violation without its names and numbers: two runs of one kind fail alike."""
        return re.sub(r"[0-9a-f]*[0-9][0-9a-f]*|None|\[.*?\]", "#", self.violation)


@lru_cache(1)
def _disks() -> VirtualDisks:
    return VirtualDisks()


def play(plan: Plan) -> Result:
    """Play a run to its end and judge it. The same plan gives the same result, byte for byte."""
    parent = str(MEMORY) if MEMORY.is_dir() else None
    root = Path(tempfile.mkdtemp(prefix="ccs-virtual-", dir=parent))
    world = World(plan, root)
    violation = ""
    try:
        with virtual_ground(world, _disks()):
            estate = VirtualEstate(world, _disks())
            try:
                _play(estate)
            except Violation as exc:
                violation = str(exc)
            except (Exception, MachineDied) as exc:  # noqa: BLE001  # tidy: broad-except whatever ends a run is a finding with a seed
                violation = f"the program failed: {type(exc).__name__}: {exc}"
                world.note("judge", traceback.format_exc())
            finally:
                for terminal in (*estate.terminals, *estate.twins):
                    terminal.kill(power=False)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    world.note("judge", violation or "every promise held")
    promised = sum(map(len, estate.ledger.promised.values()))
    return Result(plan, violation, world.trace(), world.sometimes, promised, world.digest())


def _play(estate: VirtualEstate) -> None:
    world = estate.world
    estate.start()
    Faults(estate)
    world.run((world.plan.hours + CALM_H) * 3600)
    check(estate)


def shrink(failed: Result, *, play_one: Callable[[Plan], Result] = play) -> Result:
    """Return the smallest failing run found: kinds of fault left out, then hours, then terminals."""
    best, runs, kind = failed, 0, failed.kind
    progress = True
    while progress and runs < RUNS_TO_SHRINK_MAX:
        progress = False
        for smaller in _smaller(best.plan):
            runs += 1
            found = play_one(smaller)
            if found.kind == kind:
                best, progress = found, True
                break
            if runs >= RUNS_TO_SHRINK_MAX:
                break
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    for fault in FAULTS:
        if fault in plan.faults:
            yield plan.without(fault)
    for hours in (plan.hours / 4, plan.hours / 2, plan.hours * 0.75, plan.hours * 0.9):
        if hours >= SHORTEST_H:
            yield plan.shorter(round(hours, 2))


def commit() -> str:
    """Name the commit that runs, as well as it can be known."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def report(result: Result) -> str:
    """Say what failed, and how to see it again."""
    lines = result.trace.decode().splitlines()
    tail = "\n".join(lines[-40:])
    return (
        f"{result.violation}\n  at commit {commit()}, {result.plan.describe()}\n"
        f"  again: make sim SEED={result.plan.seed}\n  {len(lines)} lines of trace, the last of them:\n{tail}"
    )
