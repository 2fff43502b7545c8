"""What the loops know together: roster, incident, readers, link. Values are replaced whole, never changed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.tap.roster import RosterView
    from edge_agent.wire.messages import Incident


@dataclass(slots=True)
class Board:
    """The terminal's state in memory; everything in it is rebuilt at start. `readers` holds each configured name."""

    roster: RosterView
    readers: dict[str, float | None] = field(default_factory=dict)
    """Reader name to the monotonic second it last answered; None while it is lost."""
    incident: Incident | None = None
    link_up: bool = False
    forked: bool = False
    """Central holds other bytes under our numbers: nothing is sent until somebody has looked at the journal."""
    refused_taps: int = 0
    """Cards answered "not recorded" since the journal last took one."""
    tapped_at: float = field(default_factory=time.monotonic)
    """When a card was last seen, in monotonic seconds."""

    def reader_ages_s(self, now: float) -> dict[str, float | None]:
        """Return each reader's seconds since it last answered; None when it is lost."""
        return {name: None if at is None else round(now - at, 1) for name, at in self.readers.items()}

    def reader_states(self) -> dict[str, bool]:
        """Return whether each reader answers."""
        return {name: at is not None for name, at in self.readers.items()}
