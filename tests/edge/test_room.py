"""Who may still write when space runs short, with a disk whose free space is set by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.journal import room as rooms
from edge_agent.journal.record import JournalFailed, JournalFull, JournalLimits
from edge_agent.journal.room import EVENTS_A_LOOK_MAX, ROW_OVERHEAD_BYTES, Room

FLOOR = 4096
LIMITS = JournalLimits(reserve_bytes=FLOOR, floor_bytes=FLOOR, bytes_max=10_000)


class Disk:
    """Says what is free, and how often it was asked."""

    def __init__(self) -> None:
        self.free = 10 * FLOOR
        self.asked = 0

    def __call__(self, _folder: object) -> int:
        self.asked += 1
        if self.free < 0:
            raise OSError(5, "Input/output error")
        return self.free


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(rooms, "free_bytes", made)
    return made


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "journal.db", LIMITS)


def test_the_disk_is_asked_at_every_sixteenth_event_and_after_each_refusal(disk: Disk, room: Room) -> None:
    """Mutants: it is asked once and never again; or not after a refusal."""
    for _ in range(EVENTS_A_LOOK_MAX):
        room.admit(False)
    assert disk.asked == 1
    room.admit(False)
    assert disk.asked == 2
    room.look_again()
    disk.free = FLOOR
    for refused in range(1, 4):
        with pytest.raises(JournalFull, match=rf"has {FLOOR} bytes free, no more than the {FLOOR} kept .*: this event"):
            room.admit(False)
        assert disk.asked == 2 + refused
    disk.free = FLOOR + 1
    room.admit(False)


@pytest.mark.promise("DUR-07")
def test_a_muster_is_not_refused_at_the_floor_and_has_room_beyond_the_journals_own_limit(
    disk: Disk, room: Room
) -> None:
    """Mutant: musters stop where taps do."""
    disk.free = 0
    room.admit(True)
    disk.free = 10 * FLOOR
    room.used_bytes = LIMITS.bytes_max
    room.admit(False)
    room.used_bytes += 1
    with pytest.raises(JournalFull, match="holds 10001 bytes of the 10000 allowed: this event was not stored"):
        room.admit(False)
    room.admit(True)
    room.used_bytes = LIMITS.bytes_max + LIMITS.reserve_bytes + 1
    with pytest.raises(JournalFull):
        room.admit(True)


def test_a_disk_that_does_not_answer_is_no_room(disk: Disk, room: Room) -> None:
    disk.free = -1
    with pytest.raises(JournalFailed, match=r"does not say what is free .*Input/output error.*nothing was stored"):
        room.admit(False)


@pytest.mark.usefixtures("disk")
def test_what_is_stored_is_counted_and_a_tap_that_fits_again_ends_the_alarm(room: Room) -> None:
    """Mutant: a muster from the reserve ends it, and the alarm is said again and again."""
    room.full_announced = True
    room.count(100, True)
    assert (room.used_bytes, room.full_announced) == (100 + ROW_OVERHEAD_BYTES, True)
    room.count(100, False)
    assert (room.used_bytes, room.full_announced) == (2 * (100 + ROW_OVERHEAD_BYTES), False)
