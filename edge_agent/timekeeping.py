"""What a terminal records of its clock, purely, and the last known good moment that outlives a restart.

Central rebuilds the time of a tap that was made before the clock was known to be right: the boot clock says how long
before (docs/time.md).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from edge_agent.clock import Anchor
from edge_agent.wire.codec import time_text
from edge_agent.wire.messages import CLOCK_ANCHOR, CLOCK_STEP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.clock import Clock, Reading

KEEP_EVERY_NS = 600 * 1_000_000_000
"""An anchor on disk is at most this old while the clock is synchronised; more often would only wear the card out."""
ANCHOR_BYTES_MAX = 4096
LATEST_WALL_NS = 4_102_444_800 * 1_000_000_000
"""The year 2100: what a kernel calls synchronised beyond it is damage."""


@dataclass(frozen=True, slots=True)
class ClockNews:
    """An event that the clock gives reason for; its time is that of the reading it was found in."""

    type: str
    data: dict[str, object]


def clock_news(before: Reading, now: Reading) -> list[ClockNews]:
    """Say what happened to the clock between two readings: it was set, it became known to be right.

    Another boot is another clock: its boot event says so, and no step is told.
    """
    found = []
    if now.epoch != before.epoch and now.boot_id == before.boot_id:
        passed = timedelta(microseconds=(now.boottime_ns - before.boottime_ns) // 1000)
        data = {"from": time_text(before.at + passed), "to": time_text(now.at), "epoch": now.epoch}
        found.append(ClockNews(CLOCK_STEP, data))
    if now.state == "synced" and before.state != "synced":
        found.append(ClockNews(CLOCK_ANCHOR, {"error_ms": now.error_ms, "was": before.state}))
    return found


class ClockWatch:
    """Compares the clock with what it was when news of it was last recorded."""

    def __init__(
        self, clock: Clock, *, seen: Reading | None = None, keep_anchor: Callable[[], None] | None = None
    ) -> None:
        """`seen` is the last reading that an earlier run recorded; `keep_anchor` is called after every look."""
        self._clock = clock
        self._seen = seen or clock.read()
        self._keep_anchor = keep_anchor

    def look(self, record: Callable[[ClockNews, Reading], bool]) -> None:
        """Hand each piece of news to `record`; what it does not take (False) is found again at the next look."""
        reading = self._clock.read()
        taken = [record(news, reading) for news in clock_news(self._seen, reading)]
        if all(taken):
            self._seen = reading
        if self._keep_anchor is not None:
            self._keep_anchor()


class AnchorFile:
    """The last moment at which the clock was known to be right, on disk. Losing it costs precision, never a tap."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Anchor | None = None
        self.trouble = ""
        """What went wrong the last time, empty when all was well."""

    def load(self) -> Anchor | None:
        """Read the anchor; None when there is none, or none that can be read (`trouble` says why)."""
        try:
            with self._path.open("rb") as file:
                found = msgspec.json.decode(file.read(ANCHOR_BYTES_MAX), type=Anchor)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            self.trouble = f"{self._path} cannot be read ({exc}): the clock goes on without it"
            return None
        if min(found.wall_ns, found.boottime_ns, found.error_ms) < 0 or found.wall_ns > LATEST_WALL_NS:
            self.trouble = f"{self._path} names a time that no clock shows: the clock goes on without it"
            return None
        self._kept = found
        return found

    def keep(self, anchor: Anchor | None) -> None:
        """Put the anchor on stable storage if it says enough more than the one there."""
        if anchor is None or not self._is_news(anchor):
            return
        beside = self._path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(anchor))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as exc:
            self.trouble = f"{self._path} cannot be written ({exc}): after a restart the clock knows less"
            return
        self._kept, self.trouble = anchor, ""

    def _is_news(self, anchor: Anchor) -> bool:
        kept = self._kept
        if kept is None or kept.boot_id != anchor.boot_id:
            return True
        return anchor.boottime_ns - kept.boottime_ns >= KEEP_EVERY_NS
