"""Whose message is stored next: somebody's fresh tap before anybody's backlog. Pure; the inbox holds the lock.

A terminal that was away for a month sends tens of thousands of records while all others send one tap at a time. Taken
in the order of arrival, everybody would wait for it. So what is small and has nothing of its own terminal before it
goes first; backlogs are taken terminal by terminal, so that a batch touches few people, and in small bites while
fresh taps keep coming.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from central.attendance.batch import EVENT_BYTES_USUAL

if TYPE_CHECKING:
    from central.kit.mqtt_packets import Inbound

FRESH_BYTES_MAX = 12 * EVENT_BYTES_USUAL
"""A message up to this long is a few taps; beyond it is a piece of a backlog."""
BITE_BYTES_MAX = 1024 * EVENT_BYTES_USUAL
"""Of backlogs, in every other batch, while fresh messages keep coming: what a fresh one waits for at most."""
TURN_BYTES_MAX = 2048 * EVENT_BYTES_USUAL
"""Of one terminal's backlog, before the next one's turn."""
CALM_S = 2.0
"""Without a fresh message for so long, backlogs fill the batches."""


class Lanes:
    """Messages that wait, bounded by whoever puts them in. Within a terminal's backlog the order is that of arrival."""

    def __init__(self) -> None:
        self._fresh: deque[Inbound] = deque()
        self._backlogs: OrderedDict[str, deque[Inbound]] = OrderedDict()
        """By sender; the first one's turn is next."""
        self._live: dict[str, int] = {}
        """By sender: its newest records that wait among the fresh."""
        self._turn_bytes = 0
        self._passed_over = False
        """Whether the last batch left backlogs waiting, so that what was fresh got through at once."""
        self._fresh_s = float("-inf")
        self._count = self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """How many bytes of payload wait."""
        return self._bytes

    def put(self, message: Inbound) -> None:
        """Add a message."""
        self._count += 1
        self._bytes += len(message.payload)
        sender, _, kind = message.topic.rpartition("/")
        waiting = self._backlogs.get(sender)
        if self._goes_first(message, sender, kind, behind=waiting is not None):
            self._fresh.append(message)
        elif waiting is None:
            self._backlogs[sender] = deque((message,))
        else:
            waiting.append(message)

    def _goes_first(self, message: Inbound, sender: str, kind: str, *, behind: bool) -> bool:
        if kind == "live":
            # The newest records of a terminal that comes back tell who is inside; the next ones are its past.
            if sender in self._live:
                return False
            self._live[sender] = message.mid
            return True
        if kind == "state":
            return not behind  # "offline", said after records that still wait, must not be contradicted by them
        if kind == "events":
            return not behind and len(message.payload) <= FRESH_BYTES_MAX
        return True

    def take(self, *, messages_max: int, bytes_max: int, now_s: float) -> list[Inbound]:
        """Take one batch: what is fresh and, every other time or when nothing is, a bite of the backlogs."""
        taken: list[Inbound] = []
        size = 0
        while self._fresh and len(taken) < messages_max and (not taken or size < bytes_max):
            message = self._fresh.popleft()
            sender, _, kind = message.topic.rpartition("/")
            if kind == "live":
                self._live.pop(sender, None)
            if kind in {"events", "live"}:
                self._fresh_s = now_s
            size += len(message.payload)
            taken.append(message)
        self._passed_over = bool(taken and self._backlogs) and not self._passed_over
        bite = bytes_max if now_s - self._fresh_s > CALM_S else min(bytes_max, BITE_BYTES_MAX)
        while self._backlogs and not self._passed_over and len(taken) < messages_max and (not taken or size < bite):
            message = self._next_of_backlogs()
            size += len(message.payload)
            taken.append(message)
        self._count -= len(taken)
        self._bytes -= size
        return taken

    def _next_of_backlogs(self) -> Inbound:
        sender, waiting = next(iter(self._backlogs.items()))
        message = waiting.popleft()
        self._turn_bytes += len(message.payload)
        if not waiting:
            del self._backlogs[sender]
            self._turn_bytes = 0
        elif self._turn_bytes >= TURN_BYTES_MAX:
            self._backlogs.move_to_end(sender)
            self._turn_bytes = 0
        return message
