"""The journal on disks that fail: kills, power cuts, failed syncs, no space. Green stays true or is not said."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.journal import database
from edge_agent.journal.handles import Handles
from edge_agent.journal.record import MIB, JournalFailed, JournalFull, JournalLimits, JournalUnusable
from edge_agent.journal.room import Room
from edge_agent.journal.store import Journal
from edge_agent.journal.view import JournalView
from edge_agent.wire.codec import decode_event
from edge_agent.wire.messages import MUSTER, TAP, Credential, TapData
from simulators.disk import FaultyDisk, SmallDisk
from simulators.terminal_clock import HandClock

KIB = 1024
LIMITS = JournalLimits(
    reserve_bytes=256 * KIB, floor_bytes=512 * KIB, wal_bytes=64 * KIB, wal_bytes_idle_max=16 * KIB, bytes_max=64 * MIB
)
TAPPED = TapData("in", "r1", "gate-03", Credential("id_only", 0), "accepted", "green")


def open_journal(folder: Path, vfs: str | None = None, *, limits: JournalLimits = LIMITS) -> Journal:
    return Journal.open(
        folder / "journal.db", site="site-07", terminal="gate-03", clock=HandClock(), limits=limits, vfs=vfs
    )


def tap(journal: Journal) -> int:
    return journal.append(type_=TAP, data=TAPPED, token="9f" * 16).seq


@pytest.mark.promise("DUR-01")
def test_every_event_a_killed_process_called_stored_is_there(tmp_path: Path) -> None:
    """Mutant: `append` answering before its INSERT committed (a memory queue) loses lines printed here.

    Killed first while it stands still after an answer, where no commit under way saves it by luck; then while it taps.
    """
    printed: dict[int, str] = {}
    writer_command = [sys.executable, "-m", "simulators.journal_writer", str(tmp_path / "journal.db")]
    for taps_before_kill, stands_still in ((3, True), (3, False), (71, False), (140, False)):
        command = [*writer_command, str(taps_before_kill)] if stands_still else writer_command
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                seq, digest = line.split()
                assert printed.setdefault(int(seq), digest) == digest, f"{seq} was given twice: the first was lost"
                taps_before_kill -= 1  # noqa: PLW2901 - counts down
                if taps_before_kill == 0:
                    writer.kill()  # SIGKILL; what it still printed is read to the end
    journal = open_journal(tmp_path)
    held = {record.seq: record.hash for record in journal.read(0, events_max=100_000, bytes_max=64 * MIB)}
    assert journal.lost is None
    assert printed.items() <= held.items()
    assert sorted(held) == list(range(1, len(held) + 1))
    assert journal.verify().ok
    journal.close()


def held_after_power_cuts(folder: Path, *, taps: int, rng: random.Random | None) -> list[tuple[int, int, bool]]:
    """Cut the power after each of `taps` taps; return (promised, found, chain intact) for each cut."""
    disk = FaultyDisk()
    journal = open_journal(folder / "live", disk.name)
    found = []
    for number in range(1, taps + 1):
        promised = tap(journal)
        if number % 7 == 0:
            journal.maintain()
        after = folder / f"cut-{number}"
        disk.cut_power(after, rng=rng)
        view = JournalView(after / "journal.db")
        found.append((promised, view.head().seq, view.verify().ok))
        view.close()
        shutil.rmtree(after)
    journal.close()
    return found


@pytest.mark.promise("DUR-01")
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_power_cut_after_any_tap_loses_nothing_promised(tmp_path: Path, seed: int | None) -> None:
    """Mutant: synchronous=NORMAL (proved by the next test)."""
    rng = random.Random(seed) if seed is not None else None
    for promised, found, intact in held_after_power_cuts(tmp_path, taps=60, rng=rng):
        assert found >= promised
        assert intact


@pytest.mark.promise("DUR-01")
def test_the_power_cut_test_notices_synchronous_normal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proof that the test above can fail: the same cuts with synchronous=NORMAL lose promised taps."""
    monkeypatch.setitem(database.PRAGMAS, "synchronous", "NORMAL")
    monkeypatch.setitem(database.REQUIRED, "synchronous", 1)
    lost = [promised for promised, found, _ in held_after_power_cuts(tmp_path, taps=30, rng=None) if found < promised]
    assert lost


@pytest.mark.promise("DUR-01")
def test_a_failed_sync_promises_nothing_and_the_handle_is_never_used_again(tmp_path: Path) -> None:
    """Mutant: trying the same connection again after `apsw.IOError` instead of closing it."""
    disk = FaultyDisk()
    journal = open_journal(tmp_path / "live", disk.name)
    promised = [tap(journal), tap(journal)]
    handles: Handles = journal._handles
    disk.sync_fails = 1
    with pytest.raises(JournalFailed, match=r"event 3 could not be stored: .*; it is not promised"):
        tap(journal)
    promised.append(tap(journal))
    assert journal._handles is not handles
    disk.cut_power(tmp_path / "after")
    view = JournalView(tmp_path / "after" / "journal.db")
    assert view.head().seq >= promised[-1]
    assert view.verify().ok
    view.close()
    journal.close()


def test_a_disk_that_keeps_failing_keeps_answering_failed_and_heals_when_it_does(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = open_journal(tmp_path, disk.name)
    tap(journal)
    disk.sync_fails = 1_000
    for _ in range(3):
        with pytest.raises(JournalFailed):
            tap(journal)
    with pytest.raises(JournalFailed, match="cannot be made safe"):
        journal.read(0, events_max=1, bytes_max=MIB)
    disk.sync_fails = 0
    tap(journal)
    assert journal.verify().ok
    assert len(journal.read(0, events_max=1, bytes_max=MIB)) == 1
    journal.close()


def test_a_disk_that_cannot_sync_at_start_is_refused(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.sync_fails = 1_000
    with pytest.raises(JournalUnusable, match="check the disk"):
        open_journal(tmp_path, disk.name)


@pytest.fixture(params=["tmpfs", "simulated"])
def small_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    # Not under pytest's own folder: its clean-up, also that of another run, cannot delete what is mounted.
    folder = Path(tempfile.mkdtemp(prefix="ccs-small-disk-"))
    mounted = request.param == "tmpfs" and _run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    simulated = None if mounted else FaultyDisk()
    if simulated is not None:
        for module in ("files", "handles", "room", "store"):
            monkeypatch.setattr(f"edge_agent.journal.{module}.free_bytes", simulated.free_bytes)
    try:
        yield SmallDisk(folder, simulated)
    finally:
        if mounted:
            # Lazily: a test that failed may still hold the journal open.
            assert _run("umount", "--lazy", str(folder))
        shutil.rmtree(folder)


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def tap_until_refused(journal: Journal, stored: list[int]) -> None:
    for _ in range(1_000):
        stored.append(tap(journal))  # noqa: PERF401 - what was stored before the refusal must be kept


@pytest.mark.promise("DUR-07")
def test_a_full_disk_refuses_taps_keeps_every_row_and_still_takes_musters(small_disk: SmallDisk) -> None:
    """Mutant: no reserve file (`give_way` returning False), or ordinary taps admitted to it (no floor)."""
    vfs = small_disk.simulated.name if small_disk.simulated is not None else None
    journal = open_journal(small_disk.folder, vfs)
    stored = [tap(journal) for _ in range(30)]
    small_disk.fill()
    with pytest.raises(JournalFull, match="make room on the disk"):
        tap_until_refused(journal, stored)
    for _ in range(20):
        journal.append(type_=MUSTER, data=TAPPED, token="9f" * 16, reserved=True)
        with pytest.raises(JournalFull):
            tap(journal)
    assert journal.maintain().reserve_whole is False
    events = [decode_event(r.bytes) for r in journal.read(0, events_max=5_000, bytes_max=64 * MIB)]
    assert sum(event.type == TAP for event in events) == len(stored)
    assert sum(event.type == MUSTER for event in events) == 20
    assert sum(event.type == "ccs.journal.v1" for event in events) == 1
    assert journal.verify().ok

    small_disk.relieve()
    tap(journal)
    assert journal.maintain().reserve_whole is True
    assert journal.verify().ok
    journal.close()


@pytest.mark.promise("DUR-07")
def test_the_last_room_is_for_musters_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutants: no floor for ordinary taps; an ordinary tap that finds the disk full is given a part of the reserve."""
    room = Room(tmp_path / "journal.db", LIMITS)
    assert room.refill()
    reserve = tmp_path / "journal.db.reserve"
    whole = reserve.stat().st_size
    assert not room.give_way(reserved=False)
    assert reserve.stat().st_size == whole
    assert room.give_way(reserved=True)
    assert reserve.stat().st_size < whole
    monkeypatch.setattr("edge_agent.journal.room.free_bytes", lambda _folder: LIMITS.floor_bytes)
    with pytest.raises(JournalFull, match="kept for musters"):
        room.admit(reserved=False)
    room.admit(reserved=True)


@pytest.mark.promise("DUR-07")
def test_a_full_disk_survives_a_restart_without_losing_a_row(small_disk: SmallDisk) -> None:
    """Mutant: a start that sets the file aside or deletes rows when it finds no room."""
    vfs = small_disk.simulated.name if small_disk.simulated is not None else None
    journal = open_journal(small_disk.folder, vfs)
    for _ in range(30):
        tap(journal)
    small_disk.fill()
    journal.append(type_=MUSTER, data=TAPPED, token="9f" * 16, reserved=True)
    head = journal.head
    journal.close()
    again = open_journal(small_disk.folder, vfs)
    assert again.lost is None
    assert again.head == head
    again.append(type_=MUSTER, data=TAPPED, token="9f" * 16, reserved=True)
    assert again.verify().ok
    again.close()
