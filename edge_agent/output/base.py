"""What a screen is told, and the contract that every screen keeps towards the tap path."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.wire.messages import Incident, Inside

ScreenKind = Literal["tap", "idle", "reader_lost", "not_recorded", "link", "incident"]
Shown = Literal["green", "amber", "red"]
TextKey = Literal[
    "in",
    "out",
    "tap",
    "muster",
    "repeat",
    "unknown_card",
    "barred",
    "auth_failed",
    "unreadable",
    "not_recorded",
    "reader_lost",
    "idle",
    "link",
    "incident",
]
TEXT_KEYS: tuple[str, ...] = get_args(TextKey)


@dataclass(frozen=True, slots=True)
class ScreenEvent:
    """One thing to show. `at` is aware UTC; `name_masked` is already masked (`김*수`); `lang` is the worker's own.

    `link`, `incident` and `idle` only tell the screen to look at the terminal's state again. `reader_lost` names the
    reader; that it was found again shows in the state. `seq` is the journal's number of the tap, None when nothing
    was recorded.
    """

    kind: ScreenKind
    at: datetime
    shown: Shown | None = None
    direction: str | None = None
    name_masked: str | None = None
    lang: str | None = None
    text_key: TextKey | None = None
    reader: str | None = None
    zone: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class KioskState:
    """What the quiet lines of a screen say, and the gate's own list of who is inside (INC-02).

    `unacknowledged` counts journal records that central has not confirmed; `forked`: they are not sent, because central
    holds others under their numbers; `roster_at` is when central issued the
    list; `readers` maps a reader's name to whether it answers; `clock_state` is the wire's word for the clock.
    """

    link_up: bool = False
    unacknowledged: int = 0
    forked: bool = False
    roster_version: int = 0
    roster_at: datetime | None = None
    inside: list[Inside] = field(default_factory=list)
    incident: Incident | None = None
    readers: Mapping[str, bool] = field(default_factory=dict)
    clock_state: str = "unset"


class Display(Protocol):
    """A screen. Called by the tap path after the tap is durable, so it may neither wait nor fail."""

    def show(self, event: ScreenEvent) -> None:
        """Take the event and return at once; never raise. What cannot be shown is dropped and counted."""
        ...


def tap_text_key(decision: str, direction: str) -> TextKey:
    """Name the sentence for a decision of the wire contract: an accepted tap says its direction."""
    if decision == "accepted":
        return direction if direction in {"in", "out", "muster"} else "tap"  # type: ignore[return-value]
    if decision in {"unknown_card", "barred", "auth_failed", "repeat"}:
        return decision  # type: ignore[return-value]
    raise ValueError(
        f"{decision!r} is not a decision of the wire contract: accepted, unknown_card, barred, auth_failed or repeat"
    )
