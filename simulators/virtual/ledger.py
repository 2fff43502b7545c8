"""What was promised, and what was destroyed on purpose: the truth against which a run is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Promise(NamedTuple):
    """A tap whose colour was shown: the event that must be in central once."""

    hash: str
    terminal: str
    at_us: int
    """True time of the tap."""


@dataclass(slots=True)
class Ledger:
    """Kept outside of everything that can fail."""

    promised: dict[tuple[str, int], list[Promise]] = field(default_factory=dict)
    """(journal id, seq) to what was promised under it: more than one when a disk was cloned."""
    destroyed: set[tuple[str, int, str]] = field(default_factory=set)
    """(journal id, seq, hash) of events whose only disk was taken away on purpose."""
    rotten: set[str] = field(default_factory=set)
    """Terminals whose disk had a bit flipped."""
    gone: set[str] = field(default_factory=set)
    """Terminals whose disk was taken away or put back to an older state at some time."""

    def promise(self, journal_id: str, seq: int, promise: Promise) -> None:
        """Note a colour that was shown."""
        self.promised.setdefault((journal_id, seq), []).append(promise)
