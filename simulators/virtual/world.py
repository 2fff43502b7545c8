"""Virtual time: one queue of events, one seed, one trace. Nothing here waits, and nothing looks at a real clock."""

from __future__ import annotations

import hashlib
import heapq
import random
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulators.virtual.plan import Plan

STARTS_AT = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
US_A_SECOND = 1_000_000
STARTS_US = int(STARTS_AT.timestamp()) * US_A_SECOND
"""The true time at which every run begins, since 1970."""
EVENTS_MAX = 5_000_000
"""More than any run needs: beyond it something goes round in circles."""


class Violation(AssertionError):
    """A promise was broken; the sentence says which and where."""


class World:
    """Time, chance and memory of one run."""

    def __init__(self, plan: Plan, root: Path) -> None:
        self.plan = plan
        self.root = root
        self.now_us = 0
        self.lines: list[str] = []
        self.sometimes: Counter[str] = Counter()
        self.faults_end_us = int(plan.hours * 3600 * US_A_SECOND)
        self._queue: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0
        self._ids = self.chance("journal ids")

    def chance(self, name: str) -> random.Random:
        """Return a random source of its own for `name`: what others draw does not move it."""
        return random.Random(f"{self.plan.seed}:{name}")

    @property
    def now_s(self) -> float:
        """Seconds since the run began: everybody's monotonic clock."""
        return self.now_us / US_A_SECOND

    @property
    def now(self) -> datetime:
        """The true time, which no terminal knows."""
        return STARTS_AT + timedelta(microseconds=self.now_us)

    @property
    def calm(self) -> bool:
        """Whether the time of faults is over."""
        return self.now_us >= self.faults_end_us

    def new_journal_id(self) -> str:
        """Make a journal id of this run."""
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def after(self, delay_s: float, act: Callable[..., object], *arguments: Any) -> None:  # noqa: ANN401 - passed on
        """Call `act` in `delay_s` virtual seconds; what falls on one instant keeps its order."""
        self._order += 1
        at = self.now_us + max(0, int(delay_s * US_A_SECOND))
        heapq.heappush(self._queue, (at, self._order, act, arguments))

    def run(self, until_s: float) -> None:
        """Let time pass until `until_s`."""
        until_us = int(until_s * US_A_SECOND)
        queue = self._queue
        while queue and queue[0][0] <= until_us:
            at, order, act, arguments = heapq.heappop(queue)
            if order > EVENTS_MAX:
                raise Violation(f"more than {EVENTS_MAX} events: something goes round in circles")
            self.now_us = at
            act(*arguments)
        self.now_us = max(self.now_us, until_us)

    def note(self, who: str, what: str) -> None:
        """Write one line of the trace."""
        self.lines.append(f"{self.now_us / US_A_SECOND:.6f} {who} {what}")

    def saw(self, state: str) -> None:
        """Count that a rare state was reached."""
        self.sometimes[state] += 1

    def trace(self) -> bytes:
        """Return the trace so far."""
        return ("\n".join(self.lines) + "\n").encode()

    def digest(self) -> str:
        """Name the trace by its hash."""
        return hashlib.sha256(self.trace()).hexdigest()


class VirtualLog:
    """A log that writes into the trace. Real paths are cut out: they differ from run to run."""

    def __init__(self, world: World, who: str) -> None:
        self._world = world
        self._who = who
        self.heard: Callable[[str, dict[str, Any]], None] = lambda _event, _fields: None

    def debug(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - a log takes anything
        """Leave out what only a debugger reads."""

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Note."""
        self._say(event, fields)

    def warning(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Note."""
        self._say(event, fields)

    def error(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Note, and count by name."""
        self._say(event, fields)
        self._world.saw(f"log {event}")

    def _say(self, event: str, fields: dict[str, Any]) -> None:
        fields.pop("exc_info", None)
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        self._world.note(self._who, f"{event} {told}".replace(str(self._world.root), "").replace("\n", " "))
        self.heard(event, fields)
