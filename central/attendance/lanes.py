"""Whose message is stored next: somebody's fresh tap before anybody's backlog. Pure; the inbox holds the lock.

A terminal that was away for a month sends tens of thousands of records while all others send one tap at a time. Taken
in the order of arrival, everybody would wait for it. So what is small and has nothing of its own terminal before it
goes first; backlogs are taken terminal by terminal, so that a batch touches few people, and in bites while fresh taps
keep coming, as large as this machine stores in a tenth of a second.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from central.attendance.batch import EVENT_BYTES_USUAL

if TYPE_CHECKING:
    from central.kit.mqtt_packets import Inbound

FRESH_BYTES_MAX = 12 * EVENT_BYTES_USUAL
"""A message up to this long is a few taps; beyond it is a piece of a backlog."""
BITE_S = 0.1
"""How long a bite of the backlogs, taken in every other batch while fresh messages keep coming, may hold these up …"""
BITE_BYTES_MIN, BITE_BYTES_MAX = 64 * EVENT_BYTES_USUAL, 2048 * EVENT_BYTES_USUAL
"""… and how large it is: as much as was stored in that time lately, within these."""
_BITE_SHRINKS, _BITE_GROWS = 0.5, 1.25
"""From one bite to the next, at most."""
TURN_BYTES_MAX = 2048 * EVENT_BYTES_USUAL
"""Of one terminal's backlog, before the next one's turn."""
CALM_S = 2.0
"""Without a fresh message for so long, backlogs fill the batches."""
RETURN_S = 30.0
"""A terminal that sent no piece of its newest records for so long has come back; what follows is its past."""
SENDERS_REMEMBERED_MAX = 10_000


class Lanes:
    """Messages that wait, bounded by whoever puts them in. Within a terminal's backlog the order is that of arrival."""

    def __init__(self) -> None:
        self._fresh: deque[Inbound] = deque()
        self._backlogs: OrderedDict[str, deque[Inbound]] = OrderedDict()
        """By sender; the first one's turn is next."""
        self._live_s: OrderedDict[str, float] = OrderedDict()
        """By sender: when its last piece of newest records came, the longest ago first."""
        self._turn_bytes = 0
        self._passed_over = False
        """Whether the last batch left backlogs waiting, so that what was fresh got through at once."""
        self._fresh_s = float("-inf")
        self._bite = BITE_BYTES_MAX // 4
        self._bitten_s: float | None = None
        """When the last batch was taken, if it was a whole bite: what comes next tells how long it took to store."""
        self._count = self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """How many bytes of payload wait."""
        return self._bytes

    def put(self, message: Inbound, *, now_s: float) -> None:
        """Add a message; `now_s` is monotonic, as for `take`."""
        self._count += 1
        self._bytes += len(message.payload)
        sender, _, kind = message.topic.rpartition("/")
        waiting = self._backlogs.get(sender)
        is_small = len(message.payload) <= FRESH_BYTES_MAX
        if kind == "live" and not is_small:
            goes_first = self._comes_back(sender, now_s)
        else:
            goes_first = self._goes_first(kind, is_small=is_small, behind=waiting is not None)
        if goes_first:
            self._fresh.append(message)
        elif waiting is None:
            self._backlogs[sender] = deque((message,))
        else:
            waiting.append(message)

    def _comes_back(self, sender: str, now_s: float) -> bool:
        """Whether this piece is the first: the newest records of a terminal that comes back tell who is inside."""
        before_s = self._live_s.pop(sender, float("-inf"))
        self._live_s[sender] = now_s
        if len(self._live_s) > SENDERS_REMEMBERED_MAX:
            self._live_s.popitem(last=False)
        return now_s - before_s > RETURN_S

    @staticmethod
    def _goes_first(kind: str, *, is_small: bool, behind: bool) -> bool:
        if kind == "state":
            return not behind  # "offline", said after records that still wait, must not be contradicted by them
        if kind == "events":
            return is_small and not behind
        return True

    def take(self, *, messages_max: int, bytes_max: int, now_s: float) -> list[Inbound]:
        """Take one batch: what is fresh and, every other time or when nothing is, a bite of the backlogs."""
        self._learn(now_s)
        taken: list[Inbound] = []
        size = 0
        while self._fresh and len(taken) < messages_max and (not taken or size < bytes_max):
            message = self._fresh.popleft()
            if message.topic.endswith(("/events", "/live")):
                self._fresh_s = now_s
            size += len(message.payload)
            taken.append(message)
        self._passed_over = bool(taken and self._backlogs) and not self._passed_over
        is_calm = now_s - self._fresh_s > CALM_S
        bite = bytes_max if is_calm else min(bytes_max, self._bite)
        while self._backlogs and not self._passed_over and len(taken) < messages_max and (not taken or size < bite):
            message = self._next_of_backlogs()
            size += len(message.payload)
            taken.append(message)
        is_whole = size >= bite and not (is_calm or self._passed_over)
        self._bitten_s = now_s if is_whole and self._backlogs else None
        self._count -= len(taken)
        self._bytes -= size
        return taken

    def _learn(self, now_s: float) -> None:
        """Let the next bite be larger or smaller, by how long the last one took. With backlogs waiting nobody rests."""
        if self._bitten_s is not None:
            ratio = BITE_S / max(now_s - self._bitten_s, BITE_S / 100)
            grown = int(self._bite * min(max(ratio, _BITE_SHRINKS), _BITE_GROWS))
            self._bite = min(max(grown, BITE_BYTES_MIN), BITE_BYTES_MAX)

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
