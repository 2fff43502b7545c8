"""What a tap is worth and what the worker sees. Pure; every outcome is kept, none is dropped."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from edge_agent.tap.roster import RosterView, mask_name
from edge_agent.wire.messages import Credential, Decision, Direction, Shown

REPEAT_WITHIN = timedelta(seconds=60)
REMEMBERED_TAPS_MAX = 20_000
DEFAULT_LANGUAGE = "ko"

SHOWN: dict[Decision, Shown] = {
    "accepted": "green",
    "unknown_card": "amber",
    "barred": "red",
    "auth_failed": "red",
}
SUPPRESSED_REPEATS: frozenset[Decision] = frozenset({"accepted", "unknown_card"})
"""Verdicts whose repetition is marked. Refusals are evidence each time they happen."""


@dataclass(frozen=True, slots=True)
class PresentedCard:
    """A card held to a reader. `authenticated` is False when the card failed the proof its method asks for.

    `lay_there`: it was on the reader already when the reader was found, so it may never have been taken away.
    """

    token: str
    credential: Credential
    reader: str
    direction: Direction
    zone: str
    authenticated: bool = True
    lay_there: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision on one tap. `verdict` is what it would be were it no repeat; `reason` is central's word on a bar."""

    decision: Decision
    shown: Shown
    direction: Direction
    verdict: Decision
    name_masked: str
    lang: str
    reason: str


class RecentTaps:
    """Each card's last counted tap here, bounded, oldest forgotten first.

    Only the very last one: whoever went out and comes in again within the minute is coming in, not repeating.
    Times are the boot clock's: a wall clock that is set, or that begins every day at the same hour, moves nothing.
    """

    def __init__(self, *, taps_max: int = REMEMBERED_TAPS_MAX) -> None:
        self._taps_max = taps_max
        self._taps: OrderedDict[str, tuple[str, str, timedelta, Decision]] = OrderedDict()
        self._at_reader: dict[str, str] = {}

    def last(self, token: str, reader: str, direction: str) -> tuple[timedelta, Decision] | None:
        """Return when, and with which verdict, this card was last counted, if that was here and in this direction."""
        found = self._taps.get(token)
        if found is None or found[:2] != (reader, direction):
            return None
        return found[2:]

    def was_last(self, token: str, reader: str) -> bool:
        """Whether this is the card that was held to `reader` last."""
        return self._at_reader.get(reader) == token

    def note(self, *, token: str, reader: str, direction: str, decision: Decision, at: timedelta) -> None:
        """Remember a stored tap; a repeat does not prolong the window it fell into."""
        self._at_reader[reader] = token
        if decision == "repeat":
            return
        self._taps.pop(token, None)  # to the end; another reader's thread may be forgetting the oldest
        self._taps[token] = (reader, direction, at, decision)
        while len(self._taps) > self._taps_max:
            self._taps.popitem(last=False)

    def __len__(self) -> int:
        return len(self._taps)


def decide(card: PresentedCard, roster: RosterView, recent: RecentTaps, at: timedelta) -> Outcome:
    """Decide one tap, `at` being the time since boot; changes nothing. Call `recent.note` once the tap is stored."""
    entry = roster.entries.get(card.token)
    verdict: Decision
    if not card.authenticated:
        verdict = "auth_failed"
    elif entry is None:
        verdict = "unknown_card"
    elif entry.barred is not None:
        verdict = "barred"
    else:
        verdict = "accepted"
    named = entry is not None and card.authenticated
    return Outcome(
        decision="repeat" if _is_repeat(card, verdict, recent, at) else verdict,
        shown=SHOWN[verdict],
        direction=card.direction,
        verdict=verdict,
        name_masked=mask_name(entry.name) if entry is not None and named else "",
        lang=entry.lang if entry is not None and named else DEFAULT_LANGUAGE,
        reason=(entry.barred or "") if entry is not None and verdict == "barred" else "",
    )


def _is_repeat(card: PresentedCard, verdict: Decision, recent: RecentTaps, at: timedelta) -> bool:
    last = recent.last(card.token, card.reader, card.direction)
    if last is None or verdict not in SUPPRESSED_REPEATS:
        return False
    last_at, last_verdict = last
    if last_verdict != verdict:
        return False
    if card.lay_there and recent.was_last(card.token, card.reader):
        return True  # left lying: on a reader for both ways, counting it would take somebody off the list
    return at - last_at < REPEAT_WITHIN
