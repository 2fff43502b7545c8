"""Counting cards by the event counter of PC/SC: pure, so that "once per presentation" can be tested exhaustively.

pcscd counts each insertion and removal of a reader in the high 16 bits of its state, so what happened between two looks
is known even when the looks were too late to see it.
"""

from __future__ import annotations

from dataclasses import dataclass

STATE_PRESENT = 0x20
_COUNTER_BITS = 16
_COUNTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a reader's state says: cards that came and went unseen, and whether a new one lies there."""

    missed: int
    new: bool


class Presentations:
    """Follows one reader from the moment it is found."""

    def __init__(self) -> None:
        self._counter: int | None = None
        self._present = False

    def see(self, state: int) -> Look:
        """Take a `dwEventState`; every presentation is either `new` once or `missed` once."""
        counter, present = state >> _COUNTER_BITS & (_COUNTS - 1), bool(state & STATE_PRESENT)
        if self._counter is None:
            insertions = int(present)
        else:
            changes = (counter - self._counter) % _COUNTS
            insertions = changes // 2 if self._present else (changes + 1) // 2
        self._counter, self._present = counter, present
        new = present and insertions > 0
        return Look(missed=insertions - new, new=new)
