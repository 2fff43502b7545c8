"""What the kit saw of a terminal: sessions, messages, events with their own bytes, and cards held to its readers."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from simulators.tck.contract import NotABatch, split_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.tck.packets import Will

HEARD_MAX = 200_000


@dataclass(frozen=True)
class Heard:
    """One message of the terminal. `kind` is the last part of its own topics, empty on any other."""

    number: int
    at_s: float
    """Monotonic seconds."""
    wall_s: float
    """The kit's own clock, seconds since 1970."""
    session: int
    topic: str
    kind: str
    payload: bytes
    qos: int
    retain: bool
    content_type: str

    @property
    def body(self) -> dict[str, Any]:
        """The payload as a JSON object; empty when it is none."""
        try:
            found = json.loads(self.payload)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass
class Session:
    """One connection, from CONNECT to its end."""

    number: int
    client_id: str
    protocol: int
    will: Will | None
    receive_maximum: int
    began_s: float
    """The kit's own clock, seconds since 1970."""
    filters: list[tuple[str, int]] = field(default_factory=list)
    subscribed: dict[str, int] = field(default_factory=dict)
    """Filter to how often it was asked for."""
    unacknowledged_peak: int = 0
    """The most messages that waited for our PUBACK at once."""
    said_goodbye: bool = False
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """What a terminal answered to a card; `seq` 0 when it names no record, `error` when it could not be held to it."""

    shown: str = ""
    decision: str = ""
    journal_id: str = ""
    seq: int = 0
    text: str = ""
    error: str = ""

    @property
    def promises(self) -> bool:
        """Whether the worker was told that the tap is recorded: a colour, and a record behind it where one is named."""
        recorded = self.seq > 0 or not self.decision
        return not self.error and self.shown in {"green", "amber", "red"} and recorded


@dataclass(frozen=True)
class Tap:
    """A card held to a reader, with the kit's own clock before and after."""

    identity: bytes
    direction: str
    before_s: float
    after_s: float
    answer: Shown
    claims: dict[str, Any]
    """What the card proved: method and assurance; empty when the terminal finds out for itself."""


class Key(NamedTuple):
    """Which event: for ever the same bytes."""

    journal_id: str
    seq: int


@dataclass
class Trace:
    """Everything seen so far. Changed under `changed`, which is notified."""

    site: str
    terminal: str
    changed: threading.Condition = field(default_factory=threading.Condition)
    sessions: list[Session] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)
    events: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Journal to number to the first bytes seen."""
    sendings: dict[Key, list[int]] = field(default_factory=dict)
    """Event to the numbers of the messages that carried it."""
    conflicts: list[tuple[Key, bytes, bytes]] = field(default_factory=list)
    """The same key with other bytes: first and later."""
    unplaced: list[tuple[int, str]] = field(default_factory=list)
    """Message number and what is wrong with it: no event could be told from it."""

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds; whether it came to that."""
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    def take(self, heard: Heard) -> list[Key]:
        """Keep a message, and its events; return which. Call under `changed`."""
        if len(self.heard) >= HEARD_MAX:
            raise OverflowError(f"the terminal sent more than {HEARD_MAX} messages: the kit stops listening")
        self.heard.append(heard)
        return self._take_events(heard) if heard.kind in {"events", "live"} else []

    def _take_events(self, heard: Heard) -> list[Key]:
        keys: list[Key] = []
        try:
            raws = split_batch(heard.payload)
        except NotABatch as exc:
            self.unplaced.append((heard.number, str(exc)))
            return keys
        for raw in raws:
            key = _key_of(raw)
            if key is None:
                self.unplaced.append((heard.number, f"an event without journalid and sequence: {raw[:80]!r}"))
                continue
            keys.append(key)
            first = self.events.setdefault(key.journal_id, {}).setdefault(key.seq, raw)
            if first != raw:
                self.conflicts.append((key, first, raw))
            self.sendings.setdefault(key, []).append(heard.number)
        return keys

    # -- questions

    @property
    def head(self) -> int:
        """The number of the last message."""
        return len(self.heard)

    def of(self, kind: str, *, after: int = 0) -> list[Heard]:
        """Return the messages of a kind behind message `after`."""
        return [one for one in self.heard[after:] if one.kind == kind]

    def last(self, kind: str, *, after: int = 0) -> dict[str, Any]:
        """Return the body of the last message of a kind behind `after`; empty when there is none."""
        for one in reversed(self.heard[after:]):
            if one.kind == kind:
                return one.body
        return {}

    def sent_after(self, key: Key, after: int) -> bool:
        """Whether an event was sent behind message `after`."""
        return any(number > after for number in self.sendings.get(key, ()))

    def decoded(self, journal_id: str) -> list[tuple[int, dict[str, Any]]]:
        """Return a journal's events in order of number, decoded; what is no object is left out."""
        found = []
        for seq, raw in sorted(self.events.get(journal_id, {}).items()):
            value = json.loads(raw)
            if isinstance(value, dict):
                found.append((seq, value))
        return found


def _key_of(raw: bytes) -> Key | None:
    try:
        event = json.loads(raw)
        return Key(str(event["journalid"]), int(event["sequence"]))
    except (ValueError, KeyError, TypeError):
        return None


def clocks() -> tuple[float, float]:
    """Read the monotonic clock and the wall clock."""
    return time.monotonic(), time.time()
