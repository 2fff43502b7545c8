"""Plays a city's morning over real MQTT: arrivals, an outage of a third of the terminals, their return with a backlog.

Story time runs `speed` times as fast as real time; every tap carries the real time at which it is made.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from simulators.city import GATES_OPEN_S, HOUR_S, City, CityTap, Outage
from simulators.fleet import CONNECTING_MAX, percentile_ms
from simulators.fleet_terminal import FleetTerminal, Habits, Sample, Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from edge_agent.wire.messages import Direction
    from simulators.city_registry import CityRegistry
    from simulators.city_watch import Screens

OUTAGE_FROM_S, OUTAGE_UNTIL_S = 6.75 * HOUR_S, 7.5 * HOUR_S
BACKLOG = 20_000
TICK_S = 0.01
CONNECT_S_MAX = 600.0
SETTLE_S_MAX = 900.0
UNSEEN_S_MAX = 10.0
"""How long a screen may stay behind once everything is stored."""
PHASES = ("before", "outage", "return", "after")


class CityStuck(RuntimeError):
    """The city did not come to where it should within its limit; the message says what was missing."""


@dataclass(frozen=True)
class Morning:
    """What is to be played."""

    city: City
    outage: Outage
    taps: list[CityTap]
    speed: float = 40.0
    backlog: int = BACKLOG
    """Taps that each terminal of `outage.deep` brings."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the city stands at one moment."""

    at_s: float
    """Monotonic."""
    phase: str
    story_s: float
    taps: int
    durable: int
    backlog: int
    """Of the deep terminals, what is not acknowledged."""
    memory_mb: dict[str, float]
    processor_s: dict[str, float]
    """By part of the installation, since it was started."""


class Installation(Protocol):
    """What the city is played on, as far as it is looked at."""

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each part."""
        ...

    def processor_s(self) -> dict[str, float]:
        """Return the processor time of each part."""
        ...


@dataclass
class MorningReport:
    """What was seen."""

    tally: Tally
    screens: list[Sample] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    starts_s: dict[str, float] = field(default_factory=dict)
    """Monotonic beginning of each phase that was reached."""
    ended_s: float = 0.0
    connect_s: float = 0.0
    unacknowledged: int = 0
    unseen: int = 0
    streams_broken: int = 0
    backlog: int = 0
    """Taps that the deep terminals brought."""

    def bounds(self, phase: str) -> tuple[float, float]:
        """Return when a phase began and ended."""
        later = [self.starts_s[name] for name in PHASES[PHASES.index(phase) + 1 :] if name in self.starts_s]
        return self.starts_s[phase], min(later, default=self.ended_s)

    def percentile_ms(self, samples: list[Sample], phase: str, percent: int) -> float:
        """Return a percentile of what was tapped in a phase."""
        first, last = self.bounds(phase)
        return percentile_ms([one.took_s for one in samples if first <= one.at_s < last], percent)

    def stored_per_s(self, phase: str) -> float:
        """Return durable events a second in a phase."""
        first, last = self.bounds(phase)
        inside = [one for one in self.moments if first <= one.at_s <= last]
        if len(inside) < 2:  # noqa: PLR2004 - a rate needs two points
            return 0.0
        return (inside[-1].durable - inside[0].durable) / (inside[-1].at_s - inside[0].at_s)

    def processor_share(self, phase: str) -> dict[str, float]:
        """Return how much of one processor each part used in a phase."""
        first, last = self.bounds(phase)
        inside = [one for one in self.moments if first <= one.at_s <= last]
        if len(inside) < 2:  # noqa: PLR2004 - as above
            return {}
        before, after = inside[0], inside[-1]
        return {
            part: (used_s - before.processor_s.get(part, 0.0)) / (after.at_s - before.at_s)
            for part, used_s in after.processor_s.items()
        }

    @property
    def drain_s(self) -> float:
        """Return how long the backlog took from the first terminal's return to the last acknowledgement."""
        first, last = self.bounds("return")
        return last - first


def days_before(
    workers: range, count: int, *, until: datetime, chance: random.Random
) -> Iterator[tuple[int, Direction, datetime]]:
    """Make the last `count` taps of a gate that everybody used: in each morning, out each evening, until yesterday."""
    days = -(-count // (2 * len(workers)))
    skip = days * 2 * len(workers) - count
    for day in range(days, 0, -1):
        for hour, direction in ((6.5, "in"), (17.0, "out")):
            for worker in workers:
                if skip:
                    skip -= 1
                    continue
                at = until - timedelta(days=day) + timedelta(hours=hour, seconds=chance.uniform(0, HOUR_S))
                yield worker, direction, at  # type: ignore[misc]  # a word of the tuple above


class CityPlayer:
    """All terminals of a city, in one event loop."""

    def __init__(self, morning: Morning, registry: CityRegistry, url: str, *, stage: Installation) -> None:
        self._morning, self._registry, self._stage = morning, registry, stage
        self.report = MorningReport(Tally())
        habits = Habits(url, seed=morning.city.seed)
        deep, cut = morning.outage.deep, morning.outage.terminals
        self._terminals = [
            FleetTerminal(
                habits,
                site.code,
                site.gate(terminal),
                self.report.tally,
                group="deep" if terminal in deep else ("cut" if terminal in cut else "steady"),
            )
            for site in morning.city.sites
            for terminal in site.terminals
        ]
        self._deep = [self._terminals[terminal] for terminal in sorted(deep)]
        self._site_codes = [site.code for site in morning.city.sites for _ in site.terminals]
        self._phase = "before"
        self._story_s = GATES_OPEN_S

    def fill(self, progress: Callable[[int], None] = lambda _done: None) -> None:
        """Give the deep terminals the days they were away; call before `play`."""
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=9)
        city, tokens = self._morning.city, self._registry.tokens
        for number in sorted(self._morning.outage.deep):
            site, terminal = city.site_of_terminal(number), self._terminals[number]
            chance = random.Random(f"days/{city.seed}/{number}")
            made = sorted(days_before(site.workers, self._morning.backlog, until=midnight, chance=chance), key=_when)
            for worker, direction, at in made:
                terminal.tapped(tokens[worker], direction, at)
            terminal.cut()
            self.report.backlog += len(made)
            progress(self.report.backlog)

    async def play(
        self,
        screens: Screens,
        *,
        story: Callable[[Screens], Awaitable[None]] | None = None,
        progress: Callable[[Moment], None] = lambda _moment: None,
    ) -> None:
        """Connect, play the morning (or another `story`), and wait until everything is stored and shown.

        Raises `CityStuck`.
        """
        gate = asyncio.Semaphore(CONNECTING_MAX)
        tasks = [asyncio.create_task(terminal.run(gate)) for terminal in self._terminals]
        watch = asyncio.create_task(self._look(progress))
        begun_s = time.monotonic()
        try:
            steady = len(self._terminals) - len(self._deep)
            await self._until(lambda: self.report.tally.connected >= steady, CONNECT_S_MAX, "connections")
            self.report.connect_s = time.monotonic() - begun_s
            await screens.open([site.code for site in self._morning.outage.watched])
            await (story or self._play_morning)(screens)
            await self._until(lambda: not self._outstanding(), SETTLE_S_MAX, "acknowledgements")
            self._note_drained()
            await self._shown(screens)
        finally:
            self.report.ended_s = time.monotonic()
            self.report.screens, self.report.unseen = screens.samples, screens.unseen
            self.report.streams_broken = screens.broken
            self.report.unacknowledged = self._outstanding()
            await screens.close()
            for task in (*tasks, watch):
                task.cancel()
            await asyncio.gather(*tasks, watch, return_exceptions=True)

    async def _shown(self, screens: Screens) -> None:
        """Give the screens a moment; what they never show is counted."""
        until_s = time.monotonic() + UNSEEN_S_MAX
        while screens.unseen and time.monotonic() < until_s:  # noqa: ASYNC110 - its own clock decides, not an event
            await asyncio.sleep(TICK_S)

    def _outstanding(self) -> int:
        return self.report.tally.taps + len(self._terminals) - self.report.tally.durable

    async def _until(self, done: Callable[[], bool], limit_s: float, what: str) -> None:
        """Wait for a condition, as long as anything still moves towards it."""
        last, moved_s = self._progress(), time.monotonic()
        while not done():
            await asyncio.sleep(TICK_S)
            if self._progress() != last:
                last, moved_s = self._progress(), time.monotonic()
            elif time.monotonic() - moved_s > limit_s / 10:
                raise CityStuck(f"nothing moved for {limit_s / 10:.0f} s while waiting for {what}: {self._words()}")

    def _progress(self) -> tuple[int, int]:
        return self.report.tally.connected, self.report.tally.durable

    def _words(self) -> str:
        tally = self.report.tally
        first = f"; first complaint: {tally.complaints[0]}" if tally.complaints else ""
        return f"{tally.connected} connected, {self._outstanding()} events not acknowledged{first}"

    def tap(self, tap: CityTap, screens: Screens) -> None:
        """Hold one card to one reader."""
        screens.tapped(self._site_codes[tap.terminal])
        self._terminals[tap.terminal].tap(self._registry.tokens[tap.worker], tap.direction)

    async def _play_morning(self, screens: Screens) -> None:
        speed, taps = self._morning.speed, self._morning.taps
        begun_s = time.monotonic()
        self.report.starts_s["before"] = begun_s
        at = 0
        while at < len(taps):
            self._story_s = GATES_OPEN_S + (time.monotonic() - begun_s) * speed
            self._turn()
            while at < len(taps) and taps[at].at_s <= self._story_s:
                self.tap(taps[at], screens)
                at += 1
            await asyncio.sleep(TICK_S)

    def _turn(self) -> None:
        """Cut, mend, and notice the end of the backlog, when it is time."""
        if self._phase == "before" and self._story_s >= OUTAGE_FROM_S:
            self._enter("outage")
            for number in self._morning.outage.terminals:
                self._terminals[number].cut()
        elif self._phase == "outage" and self._story_s >= OUTAGE_UNTIL_S:
            self._enter("return")
            for number in self._morning.outage.terminals:
                self._terminals[number].mend()
        elif self._phase == "return" and self._backlog() == 0:
            self._enter("after")

    def _note_drained(self) -> None:
        if self._phase == "return":
            self._enter("after")

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self.report.starts_s[phase] = time.monotonic()

    def _backlog(self) -> int:
        return sum(terminal.unacknowledged for terminal in self._deep)

    def _size(self) -> tuple[dict[str, float], dict[str, float]]:
        return self._stage.memory_mb(), self._stage.processor_s()

    async def _look(self, progress: Callable[[Moment], None]) -> None:
        """Write down once a second where everything stands."""
        while True:
            tally = self.report.tally
            memory_mb, processor_s = await asyncio.to_thread(self._size)
            backlog = self._backlog() if self._phase in {"return", "after"} else self.report.backlog
            now_s, story_s = time.monotonic(), self._story_s
            moment = Moment(now_s, self._phase, story_s, tally.taps, tally.durable, backlog, memory_mb, processor_s)
            self.report.moments.append(moment)
            progress(moment)
            await asyncio.sleep(1.0)


def _when(tap: tuple[int, Direction, datetime]) -> datetime:
    return tap[2]
