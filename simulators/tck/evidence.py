"""Everything that was seen of a terminal, in the forms in which rules ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from simulators.tck.contract import token_of
from simulators.tck.trace import Key

if TYPE_CHECKING:
    from simulators.tck.schema import Schemas
    from simulators.tck.trace import Session, Tap, Trace

TAPS = ("ccs.tap.v1", "ccs.muster.v1")


@dataclass(frozen=True)
class Evidence:
    """What is judged."""

    trace: Trace
    card_key: bytes
    schemas: Schemas

    @cached_property
    def events(self) -> list[tuple[Key, dict[str, Any]]]:
        """Every event by journal and number."""
        return [
            (Key(journal_id, seq), event)
            for journal_id in self.trace.events
            for seq, event in self.trace.decoded(journal_id)
        ]

    @cached_property
    def matched(self) -> list[tuple[Tap, dict[str, Any] | None]]:
        """Each tap that was answered with its event: by number, or else in order by direction and card."""
        by_key = dict(self.events)
        free = [event for _, event in self.events if event.get("type") in TAPS]
        found: list[tuple[Tap, dict[str, Any] | None]] = []
        for tap in self.trace.taps:
            if tap.answer.promises:
                named = by_key.get(Key(tap.answer.journal_id, tap.answer.seq))
                event = named if tap.answer.seq else self._next(free, tap)
                found.append((tap, event))
        return found

    def _next(self, free: list[dict[str, Any]], tap: Tap) -> dict[str, Any] | None:
        for index, event in enumerate(free):
            same = not tap.identity or event.get("subject") == self.subject(tap)
            if same and (event.get("data") or {}).get("direction") == tap.direction:
                return free.pop(index)
        return None

    def subject(self, tap: Tap) -> str:
        """Say what the event of a tap must name."""
        return f"card:{token_of(self.card_key, tap.identity)}"

    @cached_property
    def sessions(self) -> list[Session]:
        """The connections on which anything was said."""
        spoken = {one.session for one in self.trace.heard}
        return [session for session in self.trace.sessions if session.number in spoken]
