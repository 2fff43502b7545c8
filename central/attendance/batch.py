"""What passes between the steps of ingest: messages, senders, journals, the work of one transaction and its outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from central.attendance.admission import Cursor
    from central.attendance.arrival import Arrival
    from central.attendance.quarantine import Aside, Found
    from edge_agent.wire.messages import Birth, Heartbeat, TerminalState
    from edge_agent.wire.topics import TerminalTopic

EVENT_BYTES_USUAL = 1024
"""Turns a limit in events into one in bytes, before anything is decoded."""


class Message(NamedTuple):
    """One MQTT message as received."""

    topic: str
    payload: bytes


class Sender(NamedTuple):
    """A registered terminal."""

    terminal_id: int
    site_id: int
    topic: TerminalTopic
    source: str


@dataclass(slots=True)
class Journal:
    """A journal's row, locked."""

    id: int
    journal_id: str
    terminal_id: int
    cursor: Cursor
    epoch: int = 1
    """In its acks: rises when its terminal proves that the database has gone back in time."""
    clock_due: int = 0
    """As in the table: what of its times is to be rebuilt."""


@dataclass(slots=True)
class Outcome:
    """What one transaction did, for the acknowledgements, the log and the metrics."""

    acks: list[tuple[str, bytes]] = field(default_factory=list)
    """(topic, payload)."""
    incidents: list[tuple[str, bytes]] = field(default_factory=list)
    """(topic, payload): what each site whose terminals were born is to know."""
    stored: int = 0
    repeated: int = 0
    deferred: int = 0
    refolded: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    anomalies: Counter[str] = field(default_factory=Counter)
    sites: set[int] = field(default_factory=set)
    clocks: set[int] = field(default_factory=set)
    """Journals whose times are to be rebuilt, by row id."""
    epoch: int = 0
    """The highest of the epochs that rose in it; 0 when none did."""
    last: str = ""
    """Id of the last event stored, to follow it through the logs."""


@dataclass(slots=True)
class Work:
    """Messages taken apart, before the database is asked."""

    arrivals: dict[str, list[tuple[Sender, Arrival]]] = field(default_factory=dict)
    births: list[tuple[Sender, Birth]] = field(default_factory=list)
    beats: list[tuple[Sender, Heartbeat]] = field(default_factory=list)
    states: list[tuple[Sender, TerminalState]] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    answer: dict[str, Sender] = field(default_factory=dict)
    """Journals to acknowledge, and to whom."""
    epochs: dict[str, int] = field(default_factory=dict)
    """In the acks of journals of which nothing is held."""
    alive: set[int] = field(default_factory=set)
    heard: set[int] = field(default_factory=set)
