"""Who may still write when space runs short: ordinary taps stop at a floor, muster entries may use the reserve."""

from __future__ import annotations

from pathlib import Path

from edge_agent.journal.files import Reserve, beside, free_bytes
from edge_agent.journal.record import JournalFailed, JournalFull, JournalLimits

ROW_OVERHEAD_BYTES = 64
EVENTS_A_LOOK_MAX = 16
"""Asking the disk for its free space takes longer than hashing a tap; this many may pass between two looks."""


class Room:
    """The space of one journal: what it uses, what it may use, and the pool kept for musters."""

    def __init__(self, path: Path, limits: JournalLimits) -> None:
        self._folder = str(path.parent)
        self._limits = limits
        self._reserve = Reserve(beside(path, ".reserve"), size_bytes=limits.reserve_bytes)
        self.used_bytes = 0
        """What the stored rows take; counted on between two exact measurements."""
        self.full_announced = False
        self._unlooked_left = 0

    def admit(self, reserved: bool) -> None:  # noqa: FBT001 - a worker waits for this call
        """Refuse an event that there is no room for, before anything is written; raise `JournalFull`.

        The disk is asked again after `EVENTS_A_LOOK_MAX` events, after each `refill`, and every time after a refusal.
        """
        limits = self._limits
        if self.used_bytes > limits.bytes_max + (limits.reserve_bytes if reserved else 0):
            raise JournalFull(
                f"the journal holds {self.used_bytes} bytes of the {limits.bytes_max} allowed: this event was not"
                " stored; connect the terminal so that central can acknowledge, or raise bytes_max"
            )
        if reserved:
            return
        if self._unlooked_left:
            self._unlooked_left -= 1
            return
        free = self._free_bytes()
        if free <= limits.floor_bytes:
            raise JournalFull(
                f"the terminal's disk has {free} bytes free, no more than the {limits.floor_bytes} kept for musters:"
                " this event was not stored; make room on the disk"
            )
        self._unlooked_left = EVENTS_A_LOOK_MAX - 1

    def _free_bytes(self) -> int:
        try:
            return free_bytes(self._folder)
        except OSError as exc:
            raise JournalFailed(f"the terminal's disk does not say what is free ({exc}): nothing was stored") from exc

    def count(self, event_bytes: int, reserved: bool) -> None:  # noqa: FBT001 - a worker waits for this call
        """Note a stored event of this size."""
        self.used_bytes += event_bytes + ROW_OVERHEAD_BYTES
        if not reserved:
            self.full_announced = False

    def give_way(self, *, reserved: bool) -> bool:
        """Free a part of the reserve for a muster entry; return whether it is worth trying again.

        The disk is full, so the next ordinary event looks before it takes what was freed for musters.
        """
        self.look_again()
        try:
            return reserved and self._reserve.release_step() > 0
        except OSError as exc:
            raise JournalFailed(f"the reserve for musters could not be released ({exc}): nothing was stored") from exc

    def look_again(self) -> None:
        """Ask the disk before the next ordinary event, however lately it was asked."""
        self._unlooked_left = 0

    def refill(self) -> bool:
        """Lay the reserve out again when there is room beyond the floor; return whether it is whole.

        Raises `OSError` when the disk errs.
        """
        self.look_again()
        return self._reserve.lay_out(keep_free_bytes=self._limits.floor_bytes)
