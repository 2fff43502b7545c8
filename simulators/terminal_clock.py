"""A terminal's clock moved by hand: for tests and for simulated days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from edge_agent.clock import Reading
from edge_agent.wire.messages import ClockState

FIRST_AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


class HandClock:
    """Stands still until told to pass time; every attribute may be set."""

    def __init__(self, at: datetime = FIRST_AT) -> None:
        self.at = at
        self.boottime_ns = 1_000_000_000
        self.boot_id = "00000000-0000-4000-8000-000000000001"
        self.state: ClockState = "synced"
        self.epoch = 0

    def read(self) -> Reading:
        """Return the time shown."""
        return Reading(self.at, self.boottime_ns, self.boot_id, self.state, 3, self.epoch)

    def pass_time(self, by: timedelta) -> None:
        """Let wall clock and boot clock run on together."""
        self.at += by
        self.boottime_ns += by // timedelta(microseconds=1) * 1000
