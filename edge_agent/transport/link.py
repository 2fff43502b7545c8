"""The connection to the broker as a table of states, and the pause before each new attempt. No sockets, no clock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before the first, second, third … attempt in a row; the last one repeats."""
SPREAD = 0.5
"""Up to this share of a pause is added, different for each terminal: thousands must not come back in one second …"""
SPREAD_S_MIN = 3.0
"""… also not at the first attempt, when a broker that restarted has just cut them all off together."""
STEADY_S = 20.0
"""A connection that held this long was good: the next pause is the shortest again."""


class LinkState(StrEnum):
    """Where the connection stands."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    UP = "up"
    STOPPED = "stopped"


class LinkEvent(StrEnum):
    """What can happen to it."""

    DIAL = "dial"
    ACCEPT = "accept"
    LOSE = "lose"
    STOP = "stop"


_W, _C, _U, _S = LinkState.WAITING, LinkState.CONNECTING, LinkState.UP, LinkState.STOPPED

TRANSITIONS: dict[tuple[LinkState, LinkEvent], LinkState] = {
    (_W, LinkEvent.DIAL): _C,
    (_W, LinkEvent.ACCEPT): _W,  # an answer to an attempt that was given up
    (_W, LinkEvent.LOSE): _W,  # reported twice
    (_W, LinkEvent.STOP): _S,
    (_C, LinkEvent.DIAL): _C,
    (_C, LinkEvent.ACCEPT): _U,
    (_C, LinkEvent.LOSE): _W,
    (_C, LinkEvent.STOP): _S,
    (_U, LinkEvent.DIAL): _U,
    (_U, LinkEvent.ACCEPT): _U,
    (_U, LinkEvent.LOSE): _W,
    (_U, LinkEvent.STOP): _S,
    (_S, LinkEvent.DIAL): _S,
    (_S, LinkEvent.ACCEPT): _S,
    (_S, LinkEvent.LOSE): _S,
    (_S, LinkEvent.STOP): _S,
}


@dataclass(frozen=True, slots=True)
class Link:
    """The connection at one moment. Times are monotonic seconds."""

    state: LinkState = LinkState.WAITING
    failures: int = 0
    """Attempts in a row that did not hold."""
    since: float = 0.0
    dial_at: float = 0.0
    """When to try again; only meaningful while waiting."""


def step(link: Link, event: LinkEvent, now: float, *, key: str) -> Link:
    """Apply one event. `key` names the terminal, so that each one's pauses differ."""
    state = TRANSITIONS[link.state, event]
    if state == link.state:
        return link
    if state is LinkState.WAITING:
        steady = link.state is LinkState.UP and now - link.since >= STEADY_S
        failures = 1 if steady else link.failures + 1
        return Link(state, failures, now, now + pause_s(failures, key=key))
    return Link(state, link.failures, now, 0.0)


def pause_s(failures: int, *, key: str) -> float:
    """Return the pause after `failures` failed attempts in a row (1 or more), in seconds."""
    pause = PAUSES_S[min(failures, len(PAUSES_S)) - 1]
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
    return pause + share * max(pause * SPREAD, SPREAD_S_MIN)
