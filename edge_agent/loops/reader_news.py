"""Which changes of a reader become events: a loose cable must not fill the journal that the taps need. Pure.

The first changes are recorded one by one. Beyond that they are counted, and one event says how many were left out and
how the reader is now: at last once it has been calm for a while, or every ten minutes while it goes on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

State = Literal["found", "lost"]

CHANGES_EACH_MAX = 6
"""Recorded one by one within `WINDOW_S`: a reader unplugged, plugged in elsewhere, and a service restarted."""
WINDOW_S = 600.0
CALM_S = 60.0
"""No change for so long: how the reader is now can be said."""


@dataclass(frozen=True, slots=True)
class News:
    """One event to record. `left_out` counts the changes before it that were not recorded."""

    reader: str
    state: State
    detail: str
    left_out: int = 0

    def data(self) -> dict[str, object]:
        """Return the `data` of the `ccs.reader.v1` event."""
        said: dict[str, object] = {"reader": self.reader, "state": self.state, "detail": self.detail}
        return said | {"left_out": self.left_out} if self.left_out else said


@dataclass(slots=True)
class _Known:
    told: deque[float] = field(default_factory=deque)
    """When something of it was recorded, within the window."""
    told_at: float = 0.0
    state: State = "lost"
    detail: str = ""
    changed_at: float = 0.0
    left_out: int = 0
    flapping: bool = False
    """Since a change was left out there has been no calm."""

    def news(self, reader: str, now: float) -> News:
        found = News(reader, self.state, self.detail, self.left_out)
        self.left_out = 0
        self.told_at = now
        self.told.append(now)
        return found


class ReaderNews:
    """The readers of one terminal. Times are monotonic seconds. Not thread-safe."""

    def __init__(self) -> None:
        self._readers: dict[str, _Known] = {}

    def changed(self, reader: str, state: State, detail: str, now: float) -> News | None:
        """Take one change; return what to record, or None when it is only counted."""
        known = self._readers.setdefault(reader, _Known())
        known.flapping = known.flapping and now - known.changed_at < CALM_S
        known.state, known.detail, known.changed_at = state, detail, now
        while known.told and now - known.told[0] >= WINDOW_S:
            known.told.popleft()
        if not known.flapping and known.left_out == 0 and len(known.told) < CHANGES_EACH_MAX:
            return known.news(reader, now)
        known.flapping = True
        known.left_out += 1
        return None

    def due(self, now: float) -> list[News]:
        """Return the summaries whose time has come; call every few seconds."""
        return [known.news(reader, now) for reader, known in self._readers.items() if _is_due(known, now)]


def _is_due(known: _Known, now: float) -> bool:
    if not known.left_out:
        return False
    return now - known.changed_at >= CALM_S or now - known.told_at >= WINDOW_S
