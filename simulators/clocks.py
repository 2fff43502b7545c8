"""Clocks that tests and simulations move by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
"""Noon of a Monday in Seoul."""


@dataclass
class HandClock:
    """A clock for central's processes that stands still until it is moved."""

    at: datetime = NOON

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self.at

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by
