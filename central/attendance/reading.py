"""Messages taken apart before the database is asked, purely: each goes into the work of one transaction, or aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from central.attendance.arrival import UNREADABLE, Refusal, read_batch
from central.attendance.quarantine import Aside
from edge_agent.wire.codec import decode
from edge_agent.wire.messages import Birth, Heartbeat, TerminalState
from edge_agent.wire.topics import parse_terminal_topic

if TYPE_CHECKING:
    from central.attendance.batch import Message, Sender, Work

T = TypeVar("T")


def read_message(work: Work, who: Sender | None, message: Message) -> None:
    """Add one message to `work`; `who` is its registered sender, None when there is none."""
    if who is None:
        _turn_away(work, message)
        return
    work.heard.add(who.terminal_id)
    kind = who.topic.kind
    if kind in {"events", "live"}:
        work.alive.add(who.terminal_id)
        _read_events(work, who, message)
    elif kind == "birth":
        work.alive.add(who.terminal_id)
        _read_into(work, who, message, Birth, work.births)
    elif kind == "heartbeat":
        _read_into(work, who, message, Heartbeat, work.beats)
    elif kind == "state" and message.payload:
        _read_into(work, who, message, TerminalState, work.states)


def _turn_away(work: Work, message: Message) -> None:
    if parse_terminal_topic(message.topic) is None:
        work.asides.append(Aside(message.topic, "malformed_message", "not a terminal's topic", message.payload))
        return
    detail = "this terminal is not registered; it keeps its records and sends them again once it is"
    work.asides.append(Aside(message.topic, "unknown_terminal", detail, message.payload))


def _read_into(work: Work, who: Sender, message: Message, shape: type[T], into: list[tuple[Sender, T]]) -> None:
    try:
        into.append((who, decode(message.payload, shape)))
    except UNREADABLE as exc:
        work.asides.append(Aside(message.topic, "malformed_message", str(exc), message.payload))


def _read_events(work: Work, who: Sender, message: Message) -> None:
    arrivals = read_batch(message.payload, source=who.source)
    if isinstance(arrivals, Refusal):
        work.asides.append(Aside(message.topic, arrivals.fault, arrivals.detail, message.payload))
        return
    for arrival in arrivals:
        if arrival.journal_id:
            work.arrivals.setdefault(arrival.journal_id, []).append((who, arrival))
        else:
            work.asides.append(Aside(message.topic, arrival.fault, arrival.detail, arrival.raw))
