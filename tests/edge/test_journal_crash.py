"""A terminal's day cut short at every single operation on its disk, and with every single operation refused.

`make crash` does it for each index and many more torn writes (CCS_CRASH=all); a plain run takes a share of them.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.journal import database
from simulators.journal_day import ROTTEN, BrokenPromise, Diary, examine, live_through
from simulators.platters import Rename, Resize, Survives, Sync, SyncFolder, Write, lay_down, replayed
from simulators.recorded_disk import Fault, FaultKind, RecordedDisk

ALL = os.environ.get("CCS_CRASH") == "all"
SEED = int(os.environ.get("CCS_CRASH_SEED", "1"))
SOME: list[Survives] = ["some"]
TORN_WAYS = 24 if ALL else 3
SHARDS = 4
FAULTS_EVERY = 1 if ALL else 11
"""Of the operations of a day, each so manyth is refused in a plain run; another first one for every kind of fault."""
KINDS: tuple[FaultKind, ...] = ("io_error", "full", "short_write", "forgetful_sync", "failed_sync", "read_error")
CASES = [
    pytest.param(kind, lasting, id=f"{kind}-{word}")
    for kind in KINDS
    for lasting, word in ((False, "once"), (True, "lasting"))
]


@pytest.fixture
def ram() -> Iterator[Path]:
    """A folder in memory when there is one: thousands of files are written, and none has to outlive the test."""
    held = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="ccs-crash-", dir=held if os.access(held, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


def day(folder: Path, fault: Fault | None = None) -> tuple[RecordedDisk, Diary]:
    lay_down({}, folder)
    disk, diary = RecordedDisk(folder, fault), Diary()
    with disk.mounted():
        live_through(disk, diary)
    return disk, diary


def test_the_day_has_in_it_what_can_go_wrong(ram: Path) -> None:
    """The sweeps below prove as much as this day does: look that it still does everything."""
    disk, diary = day(ram / "live")
    said = "\n".join(diary.refusals)
    assert "kept for musters" in said
    assert "too full to fold" in said
    assert diary.rotten
    assert diary.deletable[-1][1] == ROTTEN - 1
    epochs = [epoch for _, (epoch, _) in diary.confirmed]
    assert epochs[-1] > epochs[0]
    assert len(diary.confirmed) == len(diary.asked)
    kinds = [type(one) for one in disk.log]
    assert {Write, Sync, Resize, SyncFolder, Rename} <= set(kinds)
    assert kinds.count(Sync) > 100
    examine(ram / "live", diary, len(disk.log))


def cut_everywhere(folder: Path, disk: RecordedDisk, diary: Diary, *, shard: int, ways: int) -> list[str]:
    """Cut the power after each operation, in several ways; return the promises broken."""
    broken: list[str] = []
    seen: set[int] = set()
    survivors: list[Survives] = ["nothing", "everything"]
    for done, platters in replayed(disk.log):
        if done % SHARDS != shard:
            continue
        for way, survives in enumerate(survivors + SOME * ways):
            image = platters.image(survives, random.Random(f"{SEED}/{done}/{way}"))
            alike = hash((diary.promises(done), *sorted(image.items())))
            if alike in seen:
                continue
            seen.add(alike)
            lay_down(image, folder)
            try:
                examine(folder, diary, done)
            except BrokenPromise as exc:
                broken.append(f"after operation {done}, {survives} of the unsynced kept (way {way}): {exc}")
    return broken


@pytest.mark.promise("DUR-01")
@pytest.mark.promise("DUR-03")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_power_cut_at_any_operation_of_a_day_breaks_no_promise(ram: Path, shard: int) -> None:
    """Mutant: synchronous=NORMAL (the next test); the cursor stored outside a transaction."""
    disk, diary = day(ram / "live")
    print(f"seed {SEED}")
    assert cut_everywhere(ram / "after", disk, diary, shard=shard, ways=TORN_WAYS) == []


@pytest.mark.promise("DUR-01")
def test_the_sweep_notices_synchronous_normal(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proof that the test above can fail."""
    monkeypatch.setitem(database.PRAGMAS, "synchronous", "NORMAL")
    monkeypatch.setitem(database.REQUIRED, "synchronous", 1)
    disk, diary = day(ram / "live")
    broken = cut_everywhere(ram / "after", disk, diary, shard=0, ways=0)
    assert any("was promised" in one for one in broken)


@pytest.mark.promise("DUR-01")
@pytest.mark.promise("DUR-07")
@pytest.mark.parametrize(("kind", "lasting"), CASES)
def test_any_operation_of_a_day_may_fail_and_no_promise_breaks(ram: Path, kind: FaultKind, *, lasting: bool) -> None:
    """Whatever fails is said as the journal's own refusal; after a restart, or a power cut, all that was promised is
    there. Mutant: using a handle again after a failed sync (`make_safe` left out): `failed_sync` loses taps."""
    broken, struck = [], 0
    for at in share(ram, kind, lasting=lasting):
        try:
            struck += failed_day(ram, Fault(at, kind, lasting))
        except BrokenPromise as exc:
            broken.append(f"{kind} at {at}: {exc}")
    assert broken == []
    assert struck


def share(ram: Path, kind: FaultKind, *, lasting: bool) -> list[int]:
    """Number the operations that this kind of fault can meet, and take this run's share of them."""
    disk, _ = day(ram / "live")
    met = {"forgetful_sync": ["sync"], "failed_sync": ["sync"], "short_write": ["write"]}.get(kind)
    numbers = [at for at, what in enumerate(disk.asked) if met is None or what in met]
    if kind == "read_error":
        numbers = list(range(disk.reads))
    return numbers[random.Random(f"{SEED}/{kind}/{lasting}").randrange(FAULTS_EVERY) :: FAULTS_EVERY]


def failed_day(ram: Path, fault: Fault) -> bool:
    """Play the day with the fault; look at the disk after a restart and after a power cut. Whether it was met."""
    disk, diary = day(ram / "live", fault)
    end = len(disk.log)
    if fault.kind == "failed_sync":
        cut_after_next_promises(ram / "after", disk, diary)
    image = disk.platters.image("nothing", random.Random(fault.at))
    examine(ram / "live", diary, end)
    lay_down(image, ram / "after")
    examine(ram / "after", diary, end)
    return disk.struck > 0


def cut_after_next_promises(folder: Path, disk: RecordedDisk, diary: Diary) -> None:
    """Cut the power right after the first promises behind a failed sync: what it left in memory is on no disk."""
    failed_at = next((at for at, one in enumerate(disk.log) if isinstance(one, Sync) and one.failed), len(disk.log))
    moments = [when for when, _, _ in diary.promised if when > failed_at][:3]
    for done, platters in replayed(disk.log):
        if done in moments:
            lay_down(platters.image("nothing", random.Random(done)), folder)
            examine(folder, diary, done)
