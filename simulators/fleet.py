"""Thousands of terminals of one site in one process, each with its own connection, journal, chain and real uplink.

Journals are in memory: this is load and a check of central's acknowledgements, no proof of durability. Every ack is
held against the terminal's own chain, and an ack that does not fit is counted and shown.
"""

from __future__ import annotations

import asyncio
import random
import resource
import statistics
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from edge_agent.transport.uplink import UplinkLimits
from simulators.central_api import ApiRefused
from simulators.commissioning import take_into_service
from simulators.fleet_terminal import FleetPlan, FleetTerminal, Habits, Tally, terminal_codes
from simulators.mqtt5 import CONNECT_S_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulators.central_api import CentralApi

TERMINALS_MAX = 10_000
CONNECTING_MAX = 200
_TICK_S = 0.01
_SPARE_FILES = 64


class FleetTooLarge(ValueError):
    """This process may not open that many connections; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What became of it."""

    tally: Tally
    terminals: int
    connect_s: float
    tap_s: float
    """From the first tap to the last ack."""
    unacknowledged: int

    @property
    def taps_per_s(self) -> float:
        """Durable events a second, while tapping."""
        return self.tally.durable / self.tap_s if self.tap_s else 0.0

    def latency_ms(self, percent: int) -> float:
        """A percentile of the time from tap to durable ack, in milliseconds; 0 when nothing was acknowledged."""
        return percentile_ms([sample.took_s for sample in self.tally.samples], percent)


def percentile_ms(times_s: Sequence[float], percent: int) -> float:
    """Return a percentile in milliseconds; 0 when there are too few."""
    return statistics.quantiles(times_s, n=100)[percent - 1] * 1000 if len(times_s) > 1 else 0.0


def allow_connections(count: int) -> None:
    """Raise this process's limit of open files as far as needed; raise `FleetTooLarge` when the system forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _SPARE_FILES
    if count > TERMINALS_MAX:
        raise FleetTooLarge(f"a fleet has at most {TERMINALS_MAX} terminals a process, not {count}")
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise FleetTooLarge(
            f"{count} terminals need {needed} open files and this account may have {hard}: "
            f"raise the limit (ulimit -Hn) or ask for at most {max(0, hard - _SPARE_FILES)} terminals"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def run_fleet(plan: FleetPlan, *, progress: Callable[[Tally], None] | None = None) -> FleetReport:
    """Connect all terminals, tap, and wait until everything is acknowledged or `drain_s_max` is over."""
    allow_connections(plan.terminals)
    tally = Tally()
    habits = Habits(
        plan.url,
        heartbeat_s=plan.heartbeat_s,
        limits=UplinkLimits(resend_after_s=plan.resend_s),
        seed=plan.seed,
        hears_site=False,  # each roster to each terminal of one site would measure the broker, not central
    )
    fleet = [FleetTerminal(habits, plan.site, code, tally) for code in terminal_codes(plan)]
    chance = random.Random(f"fleet/{plan.seed}")
    started_s = time.monotonic()
    for terminal in fleet:
        for _ in range(plan.backlog):
            terminal.tap(chance.choice(plan.tokens), chance.choice(("in", "out")))
    gate = asyncio.Semaphore(CONNECTING_MAX)
    tasks = [asyncio.create_task(terminal.run(gate)) for terminal in fleet]
    try:
        await _all_connected(tally, plan, progress)
        connected_s = time.monotonic()
        await _tap(plan, fleet, tally, chance, progress)
        await _drained(plan, fleet, tally, progress)
        ended_s = time.monotonic()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    unacknowledged = sum(terminal.unacknowledged for terminal in fleet)
    return FleetReport(tally, len(fleet), connected_s - started_s, ended_s - connected_s, unacknowledged)


async def _all_connected(tally: Tally, plan: FleetPlan, progress: Callable[[Tally], None] | None) -> None:
    async with asyncio.timeout(CONNECT_S_MAX + plan.terminals / 20):
        while tally.connected < plan.terminals:
            await asyncio.sleep(_TICK_S)
            if progress:
                progress(tally)


async def _tap(
    plan: FleetPlan,
    fleet: list[FleetTerminal],
    tally: Tally,
    chance: random.Random,
    progress: Callable[[Tally], None] | None,
) -> None:
    started_s = time.monotonic()
    already = tally.taps
    while tally.taps < plan.taps:
        if plan.rate_per_s:
            due = already + int((time.monotonic() - started_s) * plan.rate_per_s) - tally.taps
        else:
            due = plan.outstanding_max - (tally.taps + len(fleet) - tally.durable)
        for _ in range(max(0, min(due, plan.taps - tally.taps, 1000))):
            chance.choice(fleet).tap(chance.choice(plan.tokens), chance.choice(("in", "out")))
        if progress:
            progress(tally)
        await asyncio.sleep(0 if due > 0 else _TICK_S)


async def _drained(
    plan: FleetPlan, fleet: list[FleetTerminal], tally: Tally, progress: Callable[[Tally], None] | None
) -> None:
    """Wait until nothing is outstanding; give up when no ack has come for `drain_s_max`."""
    last, moved_s = tally.durable, time.monotonic()
    while any(terminal.unacknowledged for terminal in fleet):
        await asyncio.sleep(0.05)
        if progress:
            progress(tally)
        if tally.durable != last:
            last, moved_s = tally.durable, time.monotonic()
        elif time.monotonic() - moved_s > plan.drain_s_max:
            return


def register_fleet(api: CentralApi, plan: FleetPlan) -> None:
    """Register the fleet's site and terminals over central's API; what is there already stays as it is."""
    firm = api.post("/api/v1/organizations", {"name": f"Fleet of {plan.site}", "kind": "client"})
    readers = [
        {"name": "r1", "direction": "in", "zone": "fleet"},
        {"name": "r2", "direction": "out", "zone": "fleet"},
    ]
    wanted: list[tuple[str, dict[str, object]]] = [
        ("/api/v1/projects", {"code": plan.site, "name": "Fleet", "client_id": firm["id"]}),
        ("/api/v1/sites", {"code": plan.site, "project": plan.site, "name": "Fleet"}),
    ]
    wanted += [
        (f"/api/v1/sites/{plan.site}/terminals", {"code": code, "name": code, "zone": "fleet", "readers": readers})
        for code in terminal_codes(plan)
    ]
    for path, body in wanted:
        try:
            api.post(path, body)
        except ApiRefused as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
    for code in terminal_codes(plan):
        take_into_service(api, site=plan.site, code=code)
