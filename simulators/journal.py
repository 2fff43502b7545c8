"""A terminal's journal in memory, for tests and benchmarks of central: makes the bytes that a real one would."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_agent.wire.codec import GENESIS_HASH, encode_event, event_hash, join_batch
from edge_agent.wire.ids import new_journal_id
from edge_agent.wire.messages import TAP, Credential, TapData
from edge_agent.wire.topics import terminal_topic

CREDENTIALS = {
    3: Credential("desfire_ev2", 3, 2),
    2: Credential("ntag424_sdm", 2),
    1: Credential("felica_mac", 1),
    0: Credential("id_only", 0),
}


@dataclass
class JournalMaker:
    """Appends events with a true chain; `at` moves on by itself."""

    site: str
    terminal: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))
    journal_id: str = field(default_factory=new_journal_id)
    events: list[bytes] = field(default_factory=list)
    _prev: str = GENESIS_HASH

    @property
    def topic(self) -> str:
        """Where its batches go."""
        return terminal_topic(self.site, self.terminal, "events")

    @property
    def head_hash(self) -> str:
        """Hash of the last event."""
        return self._prev

    def tap(self, token: str, direction: str = "in", *, assurance: int = 3, decision: str = "accepted") -> bytes:
        """Append a tap one second after the last event."""
        shown = {"unknown_card": "amber", "barred": "red", "auth_failed": "red"}.get(decision, "green")
        data = TapData(direction, "r1", "gate", CREDENTIALS[assurance], decision, shown, 1)  # type: ignore[arg-type]  # tests may pass a wrong word on purpose
        return self.append(TAP, data, token=token)

    def append(self, type_: str, data: Any, *, token: str | None = None, **change: Any) -> bytes:  # noqa: ANN401 - any JSON
        """Append an event; `change` overrides attributes of `encode_event`."""
        self.at += timedelta(seconds=1)
        values: dict[str, Any] = {
            "type_": type_,
            "site": self.site,
            "terminal": self.terminal,
            "journal_id": self.journal_id,
            "seq": len(self.events) + 1,
            "at": self.at,
            "boot_id": "boot-1",
            "boottime_ns": len(self.events),
            "clock_state": "synced",
            "clock_error_ms": 5,
            "clock_epoch": 1,
            "prev_hash": self._prev,
            "data": data,
            "token": token,
        }
        raw = encode_event(**(values | change))
        self.events.append(raw)
        self._prev = event_hash(raw)
        return raw

    def batch(self, first: int = 1, last: int | None = None) -> bytes:
        """Join events by seq, both ends included."""
        return join_batch(self.events[first - 1 : last])

    def batches(self, size: int = 50) -> list[bytes]:
        """Cut everything into batches."""
        return [join_batch(self.events[at : at + size]) for at in range(0, len(self.events), size)]
